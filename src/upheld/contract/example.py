"""One valid instance of a schema, without Hypothesis: the document's own examples first, else the least that conforms.

Deterministic: the same schema and the same ``unique`` give the same value.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from upheld.contract import shapes
from upheld.contract.merging import merge
from upheld.contract.scalars import digest, hint, number, unique_text
from upheld.contract.texts import text
from upheld.contract.words import key

if TYPE_CHECKING:
    from upheld.contract.dialect import Direction, Schemas
    from upheld.contract.model import Contract, JsonSchema, Operation

Unique = Callable[[], str]
"""Gives a name of lower-case letters and digits that nobody else has; ``Lane.unique`` is one."""

_MISSING = object()
_MAX_DEPTH = 30


class _Dead(Exception):
    """No finite instance here; a caller leaves the optional thing out or tries another branch."""


def example(
    contract: Contract,
    schema: JsonSchema,
    *,
    unique: Unique,
    known: Mapping[str, Any] | None = None,
    direction: Direction = "request",
) -> Any:
    """One instance of a schema of this contract. Fields that must be unique are; ``known`` gives values by field name.

    Best effort: a schema that nothing satisfies gives something all the same.
    """
    maker = Maker(
        contract.schemas,
        unique=unique,
        fields=frozenset(contract.unique_fields),
        known=known or {},
        direction=direction,
    )
    return maker.make(schema)


def body_example(
    contract: Contract, operation: Operation, *, unique: Unique, known: Mapping[str, Any] | None = None
) -> tuple[str, Any] | None:
    """(media type, instance) of the operation's body: JSON, else a form; None when it takes neither."""
    form = shapes.form_schema(operation)
    if form is None or operation.body is None:
        return None
    media_type, schema = form
    maker = Maker(contract.schemas, unique=unique, fields=frozenset(contract.unique_fields), known=known or {})
    given = operation.body.examples.get(media_type, _MISSING)
    return media_type, maker.make(schema, given=given)


def parameters_example(
    contract: Contract, operation: Operation, unique: Unique, *, known: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Values of the required parameters: ``{"path": {"id": 1}, "query": {}, "header": {}, "cookie": {}}``.

    An Idempotency-Key is another one each time: the same again would be answered from memory.
    """
    fields = frozenset({*contract.unique_fields, "Idempotency-Key", "X-Idempotency-Key"})
    maker = Maker(contract.schemas, unique=unique, fields=fields, known=known or {})
    values: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "cookie": {}}
    for parameter in operation.parameters:
        if parameter.required:
            given = parameter.example if parameter.example is not None else _MISSING
            values[parameter.location][parameter.name] = maker.make(parameter.schema, parameter.name, given=given)
    return values


class Maker:
    """Makes instances of one document's schemas."""

    def __init__(
        self,
        schemas: Schemas,
        *,
        unique: Unique,
        fields: frozenset[str] = frozenset(),
        known: Mapping[str, Any] | None = None,
        direction: Direction = "request",
    ) -> None:
        self.schemas = schemas
        self.unique = unique
        # "POST /users body.email" and "user.email" are about the field email.
        self.fields = frozenset(key(re.split(r"[./\s]", name)[-1]) for name in fields)
        self.known = {key(name): value for name, value in (known or {}).items()}
        self.direction: Direction = direction
        self.from_document = True

    def make(self, schema: JsonSchema, name: str = "", *, given: Any = _MISSING) -> Any:
        """One instance; ``name`` is the field's, ``given`` the document's example of the whole."""
        validator = self.schemas.validator(schema, self.direction)
        fallback: Any = None
        for attempt in range(3):
            # First with the document's values; where those contradict its schema, without them.
            self.from_document = attempt < 2
            start = given if attempt == 0 else _MISSING
            if attempt == 0 and given is _MISSING:
                continue
            try:
                value = (
                    self._fresh(copy.deepcopy(start), schema, name)
                    if start is not _MISSING
                    else self._make(schema, name, ())
                )
            except _Dead:
                continue
            if validator.is_valid(value):
                return value
            fallback = value if fallback is None else fallback
        return fallback

    # -- one schema ------------------------------------------------------------------------------------------------------

    def _make(self, schema: JsonSchema, name: str, trail: tuple[str, ...]) -> Any:
        trail = self._through(trail, schema)
        schema = self.schemas.expand(schema)
        if schema is False:
            raise _Dead
        if not isinstance(schema, Mapping):
            return "sample"
        plain = key(name)
        if plain in self.known and self._fits(schema, self.known[plain]):
            return self.known[plain]
        if "const" in schema:
            return schema["const"]
        is_unique = plain in self.fields
        if self.from_document:
            for value in _stated(schema):
                if self._fits(schema, value):
                    return self._fresh(copy.deepcopy(value), schema, name)
        elif isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        dead: _Dead | None = None
        best: Any = _MISSING
        for variant, through in self._variants(schema, trail):
            try:
                value = self._typed(variant, name, through, is_unique)
            except _Dead as error:
                dead = error
                continue
            if self._fits(schema, value):
                return value
            best = value if best is _MISSING else best
        if best is _MISSING:
            raise dead or _Dead
        return best

    def _through(self, trail: tuple[str, ...], schema: Any) -> tuple[str, ...]:
        """The references on the way to here. A circle is gone round once; then there must be another way."""
        ref = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(ref, str):
            return trail
        if trail.count(ref) >= 2 or len(trail) >= _MAX_DEPTH:
            raise _Dead
        return (*trail, ref)

    def _fits(self, schema: JsonSchema, value: Any) -> bool:
        return self.schemas.validator(schema, self.direction).is_valid(value)

    def _variants(
        self, schema: Mapping[str, Any], trail: tuple[str, ...]
    ) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...]]]:
        """(the schema with its allOf laid together and one branch of its anyOf or oneOf, the references so far)."""
        base = self._flat(schema)
        keyword = next((word for word in ("oneOf", "anyOf") if isinstance(base.get(word), list)), None)
        if keyword is None:
            yield base, trail
            return
        # Of one thing or many of it, one is the plainer: a create that takes both then tells one id.
        for raw in sorted(base.pop(keyword), key=lambda choice: shapes.types(self.schemas.expand(choice)) == {"array"}):
            branch = self._told_apart(base, raw, self.schemas.expand(raw))
            if branch is False:
                continue
            merged = merge(base, self._flat(branch)) if isinstance(branch, Mapping) else base
            try:
                yield from self._variants(merged, self._through(trail, raw))
            except _Dead:
                continue

    def _told_apart(self, base: Mapping[str, Any], raw: Any, branch: JsonSchema) -> JsonSchema:
        """The branch of a choice with the value that its discriminator stands for (OpenAPI 3.1.1 §4.8.25)."""
        discriminator = base.get("discriminator")
        name = discriminator.get("propertyName") if isinstance(discriminator, Mapping) else None
        ref = raw.get("$ref") if isinstance(raw, Mapping) else None
        if not isinstance(name, str) or not isinstance(ref, str) or not isinstance(branch, Mapping):
            return branch
        mapping = discriminator.get("mapping") if isinstance(discriminator, Mapping) else None
        table = mapping if isinstance(mapping, Mapping) else {}
        value = next((key_ for key_, target in table.items() if target == ref), ref.rpartition("/")[2])
        return {"allOf": [branch, {"properties": {name: {"const": value}}, "required": [name]}]}

    def _flat(self, schema: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
        flat = {name: value for name, value in schema.items() if name != "allOf"}
        for part in schema.get("allOf", ()) if depth < 8 else ():
            part = self.schemas.expand(part)
            if part is False:
                raise _Dead
            if isinstance(part, Mapping):
                flat = merge(flat, self._flat(part, depth + 1))
        return flat

    def _typed(self, schema: Mapping[str, Any], name: str, trail: tuple[str, ...], is_unique: bool) -> Any:
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        kinds = shapes.types(schema) or _implied(schema)
        if "object" in kinds:
            return self._object(schema, trail)
        if "array" in kinds:
            return self._array(schema, name, trail)
        if "string" in kinds:
            return self._string(schema, name, is_unique)
        if "integer" in kinds or "number" in kinds:
            return number(schema, whole="number" not in kinds, seed=self.unique() if is_unique else "")
        if "boolean" in kinds:
            return True
        return None if "null" in kinds else self._string(schema, name, is_unique)

    def _object(self, schema: Mapping[str, Any], trail: tuple[str, ...]) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = [str(name) for name in schema.get("required", ()) if isinstance(schema.get("required"), list)]
        hidden = "readOnly" if self.direction == "request" else "writeOnly"
        body: dict[str, Any] = {}
        for name in [*[name for name in properties if name in required], *[n for n in required if n not in properties]]:
            inner = properties.get(name, self._rest(schema))
            if not self._flagged(inner, hidden):
                body[name] = self._make(inner, name, trail)
        least = schema.get("minProperties", 0)
        optional = [name for name in properties if name not in body and name not in required]
        # A known value is worth sending even where the field is optional: it is what makes a reference resolve.
        for name in [name for name in optional if key(name) in self.known]:
            body[name] = self.known[key(name)]
            if not self._fits(properties[name], body[name]):
                del body[name]
        for name in optional:
            if len(body) >= least:
                break
            if not self._flagged(properties[name], hidden):
                try:
                    body[name] = self._make(properties[name], name, trail)
                except _Dead:
                    continue
        index = 1
        while len(body) < least and index <= least and schema.get("additionalProperties") is not False:
            body[f"key{index}"] = self._make(self._rest(schema), f"key{index}", trail)
            index += 1
        return body

    def _rest(self, schema: Mapping[str, Any]) -> JsonSchema:
        rest = schema.get("additionalProperties", True)
        return rest if isinstance(rest, (Mapping, bool)) else True

    def _flagged(self, schema: JsonSchema, flag: str) -> bool:
        top = self.schemas.expand(schema)
        return isinstance(top, Mapping) and top.get(flag) is True

    def _array(self, schema: Mapping[str, Any], name: str, trail: tuple[str, ...]) -> list[Any]:
        prefix = schema.get("prefixItems")
        values = [self._make(item, "", trail) for item in prefix] if isinstance(prefix, list) else []
        items = schema.get("items", True)
        least = max(int(schema.get("minItems", 0)), int(schema.get("minContains", 1)) if "contains" in schema else 0)
        # One item tells the service more than none, where one is possible.
        wanted = max(least, min(1, int(schema.get("maxItems", 1))))
        source = schema.get("contains", items)
        while len(values) < wanted and source is not False:
            try:
                value = self._make(source, name, trail)
            except _Dead:
                if len(values) < least:
                    raise
                break
            if schema.get("uniqueItems") is True and any(value == other for other in values):
                value = self._another(source, name, values)
            values.append(value)
        return values

    def _another(self, schema: JsonSchema, name: str, values: list[Any]) -> Any:
        """A value that the list does not hold yet."""
        top = self.schemas.expand(schema)
        enum = top.get("enum") if isinstance(top, Mapping) else None
        candidates = list(enum) if isinstance(enum, list) else []
        kinds = shapes.types(top)
        if kinds & {"integer", "number"} and isinstance(top, Mapping):
            step = top.get("multipleOf", 1)
            candidates += [max(values) + step, min(values) - step]
        elif "string" in kinds and isinstance(top, Mapping):
            candidates += [unique_text(top, f"{name}{len(values)}", digest(f"{name}{len(values)}"))]
        elif "boolean" in kinds:
            candidates += [False]
        elif isinstance(top, Mapping):
            for inner, value in values[-1].items() if values and isinstance(values[-1], dict) else ():
                if isinstance(value, str):
                    candidates.append({**values[-1], inner: f"{value}{len(values)}"})
                elif isinstance(value, int) and not isinstance(value, bool):
                    candidates.append({**values[-1], inner: value + 1})
        for candidate in candidates:
            if candidate not in values and self._fits(schema, candidate):
                return candidate
        raise _Dead

    def _string(self, schema: Mapping[str, Any], name: str, is_unique: bool) -> str:
        if is_unique:
            return unique_text(schema, name, self.unique())
        return text(schema, hint(schema, name))

    # -- unique values ---------------------------------------------------------------------------------------------------

    def _fresh(self, value: Any, schema: JsonSchema, name: str) -> Any:
        """A value of the document with its unique fields made unique."""
        if isinstance(value, dict):
            inner = shapes.properties(self.schemas, schema)
            return {k: self._fresh(v, inner.get(k, True), k) for k, v in value.items()}
        if isinstance(value, list):
            items = shapes.items(self.schemas, schema)
            return [self._fresh(item, True if items is None else items, name) for item in value]
        if key(name) in self.known:
            known = self.known[key(name)]
            return known if self._fits(schema, known) else value
        if key(name) not in self.fields:
            return value
        top = self.schemas.expand(schema)
        rules = self._flat(top) if isinstance(top, Mapping) else {}
        if isinstance(value, str):
            if "@" in value and "format" not in rules:
                rules = {**rules, "format": "email"}
            return unique_text(rules, name, self.unique())
        if isinstance(value, int) and not isinstance(value, bool):
            return number(rules, whole=True, seed=self.unique())
        return value


def _stated(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The document's own values, the most telling first."""
    if "example" in schema:
        yield schema["example"]
    examples = schema.get("examples")
    if isinstance(examples, list):
        yield from examples
    if schema.get("default") is not None:
        yield schema["default"]
    enum = schema.get("enum")
    if isinstance(enum, list):
        yield from enum


def _implied(schema: Mapping[str, Any]) -> frozenset[str]:
    """The type that keywords speak about where ``type`` is left out."""
    if schema.keys() & {"properties", "required", "additionalProperties", "minProperties", "maxProperties"}:
        return frozenset({"object"})
    if schema.keys() & {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}:
        return frozenset({"array"})
    if schema.keys() & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}:
        return frozenset({"number"})
    return frozenset()
