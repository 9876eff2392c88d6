"""The JSON Schema of upheld.yaml, for editors: completion, descriptions and red lines while the file is written.

``upheld.schema.json`` beside this module is what `json_schema` returns; a test keeps them in step.
"""

from __future__ import annotations

from typing import Any


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of the whole file."""
    from upheld.contract.policy import Policy

    schema = Policy.model_json_schema(by_alias=True)
    _tidy(schema)
    title = {
        "title": "upheld.yaml",
        "description": "What OpenAPI cannot say about a service: identities, limits, lives.",
    }
    schema["properties"]["openapi"] = _or_text(schema["properties"]["openapi"])
    schema["properties"]["identities"] |= _OR_FILE
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, **title}


_OR_FILE = {
    "type": ["object", "string"],
    "minLength": 1,
    "properties": {
        "extends": {
            "type": "string",
            "minLength": 1,
            "description": "A WFC authentication file, relative to upheld.yaml; the lines beside this one change or add to it.",
        }
    },
}
"""Identities that a file of its own holds."""


def _or_text(openapi: dict[str, Any]) -> dict[str, Any]:
    description = openapi.pop("description", "")
    text = {"type": "string", "minLength": 1, "examples": ["openapi.yaml", "/openapi.json"]}
    return {"description": description, "anyOf": [text, openapi]}


def _tidy(node: Any) -> None:
    """Titles made from names say nothing; defaults are shown in our units, which are not what the file is written in."""
    if isinstance(node, dict):
        for inner in node.get("properties", {}).values():
            inner.pop("title", None)
            if "default" in inner and not _writable(inner):
                del inner["default"]
            # A field that may be left out is left out, not written as null.
            options = [option for option in inner.get("anyOf", ()) if option != {"type": "null"}]
            if "anyOf" in inner and len(options) == 1:
                del inner["anyOf"]
                inner |= {**options[0], **inner}
        node.pop("title", None) if "properties" in node else None
        for value in node.values():
            _tidy(value)
    elif isinstance(node, list):
        for value in node:
            _tidy(value)


def _writable(field: dict[str, Any]) -> bool:
    default = field["default"]
    if isinstance(default, (dict, list)) or default is None:
        return False
    return field.get("type") != "string" or isinstance(default, str)
