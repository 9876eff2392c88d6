"""Whoever kept to the old contract gets along with the new one, or the change is breaking."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from upheld.contract.changes import Effect, changes
from upheld.contract.load import from_parts

from .conftest import answer, body, contract, document, fields, operation

TODAY = datetime.date(2026, 6, 1)
B, W, H = Effect.BREAKING, Effect.WARNING, Effect.HARMLESS
Schema = dict[str, Any]


def effects(before: Schema, after: Schema, path: str = "/items", **rest: Any) -> list[Effect]:
    """The effects of changing one POST."""
    pair = [contract({path: {"post": one}}, **rest) for one in (before, after)]
    return [change.effect for change in changes(*pair, TODAY)]


def in_request(before: Schema, after: Schema) -> list[Effect]:
    return effects(*(operation(requestBody=body(schema)) for schema in (before, after)))


def in_answer(before: Schema, after: Schema) -> list[Effect]:
    return effects(*(operation(responses=answer(schema)) for schema in (before, after)))


ANY: Schema = {"type": ["string", "integer"]}
TEXT: Schema = {"type": "string"}


@pytest.mark.parametrize(
    ("before", "after", "request_", "answer_"),
    [
        (ANY, TEXT, B, H),
        (TEXT, ANY, H, B),
        ({"type": "number"}, {"type": "integer"}, B, H),
        ({"type": "integer"}, {"type": "number"}, H, B),
        (TEXT, {"type": "integer"}, B, B),
        (TEXT, {}, H, B),
        (TEXT, {"type": ["string", "null"]}, H, B),
        ({"type": ["string", "null"]}, TEXT, B, H),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, B, H),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, H, W),
        (TEXT, {"type": "string", "enum": ["a"]}, B, H),
        ({"type": "string", "const": "a"}, TEXT, H, W),
        ({"maxLength": 9}, {"maxLength": 8}, B, H),
        ({"maxLength": 8}, {"maxLength": 9}, H, B),
        ({}, {"maximum": 9}, W, H),
        ({"maximum": 9}, {}, H, B),
        ({"minItems": 1}, {"minItems": 2}, B, H),
        ({"exclusiveMinimum": 2}, {"exclusiveMinimum": 1}, H, B),
        ({}, {"pattern": "^a"}, B, H),
        ({"pattern": "^a"}, {"pattern": "^b"}, W, W),
        ({"pattern": "^a"}, {}, H, W),
        ({}, {"format": "uuid"}, W, H),
        ({}, {"uniqueItems": True}, W, H),
        ({"default": 1}, {"default": 2}, B, H),
        ({}, {"default": 2}, W, H),
        ({"anyOf": [{"maxLength": 3}, {"minimum": 1}]}, {"maxLength": 3}, B, H),
        ({"maxLength": 3}, {"anyOf": [{"maxLength": 3}, {"minimum": 1}]}, H, B),
        ({"oneOf": [{"maxLength": 3}, {"minimum": 1}]}, {"oneOf": [{"minimum": 1}, {"maxLength": 3}, {"minItems": 1}]}, H, B),
        ({"allOf": [{"maxLength": 3}, {"minLength": 1}]}, {"allOf": [{"maxLength": 3}, {"minLength": 1}, {"pattern": "a"}]}, B, H),
        ({"type": "object"}, {"type": "object", "additionalProperties": False}, B, H),
        ({"type": "array", "items": ANY}, {"type": "array", "items": TEXT}, B, H),
        ({"not": {"maximum": 1}}, {"not": {"maximum": 2}}, W, W),
        (fields("a", required=()), fields("a"), B, H),
        (fields("a"), fields("a", required=()), H, B),
        (fields("a"), fields("a", "b", required=("a",)), H, H),
        (fields("a", "b", required=("a",)), fields("a"), W, W),
    ],
)  # fmt: skip
def test_requests_may_allow_more_and_answers_promise_more(
    before: Schema, after: Schema, request_: Effect, answer_: Effect
) -> None:
    assert max(in_request(before, after), key=[H, W, B].index) is request_
    assert max(in_answer(before, after), key=[H, W, B].index) is answer_


def test_a_property_that_comes_or_goes_is_told_for_what_it_is() -> None:
    assert in_request(fields("a"), fields("a", "b")) == [B, H]
    assert in_answer(fields("a", "b"), fields("a")) == [B]
    assert in_request(fields("a", "b"), fields("a")) == [W]


LIMIT = {"name": "limit", "in": "query", "schema": {"type": "integer"}}
NEEDED = {**LIMIT, "required": True}
TAG = {"x-tag": {"schema": TEXT}}
SURE = {"x-tag": {"schema": TEXT, "required": True}}


def ok(**parts: Any) -> Schema:
    return {"200": {"description": "", **parts}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"parameters": [NEEDED]}, [B]),
        ({}, {"parameters": [LIMIT]}, [H]),
        ({"parameters": [LIMIT]}, {}, [W]),
        ({"parameters": [LIMIT]}, {"parameters": [NEEDED]}, [B]),
        ({"parameters": [NEEDED]}, {"parameters": [LIMIT]}, [H]),
        ({"parameters": [{**LIMIT, "schema": {"type": ["integer", "null"]}}]}, {"parameters": [LIMIT]}, [H]),
        ({}, {"requestBody": body(TEXT)}, [B]),
        ({}, {"requestBody": {**body(TEXT), "required": False}}, [H]),
        ({"requestBody": {**body(TEXT), "required": False}}, {"requestBody": body(TEXT)}, [B]),
        ({"requestBody": body(TEXT)}, {"requestBody": body(TEXT, "text/plain")}, [B, H]),
        ({"responses": answer(TEXT)}, {"responses": answer(TEXT, "201")}, [B, H]),
        ({"responses": answer(TEXT)}, {"responses": {**answer(TEXT), **answer(TEXT, "404")}}, [H]),
        ({"responses": {**answer(TEXT), **answer(TEXT, "404")}}, {"responses": answer(TEXT)}, [H]),
        ({"responses": answer(TEXT)}, {"responses": answer(TEXT, media_type="text/plain")}, [B, H]),
        ({"responses": ok(headers=TAG)}, {"responses": ok()}, [W]),
        ({"responses": ok(headers=SURE)}, {"responses": ok()}, [B]),
        ({"responses": ok(headers=SURE)}, {"responses": ok(headers=TAG)}, [B]),
        ({"responses": ok()}, {"responses": ok(headers=SURE)}, [H]),
        ({}, {"deprecated": True}, [W]),
        ({"x-sunset": "2026-12-01"}, {"x-sunset": "2026-07-01"}, [B]),
        ({"x-sunset": "2026-07-01"}, {"x-sunset": "2026-12-01"}, [H]),
        ({"x-stability-level": "stable"}, {"x-stability-level": "beta"}, [B]),
        ({"summary": "a", "operationId": "a"}, {"summary": "b", "operationId": "b"}, []),
    ],
)  # fmt: skip
def test_operations(before: Schema, after: Schema, expected: list[Effect]) -> None:
    assert effects(operation(**before), operation(**after)) == expected


def test_operations_that_come_and_go() -> None:
    there = contract({"/a": {"get": operation()}, "/b": {"get": operation()}})
    gone = contract({"/a": {"get": operation()}})
    assert [(c.effect, c.operation, c.text) for c in changes(there, gone, TODAY)] == [(B, "GET /b", "is missing")]
    assert [c.effect for c in changes(gone, there, TODAY)] == [H]
    for day, effect in (("2026-05-31", H), ("2026-06-02", B)):
        sunset = contract({"/a": {"get": operation()}, "/b": {"get": operation(**{"x-sunset": day})}})
        assert [c.effect for c in changes(sunset, gone, TODAY)] == [effect]


SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "token": {"type": "http", "scheme": "Bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [{"bearer": []}], [B]),
        ([{"bearer": []}], [], [H]),
        ([{"bearer": []}], [{"token": []}], []),
        ([{"bearer": []}], [{"bearer": []}, {"key": []}], [H]),
        ([{"bearer": []}, {"key": []}], [{"bearer": []}], [B]),
        ([{"bearer": []}], [{"bearer": [], "key": []}], [B]),
    ],
)
def test_credentials_may_be_asked_for_no_more_than_before(
    before: list[Schema], after: list[Schema], expected: list[Effect]
) -> None:
    components = {"components": {"securitySchemes": SCHEMES}}
    assert effects(operation(security=before), operation(security=after), **components) == expected


def test_quotas_and_roles_of_upheld_yaml() -> None:
    def of(quota: str, *roles: str) -> Any:
        people = {role: {"role": role, "token_env": role.upper()} for role in ("user", "admin")}
        rules = {"rate_limits": [{"op": "**", "quota": quota, "key": "ip"}], "identities": people}
        who = {"roles": [{"op": "GET /a", "allow": list(roles)}]} if roles else {}
        return from_parts({**rules, **who}, document({"/a": {"get": operation()}}))

    assert [(c.effect, c.text) for c in changes(of("10/min"), of("5/min"), TODAY)] == [(B, "quota 10/60s → 5/60s")]
    assert [c.effect for c in changes(of("10/min"), of("20/min"), TODAY)] == [H]
    assert [c.effect for c in changes(of("10/min", "admin", "user"), of("10/min", "admin"), TODAY)] == [B]
    assert [c.effect for c in changes(of("10/min", "admin"), of("10/min", "admin", "user"), TODAY)] == [H]
    assert [c.effect for c in changes(of("10/min"), of("10/min", "admin"), TODAY)] == [B]


def test_the_same_contract_has_no_changes() -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
    }
    paths = {"/a": {"post": operation(requestBody=body({"$ref": "#/components/schemas/Tree"}))}}
    one = contract(paths, components={"schemas": {"Tree": tree}})
    assert changes(one, one, TODAY) == []
