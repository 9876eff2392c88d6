"""What a schema's instances look like from outside: properties through ``allOf`` and the like, found by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from upheld.contract.references import escape

if TYPE_CHECKING:
    from upheld.contract.dialect import Schemas
    from upheld.contract.model import JsonSchema, Operation


def types(schema: JsonSchema) -> frozenset[str]:
    """The types that ``type`` names; empty when it names none."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(kind, str):
        return frozenset({kind})
    return frozenset(str(item) for item in kind) if isinstance(kind, (list, tuple)) else frozenset()


def branches(schemas: Schemas, schema: JsonSchema, depth: int = 6) -> Iterator[Mapping[str, object]]:
    """The schema and, through references, every part of its ``allOf``, ``anyOf`` and ``oneOf``."""
    schema = schemas.expand(schema)
    if isinstance(schema, Mapping):
        yield schema
        for keyword in ("allOf", "anyOf", "oneOf") if depth else ():
            parts = schema.get(keyword)
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, (Mapping, bool)):
                    yield from branches(schemas, part, depth - 1)


def properties(schemas: Schemas, schema: JsonSchema, depth: int = 6) -> dict[str, JsonSchema]:
    """Properties by name, through references and combinations.

    Definitions of one name in an ``allOf`` hold together (an envelope whose ``data`` is narrowed); of the branches of a
    choice the first counts.
    """
    schema = schemas.expand(schema)
    if not isinstance(schema, Mapping):
        return {}
    own = schema.get("properties")
    found: dict[str, JsonSchema] = {}
    for name, value in own.items() if isinstance(own, Mapping) else ():
        if isinstance(value, (Mapping, bool)):
            found[str(name)] = value
    for keyword in ("allOf", "anyOf", "oneOf") if depth else ():
        parts = schema.get(keyword)
        for part in parts if isinstance(parts, list) else ():
            for name, value in properties(schemas, part, depth - 1).items():
                if name not in found:
                    found[name] = value
                elif keyword == "allOf" and found[name] != value:
                    found[name] = {"allOf": [found[name], value]}
    return found


def required(schemas: Schemas, schema: JsonSchema, depth: int = 6) -> frozenset[str]:
    """Names that every instance has, through references and ``allOf``."""
    schema = schemas.expand(schema)
    if not isinstance(schema, Mapping):
        return frozenset()
    own = schema.get("required")
    names = {str(name) for name in own} if isinstance(own, list) else set()
    parts = schema.get("allOf")
    for part in parts if isinstance(parts, list) and depth else ():
        names |= required(schemas, part, depth - 1)
    return frozenset(names)


def items(schemas: Schemas, schema: JsonSchema) -> JsonSchema | None:
    """The schema of an array's items; None when it is no array."""
    for branch in branches(schemas, schema):
        if "array" in types(branch) or "items" in branch:
            inner = branch.get("items", True)
            return inner if isinstance(inner, (Mapping, bool)) else True
    return None


def find(
    schemas: Schemas, schema: JsonSchema, wanted: Callable[[str, JsonSchema], bool], depth: int = 3
) -> Iterator[tuple[str, JsonSchema]]:
    """(JSON Pointer, schema) of properties that are wanted, nearest to the top first."""
    level: list[tuple[str, JsonSchema]] = [("", schema)]
    for _ in range(depth):
        below: list[tuple[str, JsonSchema]] = []
        for pointer, node in level:
            for name, value in properties(schemas, node).items():
                here = f"{pointer}/{escape(name)}"
                if wanted(name, value):
                    yield here, value
                elif properties(schemas, value):
                    below.append((here, value))
        level = below


def success_schema(operation: Operation) -> JsonSchema | None:
    """The JSON schema of the lowest documented 2xx answer with a body, or None."""
    for code in sorted(operation.responses):
        if code.startswith("2"):
            for media_type, schema in operation.responses[code].content.items():
                if media_type == "application/json" or media_type.endswith("+json") or media_type == "*/*":
                    return schema
    return None


def form_schema(operation: Operation) -> tuple[str, JsonSchema] | None:
    """(media type, schema) of the request body that we would send: JSON first, then a URL-encoded form."""
    if operation.body is None:
        return None
    content = operation.body.content
    for media_type, schema in content.items():
        if media_type == "application/json" or media_type.endswith("+json"):
            return media_type, schema
    for media_type in ("application/x-www-form-urlencoded", "multipart/form-data", "*/*"):
        if media_type in content:
            return ("application/json" if media_type == "*/*" else media_type), content[media_type]
    return None
