"""One valid instance of a schema: the document's own values, unique ones, and whatever Hypothesis can think of."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upheld.contract import Contract
from upheld.contract.dialect import Schemas
from upheld.contract.example import Maker, body_example, example, parameters_example
from upheld.contract.texts import from_regex, text

from .conftest import body, contract, document, fields, operation

EMPTY = Schemas(document({}))


def counter(prefix: str = "u7f3a") -> Callable[[], str]:
    numbers: Iterator[int] = itertools.count(1)
    return lambda: f"{prefix}x{next(numbers)}"


def make(schema: Any, name: str = "", **options: Any) -> Any:
    options.setdefault("unique", counter())
    return Maker(options.pop("schemas", EMPTY), **options).make(schema, name)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (True, "sample"),
        ({}, "sample"),
        ({"type": "string"}, "sample"),
        ({"type": "string", "minLength": 8}, "samplexx"),
        ({"type": "string", "maxLength": 3}, "sam"),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMaximum": -3}, -4),
        ({"type": "integer", "multipleOf": 7, "minimum": 8}, 14),
        ({"type": "integer", "multipleOf": 2.5}, 5),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.4}, 1.2),
        ({"type": "number", "multipleOf": 0.01}, 1),
        ({"type": "number", "minimum": 1.5}, 1.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 1),
        ({"const": {"a": 1}}, {"a": 1}),
        ({"enum": [None, "b"]}, None),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3, "uniqueItems": True}, [1, 2, 3]),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "uniqueItems": True}, ["a", "b"]),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False}, [1, "sample"]),
        ({"type": "array", "contains": {"const": 7}, "minContains": 2}, [7, 7]),
        (fields("a", b={"type": "integer"}, required=("b",)), {"b": 1}),
        ({"type": "object", "minProperties": 2, "properties": {"a": {"type": "integer"}}}, {"a": 1, "key1": "sample"}),
        ({"type": "object", "required": ["free"], "additionalProperties": {"type": "integer"}}, {"free": 1}),
        ({"allOf": [fields("a"), fields(b={"type": "integer"})]}, {"a": "sample", "b": 1}),
        ({"allOf": [{"type": "integer", "minimum": 2}, {"minimum": 9}]}, 9),
        ({"oneOf": [False, {"type": "integer"}]}, 1),
        ({"anyOf": [{"type": "null"}, {"type": "string", "minLength": 7}]}, None),
        ({"oneOf": [fields("a"), fields("b")], "type": "object"}, {"a": "sample"}),
        ({"type": "string", "format": "email"}, "sample@example.com"),
        ({"type": "string", "pattern": r"^[A-Z]{3}-\d{4}$"}, "AAA-0000"),
        ({"type": "string", "pattern": r"^\+?[1-9]\d{7,14}$"}, "10000000"),
        ({"type": "string", "examples": ["mine"], "default": "other"}, "mine"),
        ({"type": "string", "default": "other", "enum": ["first", "other"]}, "other"),
        ({"type": "integer", "example": "wrong", "minimum": 3}, 3),
        ({"type": "string", "format": "date", "examples": ["not a date"]}, "2026-01-15"),
    ],
)
def test_the_least_that_conforms(schema: Any, expected: Any) -> None:
    made = make(schema)
    assert made == expected
    assert EMPTY.validator(schema, "request").is_valid(made)


@pytest.mark.parametrize(
    "form",
    ["email", "uuid", "date-time", "date", "time", "duration", "uri", "uri-reference", "hostname", "ipv4", "ipv6", "byte", "password",
     "json-pointer", "regex", "iri", "uri-template", "idn-email", "unknown"],
)  # fmt: skip
def test_formats(form: str) -> None:
    schema = {"type": "string", "format": form}
    assert EMPTY.validator(schema).is_valid(make(schema))


def test_names_give_hints() -> None:
    schema = fields(
        "email",
        "website",
        "phone",
        "currency",
        country={"type": "string", "maxLength": 2},
        url={"type": "string", "maxLength": 200},
    )
    assert make(schema) == {
        "email": "sample@example.com", "website": "https://example.com/sample", "phone": "+12025550123", "currency": "EUR",
        "country": "DE", "url": "https://example.com/sample",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "schema", "expected"),
    [
        ("email", {"type": "string", "format": "email"}, "u7f3ax1@example.com"),
        ("email", {"type": "string"}, "u7f3ax1@example.com"),
        ("sku", {"type": "string"}, "u7f3ax1"),
        ("sku", {"type": "string", "minLength": 10}, "u7f3ax1xxx"),
        ("sku", {"type": "string", "pattern": "^[A-Z0-9]+$"}, "U7F3AX1"),
        ("url", {"type": "string", "format": "uri"}, "https://example.com/u7f3ax1"),
    ],
)
def test_unique_fields(name: str, schema: Any, expected: str) -> None:
    assert make(fields(**{name: schema}), fields=frozenset({name}))[name] == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "email", "maxLength": 12},
        {"type": "string", "maxLength": 5},
        {"type": "string", "format": "uuid"},
        {"type": "string", "pattern": r"^[A-Z]{3}-\d{5}$"},
        {"type": "string", "pattern": r"^ITEM-[0-9a-f]{8}$", "examples": ["ITEM-00000000"]},
        {"type": "integer"},
        {"type": "integer", "minimum": 1000, "maximum": 99999},
    ],
)
def test_unique_values_differ_and_conform(schema: Any) -> None:
    unique = counter()
    whole = fields(code=schema)
    made = [make(whole, fields=frozenset({"code"}), unique=unique)["code"] for _ in range(20)]
    assert len(set(made)) >= 19
    assert all(EMPTY.validator(schema).is_valid(value) for value in made)


def test_a_unique_field_may_be_named_by_its_path() -> None:
    for name in ("POST /users body.email", "user.email", "/user/email", "email", "Email"):
        assert make(fields("email"), fields=frozenset({name})) == {"email": "u7f3ax1@example.com"}


def test_an_example_of_the_whole_is_kept_but_for_its_unique_fields() -> None:
    schema = {**fields("email", "name", tags={"type": "array", "items": fields("slug")}),
              "examples": [{"email": "a@b.test", "name": "Ann", "tags": [{"slug": "x"}], "more": 1}]}  # fmt: skip
    made = make(schema, fields=frozenset({"email", "slug"}))
    assert made == {"email": "u7f3ax1@example.com", "name": "Ann", "tags": [{"slug": "u7f3ax2"}], "more": 1}
    assert schema["examples"][0]["email"] == "a@b.test"


def test_known_values_are_used_where_they_fit() -> None:
    schema = fields(
        "name", product_id={"type": "integer"}, owner_id={"type": "integer"}, required=("name", "product_id")
    )
    assert make(schema, known={"productId": 42, "owner_id": 7}) == {"name": "sample", "product_id": 42, "owner_id": 7}
    assert make(schema, known={"product_id": "no number"})["product_id"] == 1


def test_read_only_and_write_only_fields_are_left_out() -> None:
    schema = fields("name", id={"type": "integer", "readOnly": True}, password={"type": "string", "writeOnly": True})
    assert make(schema).keys() == {"name", "password"}
    assert make(schema, direction="response").keys() == {"name", "id"}


def test_recursion_is_cut_where_it_may_be() -> None:
    tree = {"$ref": "#/components/schemas/Tree"}
    schemas = Schemas(document({}, components={"schemas": {
        "Tree": fields("name", left=tree, children={"type": "array", "items": tree}, required=("name", "children")),
        "Nullable": fields(next={"anyOf": [{"$ref": "#/components/schemas/Nullable"}, {"type": "null"}]}),
        "Endless": fields(next={"$ref": "#/components/schemas/Endless"}),
    }}))  # fmt: skip
    for name in ("Tree", "Nullable", "Chooses"):
        schema = {"$ref": f"#/components/schemas/{name}"}
        assert schemas.validator(schema).is_valid(make(schema, schemas=schemas))
    assert make({"$ref": "#/components/schemas/Endless"}, schemas=schemas) is None


def test_a_discriminator_tells_its_branches_apart() -> None:
    schemas = Schemas(document({}, components={"schemas": {
        "Card": fields("kind", "number"), "Bank": fields("kind", "iban"),
    }}))  # fmt: skip
    choice = {
        "oneOf": [{"$ref": "#/components/schemas/Card"}, {"$ref": "#/components/schemas/Bank"}],
        "discriminator": {"propertyName": "kind", "mapping": {"card": "#/components/schemas/Card"}},
    }
    assert make(choice, schemas=schemas) == {"kind": "card", "number": "sample"}


def test_an_impossible_schema_gives_something() -> None:
    make({"type": "integer", "minimum": 5, "maximum": 1})
    make({"type": "string", "minLength": 5, "maxLength": 1})
    assert make(False) is None


# -- operations ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def made() -> Contract:
    given = body(fields("sku", "name"), example={"sku": "A", "name": "Lamp"})
    conflict = {"201": {"description": ""}, "409": {"description": ""}}
    parameters = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 10}},
        {"name": "lang", "in": "query", "required": True, "schema": {"type": "string"}, "example": "fr"},
        {"name": "q", "in": "query", "schema": {"type": "string"}},
        {"name": "X-Tenant", "in": "header", "required": True, "schema": {"enum": ["acme"]}},
    ]
    paths = {
        "/items": {"post": operation(requestBody=given, responses=conflict)},
        "/items/{id}": {"parameters": parameters, "get": operation(), "put": operation(requestBody=body(fields("a"), "application/x-www-form-urlencoded"))},
        "/raw": {"post": operation(requestBody=body({}, "text/plain"))},
    }  # fmt: skip
    return contract(paths)


def test_of_an_operation(made: Contract) -> None:
    create, read, replace, raw = made.operations
    assert body_example(made, create, unique=counter()) == ("application/json", {"sku": "u7f3ax1", "name": "Lamp"})
    assert body_example(made, read, unique=counter()) is None
    assert body_example(made, raw, unique=counter()) is None
    assert body_example(made, replace, unique=counter()) == ("application/x-www-form-urlencoded", {"a": "sample"})
    assert parameters_example(made, read, counter()) == {
        "path": {"id": 10}, "query": {"lang": "fr"}, "header": {"X-Tenant": "acme"}, "cookie": {},
    }  # fmt: skip
    assert parameters_example(made, read, counter(), known={"id": 77})["path"] == {"id": 77}
    assert create.body
    assert create.body.json_schema is not None
    assert example(made, create.body.json_schema, unique=counter()) == {"sku": "u7f3ax1", "name": "sample"}


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key", "X-Idempotency-Key"])
@pytest.mark.parametrize(
    "schema",
    [{"type": "string"}, {"type": "string", "format": "uuid"}, {"type": "string", "pattern": "^[0-9a-f]{16}$"}],
)
def test_an_idempotency_key_is_another_one_each_time(name: str, schema: dict[str, Any]) -> None:
    key = {"name": name, "in": "header", "required": True, "schema": schema, "example": "00000000aaaaaaaa"}
    shop = contract({"/orders": {"post": operation(parameters=[key])}})
    unique = counter()
    made = [parameters_example(shop, shop.operations[0], unique)["header"][name] for _ in range(5)]
    assert len(set(made)) == 5
    assert all(shop.validator(schema, "request").is_valid(value) for value in made)


def test_it_is_deterministic(made: Contract) -> None:
    create = made.operations[0]
    assert body_example(made, create, unique=counter()) == body_example(made, create, unique=counter())


# -- patterns ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[@$!%*?&])[A-Za-z\d@$!%*?&]{8,}$",
        r"^[a-z0-9_]+$", r"^[A-Z]{2}\d{3,}$", r"^(foo|bar)-\w+$", r"^\S+@\S+\.\S+$", r"^(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{8,}$",
        r"^[^/\s]+/[^/\s]+$", r"\d{3}", r"^(\d{1,3}\.){3}\d{1,3}$", r"^\p{Lu}\p{L}*$", r"^[\p{L}\d ]{3,}$", r"^#(?:[0-9a-fA-F]{3}){1,2}$",
        r"^(a)(b)\1$", r"^.{5,10}$", r"^$|^x$", r"^[+-]?\d+(\.\d+)?$", r"^(?!admin)[a-z]{5}$", r"^ab*?c$",
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", ["", "u1"])
def test_patterns(pattern: str, seed: str) -> None:
    schema = {"type": "string", "pattern": pattern}
    assert EMPTY.validator(schema).is_valid(text(schema, seed=seed))


def test_common_patterns_need_no_hypothesis() -> None:
    assert from_regex(r"^[A-Z]{3}-\d{4}$") == "AAA-0000"
    assert from_regex("(") is None
    code = "from upheld.contract.texts import text; text({'pattern': r'^[a-z]{3}\\d+$'}); import sys; sys.exit('hypothesis' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- anything ------------------------------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "email", "name", "id", "count"])


@st.composite
def integers(draw: st.DrawFn) -> Any:
    low = draw(st.none() | st.integers(-50, 50))
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["integer", "number"]))}
    if low is not None:
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = (low or 0) + draw(st.integers(21, 60))
    if draw(st.booleans()):
        schema["multipleOf"] = draw(st.integers(1, 10))
    return schema


@st.composite
def strings(draw: st.DrawFn) -> Any:
    schema: dict[str, Any] = {"type": "string"}
    kind = draw(st.sampled_from(["plain", "length", "format", "pattern"]))
    if kind == "length":
        schema["minLength"] = draw(st.integers(0, 30))
        schema["maxLength"] = schema["minLength"] + draw(st.integers(0, 5))
    elif kind == "format":
        schema["format"] = draw(st.sampled_from(["email", "uuid", "date", "date-time", "uri", "ipv4"]))
    elif kind == "pattern":
        low = draw(st.integers(1, 6))
        schema["pattern"] = draw(st.sampled_from(["^[a-z]{%d,}$", "^X-[0-9]{%d}$", "^(ab|cd){%d}$", "[A-F]{%d}"])) % low
    return schema


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def as_object(properties: dict[str, Any], chosen: list[str], least: int) -> Any:
        required = sorted({name for name in chosen if name in properties})
        return {"type": "object", "properties": properties, "required": required, "minProperties": least}

    objects = st.builds(
        as_object, st.dictionaries(names, inner, max_size=4), st.lists(names, max_size=4), st.integers(0, 3)
    )
    arrays = st.builds(
        lambda items, least: {"type": "array", "items": items, "minItems": least}, inner, st.integers(0, 3)
    )
    choices = st.builds(
        lambda word, parts: {word: parts}, st.sampled_from(["anyOf"]), st.lists(inner, min_size=1, max_size=3)
    )
    both = st.builds(lambda a, b: {"allOf": [a, b]}, objects, st.just({"type": "object", "required": ["extra"]}))
    return objects | arrays | choices | both


leaves = (
    integers()
    | strings()
    | st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"enum": [1, "a", None]}, {"const": [1]}, True])
)
schemata = st.recursive(leaves, nested, max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(schemata, st.booleans())
def test_what_is_made_conforms(schema: Any, unique: bool) -> None:
    made = make(schema, fields=frozenset({"email", "name", "id"}) if unique else frozenset())
    assert Schemas(document({})).validator(schema, "request").is_valid(made)
