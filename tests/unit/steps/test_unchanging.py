"""What was there before the run and is there once is put back as it was, or not written at all."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.contract.conftest import answer, body, contract, fields, operation

from upheld.check import SERVICE, CannotProve, Lane, Send
from upheld.exchange import Request, Response
from upheld.steps import unchanging

SETTINGS = fields("name", colour={"type": "string"})
PATHS: dict[str, Any] = {
    "/settings": {"get": operation(responses=answer(SETTINGS)), "put": operation(requestBody=body(SETTINGS))},
    "/shops": {
        "get": operation(responses=answer({"type": "array", "items": SETTINGS})),
        "patch": operation(requestBody=body(SETTINGS)),
    },
    "/shops/{id}": {
        "get": operation(
            parameters=[{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            responses=answer(SETTINGS),
        )
    },
}


def played(label: str, sent: Any, answered: Response | None) -> Any:
    """The body of the request that comes out."""
    made = contract(PATHS)
    op = made.operation(label)
    assert op is not None
    steps = unchanging(Lane(made, SERVICE, "t"), op, Request(op.method, op.path, operation=label).with_json(sent))
    try:
        action = next(steps)
        assert isinstance(action, Send)
        assert action.request.operation == f"GET {op.path}"
        assert answered is not None
        steps.send(answered)
    except StopIteration as end:
        return end.value.json()
    raise AssertionError("it asks for more than one read")


def test_settings_say_what_they_said() -> None:
    now = Response.of(200, {"name": "Corner shop", "colour": "red", "version": 3})
    assert played("PUT /settings", {"name": "sample"}, now) == {"name": "Corner shop", "colour": "red"}


def test_nothing_is_written_where_they_cannot_be_read() -> None:
    with pytest.raises(CannotProve, match="PUT /settings changes what is there for everybody"):
        played("PUT /settings", {"name": "sample"}, Response(403))


def test_what_changes_nothing_and_what_is_a_list_go_as_they_are() -> None:
    assert played("PUT /settings", {}, None) == {}
    assert played("PATCH /shops", {"name": "sample"}, None) == {"name": "sample"}
