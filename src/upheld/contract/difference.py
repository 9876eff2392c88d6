"""In what two contracts differ, of all that binds: paths, methods, parameters, bodies, schemas, statuses.

Order, texts, names of components and of path parameters, operationIds, examples, tags and servers bind nobody. What can be
written in several ways (null, const, a single alternative) is brought to one before it is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from upheld.contract.dialect import Schemas
from upheld.contract.model import Contract, Operation, Parameter

_METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")
_INNER = ("items", "additionalProperties", "not")
_LISTS = ("allOf", "alternatives", "prefixItems")
_PLAIN = frozenset({
    "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
})  # fmt: skip
_BOUNDS_NOTHING = {"minLength": 0, "minItems": 0, "minProperties": 0, "uniqueItems": False}

Above = frozenset[tuple[str, str]]
"""Pairs of references that are being compared already: a circle ends here."""


def differences(mine: Contract, theirs: Contract) -> Iterator[str]:
    """A sentence for each difference, with what ``mine`` says before the arrow and what ``theirs`` says after it."""
    pair = _Pair(mine, theirs)
    ours, others = _by_shape(mine), _by_shape(theirs)
    for key in sorted(ours.keys() | others.keys()):
        if key not in others:
            yield f"{ours[key].label} is missing"
        elif key not in ours:
            yield f"{others[key].label} is added"
        else:
            for difference in pair.operations(ours[key], others[key]):
                yield f"{ours[key].label}: {difference}"


def _by_shape(contract: Contract) -> dict[tuple[str, str], Operation]:
    found = {}
    for op in contract.operations:
        parts = ("{}" if part.startswith("{") and part.endswith("}") else part for part in op.path.split("/"))
        if op.method in _METHODS:
            found["/".join(parts), op.method] = op
    return found


class _Pair:
    """Two documents, compared part by part."""

    def __init__(self, mine: Contract, theirs: Contract) -> None:
        self.mine, self.theirs = Schemas(mine.document), Schemas(theirs.document)

    def operations(self, mine: Operation, theirs: Operation) -> Iterator[str]:
        yield from self._parameters(_parameters(mine), _parameters(theirs))
        if mine.body is None or theirs.body is None:
            if mine.body is not theirs.body:
                yield f"the request body is {'missing' if theirs.body is None else 'added'}"
        else:
            if mine.body.required != theirs.body.required:
                yield f"request body required: {mine.body.required} → {theirs.body.required}"
            yield from self._contents("request body", mine.body.content, theirs.body.content)
        yield from _names("response", mine.responses, theirs.responses)
        for code in sorted(mine.responses.keys() & theirs.responses.keys()):
            yield from self._contents(f"response {code}", mine.responses[code].content, theirs.responses[code].content)

    def _parameters(self, mine: Mapping[str, Parameter], theirs: Mapping[str, Parameter]) -> Iterator[str]:
        yield from _names("parameter", mine, theirs)
        for name in sorted(mine.keys() & theirs.keys()):
            if mine[name].required != theirs[name].required:
                yield f"parameter {name} required: {mine[name].required} → {theirs[name].required}"
            yield from self._schemas(f"parameter {name}", mine[name].schema, theirs[name].schema, frozenset())

    def _contents(self, where: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
        yield from _names(f"{where}, media type", mine, theirs)
        for kind in sorted(mine.keys() & theirs.keys()):
            yield from self._schemas(where, mine[kind], theirs[kind], frozenset())

    def _schemas(self, where: str, mine: Any, theirs: Any, above: Above) -> Iterator[str]:
        refs = (_ref(mine), _ref(theirs))
        if any(refs):
            if refs in above:
                return
            above |= {refs}
        one, other = _canonical(self.mine, mine), _canonical(self.theirs, theirs)
        for word in sorted((one.keys() | other.keys()) - {"properties", *_INNER, *_LISTS}):
            if one.get(word) != other.get(word):
                yield f"{where}: {word} {_shown(one.get(word))} → {_shown(other.get(word))}"
        left, right = one.get("properties", {}), other.get("properties", {})
        yield from _names(f"{where}, property", left, right)
        for name in sorted(left.keys() & right.keys()):
            yield from self._schemas(f"{where}.{name}", left[name], right[name], above)
        for word in _INNER:
            if word in one or word in other:
                yield from self._schemas(f"{where}, {word}", one.get(word, True), other.get(word, True), above)
        for word in _LISTS:
            ours, others = one.get(word, []), other.get(word, [])
            if len(ours) != len(others):
                yield f"{where}: {len(ours)} {word} → {len(others)}"
            for a, b in zip(ours, others, strict=False):
                yield from self._schemas(where, a, b, above)


def _canonical(schemas: Schemas, schema: Any, depth: int = 0) -> dict[str, Any]:
    schema = schemas.expand(schema)
    if not isinstance(schema, Mapping):
        return {} if schema else {"fits": "nothing"}
    found = {w: v for w, v in schema.items() if w in _PLAIN and _BOUNDS_NOTHING.get(w, ...) != v}
    found |= {
        w: schema[w] for w in ("properties", *_INNER, "allOf", "prefixItems") if schema.get(w) not in (None, [], {})
    }
    if found.get("additionalProperties") is True:
        del found["additionalProperties"]
    options = [*(schema.get("anyOf") or []), *(schema.get("oneOf") or [])]
    others = [option for option in options if _kinds(schemas.expand(option)) != ["null"]]
    kinds = _kinds(schema)
    nullable = len(others) < len(options) or ("null" in kinds and len(kinds) > 1)
    found["type"] = " or ".join(kind for kind in kinds if kind != "null" or not nullable)
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        found["enum"] = ", ".join(sorted(repr(value) for value in values if value is not None or not nullable))
    found["required"] = sorted(schema.get("required") or [])
    if len(others) > 1:
        found["alternatives"] = sorted(others, key=repr)
    single = [*(others if len(others) == 1 else []), *(found.pop("allOf") if len(found.get("allOf", [])) == 1 else [])]
    for option in single if depth < 20 else ():
        inner = _canonical(schemas, option, depth + 1)
        required = sorted({*inner.get("required", []), *found["required"]})
        nullable = nullable or bool(inner.get("nullable"))
        found = {**inner, **{w: v for w, v in found.items() if v not in ("", [], {})}, "required": required}
    if nullable:
        found["nullable"] = True
    return {word: value for word, value in found.items() if value not in ("", [], {})}


def _kinds(schema: Any) -> list[str]:
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    return sorted({kinds} if isinstance(kinds, str) else {str(kind) for kind in kinds or ()})


def _parameters(operation: Operation) -> dict[str, Parameter]:
    found = {f"number {number} (path)": p for number, p in enumerate(operation.path_parameters, 1)}
    for parameter in operation.parameters:
        name = parameter.name.lower() if parameter.location == "header" else parameter.name
        if parameter.location != "path":
            found[f"{name} ({parameter.location})"] = parameter
    return found


def _names(what: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(mine.keys() - theirs.keys()):
        yield f"{what} {name} is missing"
    for name in sorted(theirs.keys() - mine.keys()):
        yield f"{what} {name} is added"


def _ref(schema: Any) -> str:
    return str(schema.get("$ref", "")) if isinstance(schema, Mapping) else ""


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value}"[:60]
