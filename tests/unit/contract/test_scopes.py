"""Who may call what: lines under roles, then the scopes of the document, then everybody."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.contract.conftest import contract, operation

from upheld.contract import Contract
from upheld.contract.scopes import expected, role_names

OAUTH = {"securitySchemes": {"oauth": {"type": "oauth2", "flows": {}}, "bearer": {"type": "http", "scheme": "bearer"}}}
READER = {"role": "reader", "scopes": ["read"]}
WRITER = {"role": "writer", "scopes": ["read", "write"]}


def made(security: list[dict[str, list[str]]], policy: dict[str, Any]) -> Contract:
    return contract({"/a": {"get": operation(security=security)}}, policy, components=OAUTH)


def who(security: list[dict[str, list[str]]], **policy: Any) -> tuple[dict[str, str], tuple[str, ...] | None]:
    found = made(security, policy)
    only = found.operations[0]
    return {role: expected(found, only, role) for role in role_names(found)}, found.roles(only)


def test_the_roles_of_identities_come_before_those_of_lines() -> None:
    found = made([], {"identities": {"a": {"role": "x"}}, "roles": [{"op": "GET /a", "allow": ["y", "x"]}]})
    assert role_names(found) == ("x", "y")


def test_the_first_line_decides_whatever_the_scopes_say() -> None:
    lines = [{"op": "GET /a", "allow": ["reader"]}, {"op": "**", "allow": ["writer"]}]
    said = who([{"oauth": ["write"]}], identities={"r": READER, "w": WRITER}, roles=lines)
    assert said == ({"reader": "allowed", "writer": "denied"}, ("reader",))


def test_scopes_that_identities_state_decide_where_no_line_does() -> None:
    said = who([{"oauth": ["write"]}], identities={"r": READER, "w": WRITER})
    assert said == ({"reader": "denied", "writer": "allowed"}, ("writer",))


def test_all_scopes_of_one_alternative_are_needed() -> None:
    said = who([{"oauth": ["read", "write"]}, {"bearer": ["other"]}], identities={"r": READER, "w": WRITER})
    assert said[0] == {"reader": "denied", "writer": "allowed"}


@pytest.mark.parametrize(
    "security", [[{"oauth": []}], [{"oauth": ["write"]}, {"bearer": []}], [{"oauth": ["else"]}], []]
)
def test_what_asks_for_no_stated_scope_is_open_to_every_role(security: list[dict[str, list[str]]]) -> None:
    said = who(security, identities={"r": READER, "w": WRITER})
    assert said == ({"reader": "allowed", "writer": "allowed"}, None)


def test_roles_may_stand_where_scopes_do() -> None:
    said = who([{"bearer": ["admin"]}], identities={"u": {"role": "user"}, "a": {"role": "admin"}})
    assert said == ({"user": "denied", "admin": "allowed"}, ("admin",))


def test_scopes_that_an_identity_does_not_state_are_unknown_and_accuse_nobody() -> None:
    said = who([{"oauth": ["write"]}], identities={"w": WRITER, "a": {"role": "admin"}})
    assert said == ({"writer": "allowed", "admin": "unknown"}, ("writer",))


def test_identities_of_one_role_with_different_scopes_leave_it_unknown() -> None:
    said = who([{"oauth": ["write"]}], identities={"a": {**READER, "role": "user"}, "b": {**WRITER, "role": "user"}})
    assert said == ({"user": "unknown"}, ())


def test_the_document_s_own_requirement_counts_where_the_operation_has_none() -> None:
    found = contract({"/a": {"get": operation()}}, {"identities": {"r": READER, "w": WRITER}}, components=OAUTH)
    document = {**found.document, "security": [{"oauth": ["write"]}]}
    from upheld.contract.load import from_parts

    again = from_parts({"identities": {"r": READER, "w": WRITER}}, document)
    assert again.roles(again.operations[0]) == ("writer",)
