"""Operations from a document: paths, parameters, bodies, answers, security; and what is wrong with a document."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from upheld.contract.load import from_parts, load
from upheld.contract.openapi import server_path
from upheld.errors import ContractError

from .conftest import Write, answer, body, contract, document, operation, problems


@pytest.mark.parametrize(
    ("servers", "path"),
    [
        (None, ""),
        ([], ""),
        ([{"url": "/"}], ""),
        ([{"url": "/api/v1/"}], "/api/v1"),
        ([{"url": "api"}], "/api"),
        ([{"url": "."}], ""),
        ([{"url": "https://api.example.test"}], ""),
        ([{"url": "https://api.example.test/base?x=1"}, {"url": "/other"}], "/base"),
        ([{"url": "https://{host}/{stage}/v1", "variables": {"host": {"default": "a.test"}, "stage": {"default": "live"}}}], "/live/v1"),
    ],
)  # fmt: skip
def test_the_path_of_the_first_server(servers: Any, path: str) -> None:
    assert server_path(servers) == path


@pytest.mark.parametrize(
    ("target", "servers", "path"),
    [
        ("http://127.0.0.1:8000", "/api", "/api/items"),
        ("http://127.0.0.1:8000/", "/api", "/api/items"),
        ("http://127.0.0.1:8000/v2/", "/api", "/v2/items"),
        (None, "https://a.test/api", "/api/items"),
    ],
)
def test_the_targets_own_path_wins(target: str | None, servers: str, path: str) -> None:
    made = from_parts({}, document({"/items": {"get": operation()}}, servers=[{"url": servers}]), target_url=target)
    assert [op.path for op in made.operations] == [path]


def test_servers_of_a_path_or_operation() -> None:
    paths = {
        "/a": {"get": operation(), "servers": [{"url": "/one"}]},
        "/b": {"get": operation(servers=[{"url": "/two"}])},
        "/c": {"get": operation()},
    }
    assert [op.path for op in contract(paths).operations] == ["/one/a", "/two/b", "/c"]
    given = from_parts({}, document(paths), target_url="http://h/base")
    assert [op.path for op in given.operations] == ["/base/a", "/base/b", "/base/c"]


def test_an_operation_is_read() -> None:
    thing = {"type": "object", "properties": {"id": {"type": "integer"}}}
    paths = {
        "/items/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                {"name": "trace", "in": "header", "schema": {"type": "string"}},
                {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
            ],
            "put": {
                "operationId": "replaceItem",
                "deprecated": True,
                "tags": ["items"],
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}, "example": 7},
                    {"name": "dry", "in": "query", "content": {"application/json": {"schema": {"type": "boolean"}}}},
                    {"$ref": "#/components/parameters/Page"},
                ],
                "requestBody": body({"$ref": "#/components/schemas/Thing"}, "application/JSON; charset=utf-8", example={"id": 1}),
                "responses": {
                    **answer({"$ref": "#/components/schemas/Thing"}),
                    "404": {"$ref": "#/components/responses/Missing"},
                    "5xx": {"description": ""},
                },
                "security": [{"bearer": []}, {"key": [], "sign": []}],
            },
        }
    }  # fmt: skip
    components = {
        "schemas": {"Thing": thing, "Page": {"type": "integer", "minimum": 1}},
        "parameters": {"Page": {"name": "page", "in": "query", "schema": {"$ref": "#/components/schemas/Page"}}},
        "responses": {
            "Missing": {
                "description": "",
                "headers": {"X-Why": {"required": True, "schema": {"type": "string"}}},
                "content": {"application/problem+json": {"schema": {}}},
            }
        },
        "securitySchemes": {name: {"type": "http", "scheme": "bearer"} for name in ("bearer", "key", "sign")},
    }
    made = contract(paths, components=components)
    (op,) = made.operations
    assert (op.label, op.operation_id, op.deprecated, op.tags) == ("PUT /items/{id}", "replaceItem", True, ("items",))
    assert [(p.name, p.location, p.required) for p in op.parameters] == [
        ("id", "path", True), ("trace", "header", False), ("dry", "query", False), ("page", "query", False),
    ]  # fmt: skip
    assert [p.schema for p in op.parameters] == [
        {"type": "integer"}, {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 1},
    ]  # fmt: skip
    assert op.parameters[0].example == 7
    assert op.body
    assert op.body.required
    assert op.body.json_schema == thing
    assert op.body.examples == {"application/json": {"id": 1}}
    assert op.response_for(200)
    assert op.responses["404"].headers == {"x-why": (True, {"type": "string"})}
    assert list(op.responses["404"].content) == ["application/problem+json"]
    assert op.response_for(503) is op.responses["5XX"]
    assert op.security == (frozenset({"bearer"}), frozenset({"key", "sign"}))
    assert op.secured
    assert made.notes == ()
    assert op.pointer == "/paths/~1items~1{id}/put"


def test_security_of_the_document_and_none_of_an_operation() -> None:
    schemes = {"securitySchemes": {"b": {"type": "http", "scheme": "bearer"}}}
    paths = {
        "/a": {"get": operation()},
        "/b": {"get": operation(security=[])},
        "/c": {"get": operation(security=[{}, {"b": []}])},
    }
    made = contract(paths, security=[{"b": []}], components=schemes)
    assert [op.secured for op in made.operations] == [True, False, False]
    assert made.operations[2].security == (frozenset(), frozenset({"b"}))


def test_lines_of_operations(write: Write) -> None:
    text = "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths:\n  /a:\n    get:\n      responses: {'200': {description: ''}}\n    post: {responses: {}}\n"
    assert [op.line for op in load(write(openapi=text)).operations] == [5, 7]
    made = load(write(openapi=json.dumps(document({"/a": {"get": operation()}}), indent=1)))
    assert made.operations[0].line == 9


# -- what is wrong -------------------------------------------------------------------------------------------------------

HEAD = "openapi: 3.1.0\ninfo: {title: t, version: '1'}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("swagger: '2.0'\npaths: {}\n", ["openapi.yaml:1: is Swagger 2.0; convert it to OpenAPI 3.0 or 3.1 first"]),
        ("openapi: 3.2.0\npaths: {}\n", ["openapi.yaml:1: is OpenAPI 3.2.0; 3.0 and 3.1 are understood"]),
        ("info: {}\n", ["openapi.yaml:1: is no OpenAPI document: it has no key 'openapi'"]),
        ("hello\n", ["openapi.yaml: is no OpenAPI document: it must be a mapping"]),
        ("", ["openapi.yaml: is no OpenAPI document: it must be a mapping"]),
        (HEAD + "paths: {}\n", ["openapi.yaml:3: has no operations: there is nothing to check"]),
        (HEAD, ["openapi.yaml: has no operations: there is nothing to check"]),
        (HEAD + "paths:\n  /a: {summary: x}\n", ["openapi.yaml:3: has no operations: there is nothing to check"]),
        (HEAD + "paths: [a]\n", ["openapi.yaml:3: paths must be a mapping"]),
        (HEAD + "paths:\n  /a: 3\n  /b:\n    get: text\n",
         ["openapi.yaml:4: the path '/a' must be a mapping", "openapi.yaml:6: GET /b must be a mapping"]),
        (HEAD + "paths:\n  /a:\n    get:\n      parameters: {a: b}\n      responses: [1]\n",
         ["openapi.yaml:5: GET /a: parameters must be a list", "openapi.yaml:5: GET /a: responses must be a mapping"]),
        (HEAD + "paths:\n  /a:\n    get: {responses: {}}\n  /a:\n    put: {}\n",
         ["openapi.yaml:6: the key '/a' is there twice, first in line 4"]),
        (HEAD + "paths: [\n", None),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_used(write: Write, text: str, expected: list[str] | None) -> None:
    found = problems(write(openapi=text))
    if expected is None:
        assert found[0].startswith("openapi.yaml:4: is not YAML")
    else:
        assert found == expected


def test_what_is_only_odd_is_a_note() -> None:
    paths = {
        "/a/{id}": {
            "get": operation(operationId="same", parameters=[{"name": "other", "in": "path", "required": True}]),
            "put": operation(operationId="same", security=[{"nowhere": []}], parameters=[{"in": "query"}]),
        },
        "/a/{name}": {"get": {"responses": {"teapot": {"description": ""}}}},
        "b": {"get": operation()},
        "x-more": {"get": 1},
    }
    made = contract(paths)
    assert [sentence for _, sentence in made.notes] == [
        "GET /a/{id}: the path parameter {id} is not declared; taken as text",
        "GET /a/{id}: the path parameter 'other' is not in the path",
        "PUT /a/{id}: a parameter needs a name and in: path, query, header or cookie; left out",
        "PUT /a/{id}: the path parameter {id} is not declared; taken as text",
        "PUT /a/{id}: the security scheme 'nowhere' is not defined",
        "GET /a/{name}: the path parameter {name} is not declared; taken as text",
        "GET /a/{name}: 'teapot' is no status such as 200, 4XX or default; left out",
        "the path 'b' does not begin with '/'; left out",
        "PUT /a/{id}: operationId 'same' belongs to GET /a/{id} too",
        "GET /a/{name}: cannot be told from GET /a/{id}",
    ]
    assert [op.label for op in made.operations] == ["GET /a/{id}", "PUT /a/{id}", "GET /a/{name}"]


def test_nesting_is_bounded() -> None:
    schema: Any = {}
    for _ in range(300):
        schema = {"items": schema}
    with pytest.raises(ContractError, match="is nested deeper than 200 levels"):
        contract({"/a": {"get": operation(responses=answer(schema))}})


# -- size ----------------------------------------------------------------------------------------------------------------


def large(count: int) -> dict[str, Any]:
    """A document in which every schema reaches every other one."""
    kinds = count // 5
    schemas = {
        f"S{i}": {
            "type": "object",
            "required": ["f0", "id"],
            "properties": {
                **{f"f{j}": {"type": "string", "maxLength": 50} for j in range(10)},
                "id": {"type": "integer", "readOnly": True},
                "next": {"$ref": f"#/components/schemas/S{(i + 1) % kinds}"},
            },
        }
        for i in range(kinds)
    }
    paths: dict[str, Any] = {}
    for i in range(kinds):
        ref = {"$ref": f"#/components/schemas/S{i}"}
        paths[f"/api/v1/r{i}s"] = {
            "get": operation(responses=answer({"type": "array", "items": ref})),
            "post": operation(requestBody=body(ref), responses=answer(ref, "201")),
        }
        paths[f"/api/v1/r{i}s/{{id}}"] = {
            "get": operation(responses=answer(ref)),
            "put": operation(requestBody=body(ref), responses=answer(ref)),
            "delete": operation(),
        }
    return document(paths, components={"schemas": schemas})


def test_five_hundred_operations_are_quick_and_linear() -> None:
    def seconds(count: int) -> float:
        given = large(count)
        begin = time.process_time()
        made = from_parts({}, given)
        assert len(made.dangerous) == 0
        assert len(made.resources) == count // 5
        return time.process_time() - begin

    small, big = min(seconds(100) for _ in range(2)), min(seconds(500) for _ in range(2))
    assert big < 1.5
    assert big < 12 * small
