"""What a refused control says, and which line it asks for."""

from __future__ import annotations

from typing import Any

from tests.unit.contract.conftest import body, contract, fields, operation

from upheld.check import SERVICE, Lane
from upheld.exchange import Request, Response, Session
from upheld.steps.requests import refused

SCHEMES = {
    "securitySchemes": {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "query": {"type": "apiKey", "in": "query", "name": "key"},
    }
}
TOKEN = ("Authorization", "Bearer t")


def line(status: int, *headers: tuple[str, str], policy: dict[str, Any] | None = None, **parts: Any) -> str:
    made = contract({"/a": {"post": operation(**parts)}}, policy, components=SCHEMES)
    session = Session("alice", "user", "alice", "", "t", None, headers)
    request = Request("POST", "/a", session=session, operation="POST /a")
    said = refused("", request, Response(status), Lane(made, SERVICE, "t"))
    assert str(said) == f"POST /a was answered with {status}"
    return said.outcome.add


PEOPLE = {"identities": {"alice": {"role": "user"}, "root": {"role": "boss", "user": "r", "password_env": "P"}}}


def test_403_asks_for_a_roles_line() -> None:
    assert line(403, TOKEN, policy=PEOPLE) == 'roles: [{op: "POST /a", allow: [boss]}]'
    assert line(403, TOKEN, policy=PEOPLE | {"roles": [{"op": "**", "allow": ["user"]}]}) == ""


def test_401_asks_for_the_key_that_is_missing() -> None:
    keyed: list[dict[str, list[str]]] = [{"key": []}, {"query": []}]
    assert line(401, TOKEN, security=keyed).endswith("it asks for X-API-Key")
    assert line(401, TOKEN, ("x-api-key", "k"), security=keyed) == ""
    assert line(401, TOKEN, security=[{"bearer": []}]) == ""
    assert line(401, TOKEN) == ""


def test_a_body_that_does_not_fit_asks_for_an_example_or_for_a_name_of_its_own() -> None:
    made = contract({"/a": {"post": operation(requestBody=body(fields("name")))}})
    request = Request("POST", "/a", operation="POST /a").with_json({"name": "sample"})

    def add(response: Response) -> str:
        return refused("", request, response, Lane(made, SERVICE, "t")).outcome.add

    assert add(Response.of(422, {"message": {"name": ["Name must be unique"]}})) == "unique: [name]"
    assert add(Response.of(400, {"message": "name already exists"})) == "unique: [name]"
    fitting = "in the document: an example of a body that POST /a takes"
    assert add(Response.of(422, {"message": "name: shop does not exist"})) == fitting
    assert add(Response.of(409, {"message": "already there"})) == fitting
    assert add(Response(500)) == ""
