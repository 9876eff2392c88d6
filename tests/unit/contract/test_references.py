"""``$ref``: local, in other files, broken, remote, in circles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.contract.load import load
from upheld.contract.references import at, escape, steps

from .conftest import Write, answer, body, contract, document, fields, operation, problems

ITEM = {"$ref": "#/components/schemas/Item"}


@given(st.lists(st.text(max_size=5), max_size=4))
def test_a_pointer_is_taken_apart_as_it_was_made(parts: list[str]) -> None:
    assert steps("".join("/" + escape(part) for part in parts)) == parts


def test_at_raises_where_nothing_is() -> None:
    for pointer in ("/a/0/x", "/a/7", "/a/x", "/b"):
        with pytest.raises(LookupError):
            at({"a": [1]}, pointer)


def test_chains_and_escapes_are_followed() -> None:
    schemas = {"Item": {"$ref": "#/components/schemas/a~1b%20c"}, "a/b c": {"$ref": "#/components/schemas/Deep/properties/x"},
               "Deep": fields(x={"type": "integer"})}  # fmt: skip
    made = contract({"/a": {"get": operation(responses=answer(ITEM))}}, components={"schemas": schemas})
    assert made.operations[0].responses["200"].content["application/json"] == {"type": "integer"}


def test_circles_do_not_loop() -> None:
    schemas = {
        "Item": fields("name", parent=ITEM, children={"type": "array", "items": ITEM}, required=("name",)),
        "Self": {"$ref": "#/components/schemas/Self"},
        "Ping": {"$ref": "#/components/schemas/Pong"},
        "Pong": {"$ref": "#/components/schemas/Ping"},
    }
    paths = {
        f"/{name}": {"post": operation(requestBody=body({"$ref": f"#/components/schemas/{name}"}))} for name in schemas
    }
    made = contract(paths, components={"schemas": schemas})
    item = made.operations[0].body.json_schema  # type: ignore[union-attr]
    assert item is not None
    validator = made.validator(item, "request")
    assert validator.is_valid({"name": "a", "parent": {"name": "b", "children": [{"name": "c"}]}})
    assert not validator.is_valid({"name": "a", "parent": {"name": "b", "children": [{"name": 1}]}})
    assert [op.body.json_schema for op in made.operations[1:]] == [True, True, True]  # type: ignore[union-attr]


def test_broken_references_are_told_with_their_lines(write: Write) -> None:
    text = """\
openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /a:
    get:
      parameters:
        - $ref: '#/components/parameters/Nope'
      responses:
        '200':
          description: ''
          content:
            application/json:
              schema: {$ref: '#/components/schemas/Gone'}
              example: {$ref: '#/this/is/a/value'}
        '404': {$ref: 'https://a.test/problems.yaml#/NotFound'}
        '405': {$ref: 'shared.yaml#/Missing'}
        '406': {$ref: '../outside.yaml'}
        '407': {$ref: '#anchor'}
"""
    assert problems(write(openapi=text)) == [
        "openapi.yaml:7: $ref '#/components/parameters/Nope' points to nothing",
        "openapi.yaml:13: $ref '#/components/schemas/Gone' points to nothing",
        "openapi.yaml:15: $ref 'https://a.test/problems.yaml#/NotFound' points to another host; "
        "copy it here, or allow it: openapi: {remote_refs: true}",
        "openapi.yaml:16: $ref 'shared.yaml#/Missing' points to a file that is not there",
        "openapi.yaml:17: $ref '../outside.yaml' leaves the contract's folder",
        "openapi.yaml:18: $ref '#anchor' points to nothing",
    ]


def test_what_is_no_schema_must_come_to_an_end(write: Write) -> None:
    text = """\
openapi: 3.1.0
info: {title: t, version: '1'}
paths:
  /fine:
    get:
      responses:
        '200': {$ref: '#/components/responses/Round'}
        '404': {$ref: '#/components/responses/Fine'}
  /a:
    $ref: '#/paths/~1b'
  /b:
    $ref: '#/paths/~1a'
  /in:
    $ref: '#/paths/~1a'
  /self: {$ref: '#/paths/~1self'}
  /file:
    $ref: parts.yaml#/Ping
components:
  schemas:
    Any: {$ref: '#/components/schemas/Any'}
    headers: {properties: {x: {$ref: '#/components/schemas/Any'}}}
  responses:
    Round: {$ref: '#/components/responses/Round'}
    Fine: {description: ''}
"""
    parts = "Ping: {$ref: '#/Pong'}\nPong: {$ref: '#/Ping'}\n"
    round_ = "goes round in a circle:"
    assert problems(write(openapi=text, parts_yaml=parts)) == [
        f"openapi.yaml:7: $ref '#/components/responses/Round' {round_} "
        "#/components/responses/Round → #/components/responses/Round",
        f"openapi.yaml:10: $ref '#/paths/~1b' {round_} #/paths/~1b → #/paths/~1a → #/paths/~1b",
        f"openapi.yaml:15: $ref '#/paths/~1self' {round_} #/paths/~1self → #/paths/~1self",
        f"openapi.yaml:17: $ref 'parts.yaml#/Ping' {round_} parts.yaml#/Ping → parts.yaml#/Pong → parts.yaml#/Ping",
    ]


def test_remote_references_when_allowed(write: Write) -> None:
    given = document({"/a": {"get": operation(responses=answer({"$ref": "https://a.test/s.json#/X"}))}})
    made = load(write(upheld="upheld: 1\nopenapi: {file: openapi.yaml, remote_refs: true}\n", openapi=given))
    schema = made.operations[0].responses["200"].content["application/json"]
    assert made.validator(schema).is_valid({"any": "thing"})


def test_files_of_the_folder_are_drawn_in(write: Write) -> None:
    root = """\
openapi: 3.1.0
info: {title: t, version: '1'}
paths:
  /items:
    $ref: paths/items.yaml
components:
  schemas:
    Local: {type: integer}
"""
    items = """\
get:
  responses:
    '200':
      description: ''
      content:
        application/json: {schema: {$ref: '../schemas/all.yaml#/Item'}}
post:
  requestBody: {content: {application/json: {schema: {$ref: '../openapi.yaml#/components/schemas/Local'}}}}
  responses: {}
"""
    schemas = """\
Item:
  type: object
  properties:
    size: {$ref: '#/Size'}
    tag: {$ref: tag.json}
Size: {type: integer, minimum: 1}
"""
    folder = write(
        openapi=root, paths__items_yaml=items, schemas__all_yaml=schemas, schemas__tag_json='{"enum": ["a", "b"]}'
    )
    made = load(folder)
    assert [op.label for op in made.operations] == ["GET /items", "POST /items"]
    item = made.operations[0].responses["200"].content["application/json"]
    assert made.validator(item).is_valid({"size": 1, "tag": "a"})
    assert not made.validator(item).is_valid({"size": 0})
    assert not made.validator(item).is_valid({"tag": "c"})
    assert made.operations[1].body
    assert made.operations[1].body.json_schema == {"type": "integer"}


def test_what_is_wrong_in_a_drawn_file_names_that_file(write: Write) -> None:
    given = document({"/a": {"get": operation(responses=answer({"$ref": "s.yaml#/A"}))}})
    folder = write(openapi=given, s_yaml="A:\n  properties:\n    b: {$ref: '#/B'}\n")
    assert problems(folder) == ["s.yaml:3: $ref '#/B' points to nothing"]
    assert problems(write(openapi=given, s_yaml="A: {\n"))[0].startswith("s.yaml:2: is not YAML")


def test_anchors_and_ids() -> None:
    schemas: dict[str, Any] = {
        "Item": {"$anchor": "item", "type": "integer"},
        "Named": {"$id": "https://a.test/named", "type": "boolean"},
    }
    made = contract(
        {"/a": {"get": operation(responses=answer(fields(a={"$ref": "#item"}, b={"$ref": "https://a.test/named"})))}},
        components={"schemas": schemas},
    )
    validator = made.validator(made.operations[0].responses["200"].content["application/json"])
    assert validator.is_valid({"a": 1, "b": True})
    assert not validator.is_valid({"a": "x", "b": True})
    assert not validator.is_valid({"a": 1, "b": "x"})


def test_a_property_may_be_called_ref() -> None:
    schema = {"type": "object", "properties": {"$ref": {"type": "string"}, "example": {"type": "integer"}}}
    made = contract({"/a": {"get": operation(responses=answer(schema))}})
    validator = made.validator(made.operations[0].responses["200"].content["application/json"])
    assert validator.is_valid({"$ref": "x"})
    assert not validator.is_valid({"$ref": 1})
