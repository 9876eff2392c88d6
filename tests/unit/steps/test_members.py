"""Members that a dialogue made: their id is found, and they are removed, where one collection is written in two ways."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.contract.conftest import answer, body, contract, fields, operation

from upheld.check import SERVICE, Lane, Send
from upheld.exchange import Headers, Request, Response
from upheld.steps import discard, id_of

BOARD = fields("title", id={"type": "integer"})


def parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


PATHS: dict[str, Any] = {
    "/boards/": {"post": operation(requestBody=body(fields("title")), responses=answer({"type": "object"}, "201"))},
    "/boards/{id_or_slug}": {
        "get": operation(parameters=[parameter("id_or_slug")], responses=answer(fields(result=BOARD)))
    },
    "/boards/{pk}": {"delete": operation(parameters=[parameter("pk")])},
}


@pytest.mark.parametrize("answered", [{"result": {"id": 7}}, {"id": 7, "result": {}}, {"id": 7}])
def test_the_id_stands_in_the_envelope_or_at_the_top(answered: dict[str, Any]) -> None:
    family = next(family for family in contract(PATHS).resources if family.read is not None)
    assert family.id_pointer == "/result/id"
    assert id_of(family, Response.of(201, answered)) == "7"


def test_location_tells_the_id_where_the_body_does_not() -> None:
    family = next(family for family in contract(PATHS).resources if family.read is not None)
    assert id_of(family, Response(201, Headers({"location": "/boards/7"}))) == "7"
    assert id_of(family, Response.of(201, {"result": {}})) is None


def test_a_member_is_removed_where_delete_calls_its_id_otherwise() -> None:
    made = contract(PATHS)
    family = next(family for family in made.resources if family.read is not None)
    assert family.delete is None
    action = next(discard(Lane(made, SERVICE, "t"), family, "7", None))
    assert isinstance(action, Send)
    assert action.request == Request("DELETE", "/boards/7", operation="DELETE /boards/{pk}")
