"""Which fields of a body name members of other resources: ``product_id`` in an order is the id of a product."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from upheld.contract import shapes
from upheld.contract.words import key, singular

if TYPE_CHECKING:
    from upheld.contract.model import Contract, JsonSchema, Operation, Resource

_DEPTH = 4


def body_links(contract: Contract, operation: Operation) -> Mapping[str, Resource]:
    """Field name (as `upheld.contract.words.key` writes it) → the family whose id belongs there.

    By name alone: ``product_id``, ``productId``, ``product_ids``, ``product``; only families whose members can be made or listed.
    """
    schema = operation.body.json_schema if operation.body else None
    if schema is None:
        return {}
    families: dict[str, Resource] = {}
    for family in contract.resources:
        if "{" not in family.collection and (family.create is not None or family.list is not None):
            families.setdefault(singular(key(family.name)), family)
    found: dict[str, Resource] = {}
    for name, inner in _fields(contract, schema, _DEPTH):
        plain = key(name)
        for ending in ("_id", "_ids", "_uuid", "_key", ""):
            noun = plain.removesuffix(ending) if ending else plain
            named = families.get(singular(noun)) if not ending or noun != plain else None
            if named is not None and named.create != operation and (ending or _scalar(contract, inner)):
                found.setdefault(plain, named)
    return found


def _fields(contract: Contract, schema: JsonSchema, depth: int) -> Iterator[tuple[str, JsonSchema]]:
    for name, inner in shapes.properties(contract.schemas, schema).items():
        yield name, inner
        if depth:
            yield from _fields(contract, inner, depth - 1)
            items = shapes.items(contract.schemas, inner)
            if items is not None:
                yield from _fields(contract, items, depth - 1)


def _scalar(contract: Contract, schema: JsonSchema) -> bool:
    """It could be an id: a string or a whole number, no object of its own."""
    return bool(shapes.types(contract.schemas.expand(schema)) & {"string", "integer"})
