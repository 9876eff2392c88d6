"""Answers hold no members that the document does not declare.

## What it requires
Every member of every object in a 2xx answer is declared by the document's schema. Objects that the document leaves open
(`additionalProperties`, `patternProperties`, `unevaluatedProperties`, or no properties at all) may hold anything, and so may
members that begin with `_`, `@` or `$`, which hypermedia formats use.

## Why
A member that nobody declared is one that nobody decided to show. This is how password hashes and internal flags get out (OWASP
API3:2023): the handler returns the database row instead of its public form.

## What it sends
Nothing. It looks at every 2xx answer of the whole run.

## Example of a breach
`GET /users/me` answers with `password_hash` beside the declared `id` and `email`.

## When to waive it
For members that are announced and not yet in the document; with an early end date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from upheld.check import (
    SHOULD,
    Clause,
    Example,
    Finding,
    Kept,
    NotApplicable,
    Outcome,
    Requirement,
    Subject,
    Subjects,
    seen,
)
from upheld.exchange import Exchange, NotJson, Response
from upheld.steps import reached

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.contract.model import JsonSchema

REQUIREMENT = Requirement(
    title="answers hold only declared members",
    level=SHOULD,
    clause=Clause(
        "OWASP API3:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa3-broken-object-property-level-authorization/",
        "define and enforce data returned by all API methods",
    ),
    catalogue=("BODY-04",),
    owasp="API3:2023",
    cwe=("CWE-213",),
)

# With any of these a schema says more about names than its properties do.
_OPENING = ("patternProperties", "if", "dependentSchemas", "$dynamicRef", "propertyNames", "not")
_CLOSABLE = ("additionalProperties", "unevaluatedProperties")


def subjects(contract: Contract) -> Subjects:
    found = [
        Subject(op.label, operation=op)
        for op in contract.operations
        if any(code.startswith("2") and spec.content for code, spec in op.responses.items())
    ]
    return found or NotApplicable("the document describes no content of 2xx answers")


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    from upheld.contract.conformance import media_key

    response, operation = exchange.response, reached(exchange, contract)
    if operation is None or not response.ok or not response.body or not response.is_json or response.truncated:
        return None
    spec = operation.response_for(response.status)
    key = media_key(spec.content, response.media_type) if spec is not None else None
    if spec is None or key is None:
        return None
    try:
        found = next(_undeclared(contract, spec.content[key], response.json(), ""), None)
    except NotJson:
        return None
    if found is None:
        return Kept()
    pointer, declared = found
    return Finding(
        expected=f"no members but {', '.join(declared[:12])}{', …' if len(declared) > 12 else ''}",
        actual=f"{response.status} with {pointer}, which the document does not declare",
        origin=f"{pointer.rpartition('/')[2]} beside {', '.join(declared)}",
        request=exchange.request,
    )


def _undeclared(
    contract: Contract, schema: JsonSchema, value: Any, pointer: str, depth: int = 12
) -> Iterator[tuple[str, list[str]]]:
    """(JSON Pointer, what is declared beside it) of members without a declaration."""
    from upheld.contract import shapes

    if isinstance(value, list):
        inner = shapes.items(contract.schemas, schema)
        for index, item in enumerate(value[:50] if inner is not None and depth else ()):
            yield from _undeclared(contract, inner or True, item, f"{pointer}/{index}", depth - 1)
    elif isinstance(value, dict) and depth:
        properties = shapes.properties(contract.schemas, schema)
        if not properties:
            return
        closed = not any(_open(branch) for branch in shapes.branches(contract.schemas, schema))
        for name, member in value.items():
            if name in properties:
                yield from _undeclared(contract, properties[name], member, f"{pointer}/{name}", depth - 1)
            elif closed and not name.startswith(("_", "@", "$")):
                yield f"{pointer}/{name}", sorted(properties)


def _open(schema: Mapping[str, Any]) -> bool:
    return any(word in schema for word in _OPENING) or any(schema.get(word, False) is not False for word in _CLOSABLE)


_ITEM = {"id": "i1", "name": "lamp", "quantity": 1}
_READ = "GET /api/v1/items/{item_id}"


def _read(body: object, operation: str = _READ) -> Exchange:
    path = "/api/v1/items/i1" if operation == _READ else "/api/v1/items"
    return seen("GET", path, Response.of(200, body), operation=operation)


def _unspoken(document: dict[str, Any]) -> None:
    del document["components"]["schemas"]["Item"]["additionalProperties"]


def _opened(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Item"]["additionalProperties"] = {"type": "integer"}


def _composed(document: dict[str, Any]) -> None:
    cost = {"type": "object", "properties": {"cost": {"type": "integer"}}}
    schemas = document["components"]["schemas"]
    schemas["Base"] = {name: rule for name, rule in schemas["Item"].items() if name != "additionalProperties"}
    schemas["Item"] = {"allOf": [{"$ref": "#/components/schemas/Base"}, cost]}


CONFORMING = (
    Example("declared members", _read(_ITEM)),
    Example("an open object", _read({**_ITEM, "cost": 3}), document=_opened),
    Example("members from the other part of allOf", _read({**_ITEM, "cost": 3}), document=_composed),
    Example("links of a hypermedia format", _read({**_ITEM, "_links": {}, "@type": "Item"})),
)
BREACHING = (
    Example("a member more", _read({**_ITEM, "password_hash": "x"})),
    Example("deep in a list", _read({"items": [_ITEM, {**_ITEM, "cost": 3}]}, "GET /api/v1/items")),
    Example("in neither part of allOf", _read({**_ITEM, "margin": 3}), document=_composed),
    Example("where the document does not close the object", _read({**_ITEM, "cost": 3}), document=_unspoken),
)
