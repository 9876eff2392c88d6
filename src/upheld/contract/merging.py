"""Two schemas as one mapping, as far as one mapping can say both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upheld.contract import shapes


def merge(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Both schemas at once, as far as one mapping can say it."""
    out = dict(left)
    for name, value in right.items():
        if name not in out:
            out[name] = value
        elif name == "properties" and isinstance(value, Mapping):
            mine = out[name]
            both = {k: {"allOf": [mine[k], value[k]]} for k in mine.keys() & value.keys() if mine[k] != value[k]}
            out[name] = {**value, **mine, **both}
        elif name == "required" and isinstance(value, list):
            out[name] = list(dict.fromkeys([*out[name], *value]))
        elif name in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
            out[name] = max(out[name], value)
        elif name in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
            out[name] = min(out[name], value)
        elif name == "enum" and isinstance(value, list):
            out[name] = [item for item in out[name] if item in value]
        elif name == "type":
            common = shapes.types(out) & shapes.types({"type": value})
            if "integer" in shapes.types(out) | shapes.types({"type": value}) and "number" in shapes.types(
                out
            ) | shapes.types(right):
                common = common or frozenset({"integer"})
            out[name] = sorted(common) if common else value
        elif name in ("oneOf", "anyOf") and value != out[name]:
            out.setdefault("allOf", [])
            out["allOf"] = [*out["allOf"], {name: value}]
    return out
