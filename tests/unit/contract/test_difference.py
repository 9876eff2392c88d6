"""Two documents are compared in what binds; what can be said in several ways is the same."""

from __future__ import annotations

from typing import Any

import pytest

from upheld.contract.difference import differences

from .conftest import answer, body, contract, operation

Schema = dict[str, Any]


def of_bodies(mine: Schema, theirs: Schema, components: Schema | None = None) -> list[str]:
    parts = [{"/items": {"post": operation(requestBody=body(schema))}} for schema in (mine, theirs)]
    return found(*parts, components=components)


def found(mine: Schema, theirs: Schema, components: Schema | None = None) -> list[str]:
    schemas = {"components": {"schemas": components or {}}}
    return list(differences(contract(mine, **schemas), contract(theirs, **schemas)))


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"enum": ["a", "b"]}, {"enum": ["b", "a"]}),
        ({"type": "string", "minLength": 0}, {"type": "string"}),
        ({"type": "object", "additionalProperties": True}, {"type": "object"}),
        ({"allOf": [{"type": "string"}]}, {"type": "string"}),
        ({"$ref": "#/components/schemas/Name"}, {"type": "string", "maxLength": 9}),
        ({"allOf": [{"$ref": "#/components/schemas/Name"}], "title": "T"}, {"$ref": "#/components/schemas/Name"}),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ({"type": "string", "description": "a", "example": "b", "default": "c"}, {"type": "string"}),
        ({"$ref": "#/components/schemas/Tree"}, {"$ref": "#/components/schemas/Tree"}),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"type": ["integer", "string"]}),
        (
            {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]},
            {"oneOf": [{"type": "integer"}, {"maxLength": 3, "type": "string"}]},
        ),
    ],
)
def test_the_same_in_other_words(mine: Schema, theirs: Schema) -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
    }
    components = {"Name": {"type": "string", "maxLength": 9}, "Tree": tree}
    assert of_bodies(mine, theirs, components) == []


@pytest.mark.parametrize(
    ("mine", "theirs", "told"),
    [
        ({"type": "integer", "minimum": 0}, {"type": "integer"}, "minimum 0 → none"),
        ({"type": "string"}, {"type": ["string", "null"]}, "nullable none → True"),
        ({"type": "string"}, {"type": "integer"}, "type string → integer"),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, "enum 'a' → 'a', 'b'"),
        (
            {"type": "object", "additionalProperties": False},
            {"type": "object"},
            "additionalProperties: fits nothing → none",
        ),
        ({"type": "object", "required": ["a"]}, {"type": "object"}, "required ['a'] → none"),
        ({"type": "object", "properties": {"a": {}}}, {"type": "object"}, "property a is missing"),
        ({"type": "array", "items": {"type": "string"}}, {"type": "array"}, "items: type string → none"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"type": "string"}, "type integer or string → string"),
        (
            {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]},
            {"type": "string", "maxLength": 3},
            "2 alternatives → 0",
        ),
    ],
)
def test_what_binds_is_told(mine: Schema, theirs: Schema, told: str) -> None:
    assert any(told in difference for difference in of_bodies(mine, theirs))


def test_operations_parameters_and_statuses() -> None:
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer"}}
    mine = {
        "/items/{id}": {"get": operation(parameters=[limit], responses=answer({"type": "string"}))},
        "/gone": {"get": operation()},
    }
    theirs = {
        "/items/{item_id}": {
            "get": operation(parameters=[{**limit, "required": True}], responses=answer({"type": "string"}, "201"))
        },
        "/new": {"post": operation()},
    }
    assert found(mine, theirs) == [
        "GET /gone is missing",
        "GET /items/{id}: parameter limit (query) required: False → True",
        "GET /items/{id}: response 200 is missing",
        "GET /items/{id}: response 201 is added",
        "POST /new is added",
    ]


def test_schemas_that_all_lead_to_each_other_are_compared_once() -> None:
    names = [f"S{number}" for number in range(30)]
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in names]

    def all_of_them(maximum: int) -> Schema:
        leaf = {"type": "object", "properties": {"n": {"type": "integer", "maximum": maximum}}}
        fields = dict(zip(names, refs, strict=True))
        return {
            name: {"type": "object", "properties": {**fields, "any": {"oneOf": [*refs, leaf if name == "S29" else {}]}}}
            for name in names
        }

    one, other = (
        contract({"/a": {"post": operation(requestBody=body(refs[0]))}}, components={"schemas": all_of_them(maximum)})
        for maximum in (3, 4)
    )
    assert list(differences(one, one)) == []
    assert len(list(differences(one, other))) == 1


def test_a_component_is_compared_with_each_that_stands_in_its_place() -> None:
    name = {"$ref": "#/components/schemas/Name"}
    mine = {"type": "object", "properties": {"first": name, "last": name}}
    inline = [{"type": "string", "maxLength": length} for length in (9, 8)]
    theirs = {"type": "object", "properties": dict(zip(("first", "last"), inline, strict=True))}
    told = of_bodies(mine, theirs, {"Name": {"type": "string", "maxLength": 9}})
    assert told == ["POST /items: request body.last: maxLength 9 → 8"]
    choice = {"oneOf": [name, {"type": "integer", "minimum": 1}]}
    both = {"type": "object", "properties": {"a": choice, "b": choice}}
    other = {
        "type": "object",
        "properties": {
            name: {"oneOf": [{"type": "integer", "minimum": 1}, one]} for name, one in zip("ab", inline, strict=True)
        },
    }
    told = of_bodies(both, other, {"Name": {"type": "string", "maxLength": 9}})
    assert told == ["POST /items: request body.b: maxLength 9 → 8"]


def test_what_stands_beside_a_reference_counts() -> None:
    plain = {"$ref": "#/components/schemas/Name"}
    narrow = {**plain, "maxLength": 3}
    pair = [{"type": "object", "properties": {"a": plain, "b": schema}} for schema in (plain, narrow)]
    assert len(of_bodies(*pair, {"Name": {"type": "string", "minLength": 1}})) == 1
