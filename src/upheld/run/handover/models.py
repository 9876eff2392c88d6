"""Named schemas of a document: which there are, and which of them a part of the document speaks of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SCHEMAS = "#/components/schemas/"


def named_schemas(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those under ``components.schemas``."""
    components = document.get("components")
    schemas = components.get("schemas") if isinstance(components, Mapping) else None
    return schemas if isinstance(schemas, Mapping) else {}


def named_model(document: Mapping[str, Any], name: str) -> tuple[str, frozenset[str]] | None:
    """(the schema's name in the document, names of its members) of what a report calls ``name``; None where there is none."""
    schemas = named_schemas(document)
    found = name if name in schemas else next((each for each in schemas if _plain(each) == _plain(name)), None)
    return None if found is None else (found, frozenset(_members(document, schemas[found], set())))


def models(document: Mapping[str, Any], part: Any) -> frozenset[str]:
    """Names of the schemas that ``part`` refers to, also through others."""
    found: set[str] = set()
    _walk(document, part, found)
    return frozenset(ref.removeprefix(_SCHEMAS) for ref in found if ref.startswith(_SCHEMAS))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _walk(document: Mapping[str, Any], part: Any, seen: set[str]) -> None:
    if isinstance(part, Mapping):
        ref = part.get("$ref")
        if isinstance(ref, str) and ref not in seen:
            seen.add(ref)
            _walk(document, _at(document, ref), seen)
        for value in part.values():
            _walk(document, value, seen)
    elif isinstance(part, list | tuple):
        for value in part:
            _walk(document, value, seen)


def _members(document: Mapping[str, Any], schema: Any, seen: set[str]) -> set[str]:
    """Names of properties, those of what it is made of too."""
    if not isinstance(schema, Mapping):
        return set()
    found = set(schema.get("properties") or ())
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref not in seen:
        found |= _members(document, _at(document, ref), {*seen, ref})
    for word in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(word) or ():
            found |= _members(document, each, seen)
    return found


def _at(document: Mapping[str, Any], ref: str) -> Any:
    """What a local reference names; None for others."""
    node: Any = document if ref.startswith("#/") else None
    for part in ref.removeprefix("#/").split("/"):
        node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    return node
