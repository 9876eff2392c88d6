"""Whose members a path names: what was there before the run is read and never changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.contract.conftest import answer, body, contract, fields, operation

from upheld.check import SERVICE, CannotProve, Lane, Send, SignIn
from upheld.exchange import Headers, Request, Response, Session
from upheld.steps import unmade_path
from upheld.steps.requests import valid_request

ROLE = fields(id={"type": "integer"})
LIST = operation(responses=answer({"type": "array", "items": ROLE}))


def number(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "integer"}}


def paths(*, creates: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "/roles/": {"get": LIST},
        "/roles/{pk}": {"get": operation(parameters=[number("pk")], responses=answer(ROLE))},
        "/roles/{role_id}/rights": {"put": operation(parameters=[number("role_id")])},
        "/jobs/{number}/stop": {"post": operation(parameters=[number("number")])},
    }
    if creates:
        made["/roles/"]["post"] = operation(requestBody=body(fields("name")), responses=answer(ROLE, "201"))
    return made


def played(label: str, service: Callable[[Request], Response], *, creates: bool = False) -> str:
    """The path of a valid request for the operation."""
    made = contract(paths(creates=creates))
    op = made.operation(label)
    assert op is not None
    steps = valid_request(Lane(made, SERVICE, "t"), op, None)
    try:
        action = next(steps)
        while True:
            assert isinstance(action, Send)
            action = steps.send(service(action.request))
    except StopIteration as end:
        path: str = end.value.path
        return path


def roles(request: Request) -> Response:
    assert request.path == "/roles/"
    return Response.of(201, {"id": 7}) if request.method == "POST" else Response.of(200, [{"id": 1}])


def test_what_others_made_is_read() -> None:
    assert played("GET /roles/{pk}", roles) == "/roles/1"


def test_what_others_made_is_not_changed() -> None:
    with pytest.raises(CannotProve, match="what others made is not changed"):
        played("PUT /roles/{role_id}/rights", roles)


def test_what_the_dialogue_made_is_changed_whatever_the_parameter_is_called() -> None:
    assert played("PUT /roles/{role_id}/rights", roles, creates=True) == "/roles/7/rights"


def test_a_refused_creation_leaves_others_alone() -> None:
    def refusing(request: Request) -> Response:
        return Response(422) if request.method == "POST" else roles(request)

    with pytest.raises(CannotProve, match="not changed"):
        played("PUT /roles/{role_id}/rights", refusing, creates=True)
    assert played("GET /roles/{pk}", refusing, creates=True) == "/roles/1"


def test_made_up_numbers_are_nobodys() -> None:
    assert int(played("POST /jobs/{number}/stop", roles).split("/")[2]) > 1000
    lane = Lane(contract(paths(creates=False)), SERVICE, "t")
    assert int(unmade_path(lane, "/roles/{pk}").split("/")[2]) > 1000


USER = fields(id={"type": "integer"}, email={"type": "string", "format": "email"})
ACCOUNTS: dict[str, Any] = {
    "/register": {"post": operation(requestBody=body(fields("email", "password")), responses=answer(USER, "201"))},
    "/login": {"post": operation(requestBody=body(fields("email", "password")), responses=answer(fields("access_token")))},
    "/users/me": {"get": operation(responses=answer(USER), security=[{"bearer": []}])},
    "/users/{id}": {
        "get": operation(parameters=[number("id")], responses=answer(USER), security=[{"bearer": []}]),
        "patch": operation(parameters=[number("id")], security=[{"bearer": []}]),
    },
}  # fmt: skip
BEARER = {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}}


def asked_of_accounts(registered: Response) -> tuple[list[str], str]:
    """(what was done, the path in the end) for a valid change of a user, who is to be nobody's."""
    made = contract(ACCOUNTS, components=BEARER)
    op = made.operation("PATCH /users/{id}")
    assert op is not None
    steps = valid_request(Lane(made, SERVICE, "t"), op, Session("root", "admin"))
    done: list[str] = []
    try:
        action = next(steps)
        while True:
            if isinstance(action, SignIn):
                done.append("sign in")
                action = steps.send(Session("new", "user"))
            else:
                assert isinstance(action, Send)
                done.append(action.request.path)
                action = steps.send(registered if action.request.path == "/register" else Response.of(200, {"id": 8}))
    except StopIteration as end:
        return done, end.value.path


def test_a_newcomer_need_not_sign_in_to_have_an_id() -> None:
    assert asked_of_accounts(Response.of(201, {"id": 7})) == (["/register"], "/users/7")


@pytest.mark.parametrize(
    "registered", [Response.of(201, {}), Response(201, Headers({"Location": "/users/me"})), Response.problem(429)]
)
def test_a_newcomer_whose_id_is_not_told_asks_who_they_are(registered: Response) -> None:
    assert asked_of_accounts(registered) == (["/register", "sign in", "/users/me"], "/users/8")
