"""OpenAPI 3.0's schemas as JSON Schema 2020-12, self-contained and compiled."""

from __future__ import annotations

from typing import Any

import pytest

from upheld.contract import dialect
from upheld.contract.dialect import Schemas

from .conftest import document, fields

OLD, NEW = "3.0.3", "3.1.0"


def schemas(version: str = OLD, **components: Any) -> Schemas:
    return Schemas(document({}, version, components={"schemas": components}))


@pytest.mark.parametrize(
    ("raw", "translated"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        ({"type": "string", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"nullable": True, "title": "T"}, {"title": "T"}),
        ({"nullable": True, "allOf": [{"type": "string"}], "title": "T"}, {"title": "T", "anyOf": [{"allOf": [{"type": "string"}]}, {"type": "null"}]}),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 1}),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": False}, {"type": "integer", "minimum": 1}),
        ({"maximum": 9, "exclusiveMaximum": True, "minimum": 1}, {"exclusiveMaximum": 9, "minimum": 1}),
        ({"exclusiveMinimum": 3}, {"exclusiveMinimum": 3}),
        ({"example": 5, "type": "integer"}, {"type": "integer", "examples": [5]}),
        ({"items": {"type": "string", "nullable": True}}, {"items": {"type": ["string", "null"]}}),
        ({"properties": {"nullable": {"type": "string", "nullable": True}}}, {"properties": {"nullable": {"type": ["string", "null"]}}}),
        (True, True),
    ],
)  # fmt: skip
def test_translation(raw: Any, translated: Any) -> None:
    assert schemas().schema(raw) == translated
    assert schemas(NEW).schema(raw) is raw


def test_beside_a_reference() -> None:
    raw = {"properties": {"a": {"$ref": "#/components/schemas/X", "description": "d"},
                          "b": {"$ref": "#/components/schemas/X", "nullable": True}}}  # fmt: skip
    ref = {"$ref": "#/components/schemas/X"}
    translated = schemas(X={"type": "string"}).schema(raw)
    assert translated == {"properties": {"a": ref, "b": {"anyOf": [ref, {"type": "null"}]}}}


def test_a_top_reference_with_siblings_in_3_1() -> None:
    made = schemas(NEW, X={"type": "string", "minLength": 2})
    ref = {"$ref": "#/components/schemas/X"}
    assert made.schema({**ref, "description": "d"}) == {"type": "string", "minLength": 2, "description": "d"}
    assert made.schema({**ref, "minLength": 5}) == {"allOf": [{"type": "string", "minLength": 2}, {"minLength": 5}]}


def test_standalone_holds_what_it_needs_and_nothing_else() -> None:
    made = schemas(
        NEW,
        A=fields(b={"$ref": "#/components/schemas/B"}),
        B=fields(c={"$ref": "#/components/schemas/C/properties/x"}, a={"$ref": "#/components/schemas/A"}),
        C=fields(x={"type": "integer"}),
        D={"type": "null"},
    )
    alone = made.standalone({"$ref": "#/components/schemas/A"})
    assert isinstance(alone, dict)
    assert sorted(alone["$defs"]) == ["A", "B", "C_properties_x"]
    import jsonschema_rs

    by_itself = jsonschema_rs.Draft202012Validator(alone)
    assert by_itself.is_valid({"b": {"c": 1, "a": {"b": {"c": 2}}}}) is False
    assert not by_itself.is_valid({"b": {"c": "x"}})


def test_names_that_no_uri_can_hold() -> None:
    components = {"Größe": {"type": "integer"}, "Gr__e": {"type": "string"}, "a b#c": {"type": "boolean"}}
    made = schemas(NEW, **components)
    whole = {"properties": {str(i): {"$ref": f"#/components/schemas/{name}"} for i, name in enumerate(components)}}
    validator = made.validator(whole)
    assert not validator.defects
    assert validator.is_valid({"0": 1, "1": "x", "2": True})
    assert {violation.pointer for violation in validator.violations({"0": "x", "1": 1, "2": 1})} == {"/0", "/1", "/2"}


def test_read_only_and_write_only() -> None:
    made = schemas(
        NEW,
        User=fields("name", id={"type": "integer", "readOnly": True}, password={"$ref": "#/components/schemas/Secret"}),
        Secret={"type": "string", "writeOnly": True},
    )
    user = {"$ref": "#/components/schemas/User"}
    sent, seen = made.validator(user, "request"), made.validator(user, "response")
    assert sent.is_valid({"name": "a", "password": "x"})
    assert not sent.is_valid({"name": "a", "id": 1})
    assert seen.is_valid({"name": "a", "id": 1})
    assert not seen.is_valid({"name": "a", "password": "x"})


def test_violations_say_where() -> None:
    validator = schemas(NEW).validator(fields("b", a={"type": "array", "items": {"type": "integer"}}))
    found = {violation.pointer: violation for violation in validator.violations({"a": [1, "x"], "b": 2})}
    assert sorted(found) == ["/a/1", "/b"]
    assert found["/a/1"].schema_pointer == "/properties/a/items/type"
    assert len(validator.violations({"a": ["x"] * 50, "b": ""})) == 10


def test_formats_are_asserted() -> None:
    validator = schemas(NEW).validator({"type": "string", "format": "date-time"})
    assert validator.is_valid("2026-01-15T12:00:00Z")
    assert not validator.is_valid("yesterday")


@pytest.mark.parametrize(
    ("schema", "good", "bad", "defect"),
    [
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}, "b": {"type": "integer"}}}, {"a": "x"}, {"b": "x"}, "/properties/a/pattern"),
        ({"type": "object", "properties": {"f": {"type": "file"}, "b": {"type": "integer"}}}, {"f": 1}, {"b": "x"}, "/properties/f/type"),
        ({"type": "string", "minLength": -1}, "x", 1, "/minLength"),
        ({"required": True, "type": "object"}, {}, 1, ""),
    ],
)  # fmt: skip
def test_a_keyword_that_cannot_be_used_is_left_out_and_told(schema: Any, good: Any, bad: Any, defect: str) -> None:
    validator = schemas(NEW).validator(schema)
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)
    assert [text.split(":")[0] for text in validator.defects] == ([defect] if defect else [])


def test_nothing_is_fetched() -> None:
    validator = schemas(NEW).validator({"properties": {"a": {"$dynamicRef": "http://127.0.0.1:9/x"}}})
    assert validator.is_valid({"a": 1})
    assert validator.defects


def test_validators_are_made_once_and_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "ROOM", 3)
    made = schemas(NEW)
    several: list[dict[str, Any]] = [{"minLength": size} for size in range(5)]
    first = made.validator(several[0])
    assert made.validator(several[0]) is first
    for schema in several:
        made.validator(schema)
    assert made.validator(several[0]) is not first
    assert len(made._compiled) <= 3
