"""In what two contracts differ: paths, methods, parameters, bodies, schemas, statuses, header fields, credentials.

Order, texts, names of components and of path parameters, operationIds, examples, tags and servers bind nobody. What can be
written in several ways (null, const, a single alternative, alternatives of plain types) is brought to one before it is compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from upheld.contract.dialect import Schemas
from upheld.contract.model import Contract, Operation, Parameter, ResponseSpec

_METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")
_INNER = ("items", "additionalProperties", "not")
_ALL_OF, _ALTERNATIVES = "allOf", "alternatives"
_PLAIN = frozenset({
    "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "default",
})  # fmt: skip
_BOUNDS_NOTHING = {"minLength": 0, "minItems": 0, "minProperties": 0, "uniqueItems": False}
_NOTHING: tuple[Any, ...] = ("", [], {}, ())

Side = Literal["operation", "request", "response"]


@dataclass
class _Walk:
    """What is still to be compared: (where, one schema, the other). Each pair once: circles end, and nothing is told twice."""

    todo: deque[tuple[str, Any, Any]] = field(default_factory=deque)
    seen: dict[tuple[object, object], tuple[Any, Any]] = field(default_factory=dict)

    def later(self, where: str, mine: Any, theirs: Any) -> None:
        if (key := _identity(mine, theirs)) not in self.seen:
            # Kept, so that no other schema gets its id.
            self.seen[key] = (mine, theirs)
            self.todo.append((where, mine, theirs))


@dataclass(frozen=True)
class Difference:
    """One thing that two contracts say in different ways."""

    side: Side
    where: str
    """``response 200.name``, ``parameter limit (query)``; empty for the operation itself."""
    what: str
    """A keyword of the schema, or ``required``, ``header``, ``status``, ``media type``, ``property``, ``security`` and the like."""
    before: Any
    after: Any
    """Of what comes and goes: whether it is there, and then ``"required"`` or ``"optional"`` where that can be said; None where it
    is not. Of ``required``: names that were required and need not be there any more, and names that have to be from now on. Of
    alternatives: how many have no counterpart."""
    text: str
    """The sentence, what the first contract says before the arrow and what the other says after it."""
    binds: bool = True
    """Whether a document that is generated from code can be asked to say the same."""


def differences(mine: Contract, theirs: Contract) -> Iterator[str]:
    """A sentence for each difference that binds, with what ``mine`` says before the arrow and what ``theirs`` says after it."""
    for label, found in compare(mine, theirs):
        if found.binds:
            yield f"{label}: {found.text}" if found.where or found.side != "operation" else f"{label} {found.text}"


def compare(mine: Contract, theirs: Contract) -> Iterator[tuple[str, Difference]]:
    """(label of the operation, difference), operation by operation."""
    pair = _Pair(mine, theirs)
    for ours, other in pairs(mine, theirs):
        if other is None and ours is not None:
            yield ours.label, Difference("operation", "", "operation", "required", None, "is missing")
        elif ours is None and other is not None:
            yield other.label, Difference("operation", "", "operation", None, "optional", "is added")
        elif ours is not None and other is not None:
            for difference in pair.operations(ours, other):
                yield ours.label, difference


def pairs(mine: Contract, theirs: Contract) -> Iterator[tuple[Operation | None, Operation | None]]:
    """The operations of both, by method and path whatever its parameters are called; None where one has no such operation."""
    ours, others = _by_shape(mine), _by_shape(theirs)
    for key in sorted(ours.keys() | others.keys()):
        yield ours.get(key), others.get(key)


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
        self.schemes = (mine.security_schemes, theirs.security_schemes)
        self._alike: dict[tuple[object, object], tuple[Any, Any, bool]] = {}

    def operations(self, mine: Operation, theirs: Operation) -> Iterator[Difference]:
        yield from self._parameters(_parameters(mine), _parameters(theirs))
        if mine.body is None or theirs.body is None:
            if mine.body is not theirs.body:
                before, after = (None if body is None else _need(body.required) for body in (mine.body, theirs.body))
                text = f"the request body is {'missing' if theirs.body is None else 'added'}"
                yield Difference("request", "request body", "body", before, after, text)
        else:
            yield from _required("request", "request body", mine.body.required, theirs.body.required)
            yield from self._contents("request", "request body", mine.body.content, theirs.body.content)
        yield from _names("response", "", "status", "response", mine.responses, theirs.responses)
        for code in sorted(mine.responses.keys() & theirs.responses.keys()):
            yield from self._response(f"response {code}", mine.responses[code], theirs.responses[code])
        yield from self._promises(mine, theirs)

    def _promises(self, mine: Operation, theirs: Operation) -> Iterator[Difference]:
        """Credentials, and how long the operation will be there."""
        before, after = (
            frozenset(frozenset(_carried(schemes, name) for name in names) for names in operation.security or [()])
            for operation, schemes in zip((mine, theirs), self.schemes, strict=True)
        )
        if before != after:
            text = f"credentials {_credentials(before)} → {_credentials(after)}"
            yield Difference("operation", "credentials", "security", before, after, text, binds=False)
        for what, one, other in (
            ("deprecated", mine.deprecated or None, theirs.deprecated or None),
            *((word, mine.raw.get(word), theirs.raw.get(word)) for word in ("x-sunset", "x-stability-level")),
        ):
            if str(one) != str(other):
                text = f"{what} {_shown(one)} → {_shown(other)}"
                yield Difference("operation", what, what, one, other, text, binds=False)

    def _parameters(self, mine: Mapping[str, Parameter], theirs: Mapping[str, Parameter]) -> Iterator[Difference]:
        needs = [{name: _need(p.required) for name, p in side.items()} for side in (mine, theirs)]
        yield from _names("request", "", "parameter", "parameter", *needs)
        for name in sorted(mine.keys() & theirs.keys()):
            where = f"parameter {name}"
            yield from _required("request", where, mine[name].required, theirs[name].required)
            yield from self._schemas("request", where, mine[name].schema, theirs[name].schema)

    def _response(self, where: str, mine: ResponseSpec, theirs: ResponseSpec) -> Iterator[Difference]:
        yield from self._contents("response", where, mine.content, theirs.content)
        needs = [{name: _need(spec[0]) for name, spec in side.headers.items()} for side in (mine, theirs)]
        yield from _names("response", where, "header", f"{where}, header", *needs, binds=False)
        for name in sorted(mine.headers.keys() & theirs.headers.keys()):
            (one, left), (other, right) = mine.headers[name], theirs.headers[name]
            yield from _required("response", f"{where}, header {name}", one, other, binds=False)
            for found in self._schemas("response", f"{where}, header {name}", left, right):
                yield Difference(
                    found.side, found.where, found.what, found.before, found.after, found.text, binds=False
                )

    def _contents(
        self, side: Side, where: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]
    ) -> Iterator[Difference]:
        yield from _names(side, where, "media type", f"{where}, media type", mine, theirs)
        for kind in sorted(mine.keys() & theirs.keys()):
            yield from self._schemas(side, where, mine[kind], theirs[kind])

    def _schemas(self, side: Side, where: str, mine: Any, theirs: Any) -> Iterator[Difference]:
        walk = _Walk()
        walk.later(where, mine, theirs)
        while walk.todo:
            yield from self._pair(side, *walk.todo.popleft(), walk)

    def _pair(self, side: Side, where: str, mine: Any, theirs: Any, walk: _Walk) -> Iterator[Difference]:
        one, other = _canonical(self.mine, mine), _canonical(self.theirs, theirs)
        left, right = one.get("properties", {}), other.get("properties", {})
        structure = {"properties", "prefixItems", *_INNER, _ALL_OF, _ALTERNATIVES}
        for word in sorted((one.keys() | other.keys()) - structure):
            before, after = one.get(word), other.get(word)
            if before != after:
                text = f"{where}: {word} {_shown(before)} → {_shown(after)}"
                if word == "required":
                    before, after = (
                        [name for name in one.get(word, []) if name not in other.get(word, []) and name in right],
                        [name for name in other.get(word, []) if name not in one.get(word, [])],
                    )
                yield Difference(side, where, word, before, after, text, binds=word != "default")
        needs = [{name: _need(name in s.get("required", [])) for name in s.get("properties", {})} for s in (one, other)]
        yield from _names(side, where, "property", f"{where}, property", *needs)
        for name in sorted(left.keys() & right.keys()):
            walk.later(f"{where}.{name}", left[name], right[name])
        for word in _INNER:
            if word in one or word in other:
                walk.later(f"{where}, {word}", one.get(word, True), other.get(word, True))
        yield from self._lists(
            side, where, "prefixItems", (one.get("prefixItems", []), other.get("prefixItems", [])), walk
        )
        for word in (_ALL_OF, _ALTERNATIVES):
            ours, others = one.get(word, []), other.get(word, [])
            # What has no alternatives is its own only one.
            alone = word == _ALTERNATIVES
            lacking = self._unmatched(
                ours or ([mine] if others and alone else []),
                others or ([theirs] if ours and alone else []),
                where,
                walk,
            )
            if len(ours) != len(others):
                text = f"{where}: {len(ours)} {word} → {len(others)}"
                yield Difference(side, where, word, len(lacking[0]), len(lacking[1]), text)
            else:
                yield from self._lists(side, where, word, lacking, walk)

    def _lists(
        self, side: Side, where: str, word: str, lists: tuple[Sequence[Any], Sequence[Any]], walk: _Walk
    ) -> Iterator[Difference]:
        ours, others = lists
        if len(ours) != len(others):
            text = f"{where}: {len(ours)} {word} → {len(others)}"
            yield Difference(side, where, word, len(ours), len(others), text)
        for one, other in zip(ours, others, strict=False):
            walk.later(where, one, other)

    def _unmatched(
        self, ours: Sequence[Any], others: Sequence[Any], where: str, walk: _Walk
    ) -> tuple[list[Any], list[Any]]:
        """What has no counterpart on the other side: a component of the same name, or else an equal."""
        left, right = [], list(others)
        for one in ours:
            named = next((other for other in right if _ref(one) and _ref(one) == _ref(other)), None)
            if named is not None:
                walk.later(where, one, named)
                right.remove(named)
            else:
                left.append(one)
        for one in list(left):
            if (equal := next((other for other in right if self._same(one, other)), None)) is not None:
                left.remove(one)
                right.remove(equal)
        return left, right

    def _same(self, mine: Any, theirs: Any) -> bool:
        key = _identity(mine, theirs)
        if key not in self._alike:
            self._alike[key] = (mine, theirs, True)  # as long as nothing speaks against it: a circle ends here
            self._alike[key] = (mine, theirs, not any(self._schemas("request", "", mine, theirs)))
        return self._alike[key][2]


def _canonical(schemas: Schemas, schema: Any, depth: int = 0) -> dict[str, Any]:
    schema = schemas.expand(schema)
    if not isinstance(schema, Mapping):
        return {} if schema else {"fits": "nothing"}
    found = {w: v for w, v in schema.items() if w in _PLAIN and _BOUNDS_NOTHING.get(w, ...) != v}
    found |= {
        w: schema[w] for w in ("properties", *_INNER, _ALL_OF, "prefixItems") if schema.get(w) not in (None, [], {})
    }
    if found.get("additionalProperties") is True:
        del found["additionalProperties"]
    options = [*(schema.get("anyOf") or []), *(schema.get("oneOf") or [])]
    others = [option for option in options if _kinds(schemas.expand(option)) != ["null"]]
    kinds = _kinds(schema)
    nullable = len(others) < len(options) or ("null" in kinds and len(kinds) > 1)
    if len(others) > 1 and not kinds and depth < 20:
        plain = [_canonical(schemas, option, depth + 1) for option in others]
        if all(set(option) <= {"type"} for option in plain):
            kinds, others = sorted({option.get("type", "") for option in plain}), []
    found["type"] = " or ".join(kind for kind in kinds if kind != "null" or not nullable)
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        found["enum"] = tuple(sorted(repr(value) for value in values if value is not None or not nullable))
    found["required"] = sorted(schema.get("required") or [])
    if len(others) > 1:
        found[_ALTERNATIVES] = sorted(others, key=repr)
    single = [*(others if len(others) == 1 else []), *(found.pop(_ALL_OF) if len(found.get(_ALL_OF, [])) == 1 else [])]
    for option in single if depth < 20 else ():
        inner = _canonical(schemas, option, depth + 1)
        required = sorted({*inner.get("required", []), *found["required"]})
        nullable = nullable or bool(inner.get("nullable"))
        found = {**inner, **{w: v for w, v in found.items() if v not in _NOTHING}, "required": required}
    if nullable:
        found["nullable"] = True
    return {word: value for word, value in found.items() if value not in _NOTHING}


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


def _names(
    side: Side,
    where: str,
    what: str,
    called: str,
    mine: Mapping[str, Any],
    theirs: Mapping[str, Any],
    *,
    binds: bool = True,
) -> Iterator[Difference]:
    """What is in only one of them. A value that is text says whether it has to be there."""
    for name in sorted(mine.keys() - theirs.keys()):
        place = f"{where} {name}".strip()
        yield Difference(side, place, what, _said(mine[name]), None, f"{called} {name} is missing", binds)
    for name in sorted(theirs.keys() - mine.keys()):
        place = f"{where} {name}".strip()
        yield Difference(side, place, what, None, _said(theirs[name]), f"{called} {name} is added", binds)


def _required(side: Side, where: str, mine: bool, theirs: bool, *, binds: bool = True) -> Iterator[Difference]:
    if mine != theirs:
        text = f"{where} required: {mine} → {theirs}"
        yield Difference(side, where, "required", ["it"] * mine, ["it"] * theirs, text, binds)


def _need(required: bool) -> str:
    return "required" if required else "optional"


def _said(value: Any) -> str:
    return value if isinstance(value, str) else "optional"


def _carried(schemes: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """How a credential travels, whatever the scheme is called."""
    scheme = schemes.get(name, {})
    kind = str(scheme.get("type", name))
    if kind == "apiKey":
        return f"{scheme.get('in')} {scheme.get('name')}"
    return str(scheme.get("scheme", "")).lower() if kind == "http" else "bearer" if kind == "oauth2" else kind


def _credentials(alternatives: frozenset[frozenset[str]]) -> str:
    return " or ".join(sorted(" and ".join(sorted(names)) or "none" for names in alternatives))


def _identity(mine: Any, theirs: Any) -> tuple[object, object]:
    one, other = (_ref(schema) if isinstance(schema, Mapping) and len(schema) == 1 else "" for schema in (mine, theirs))
    return one or id(mine), other or id(theirs)


def _ref(schema: Any) -> str:
    return str(schema.get("$ref", "")) if isinstance(schema, Mapping) else ""


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)[:60]
    return "none" if value is None else f"{value}"[:60]
