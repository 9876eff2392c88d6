"""The schemas of one document as JSON Schema 2020-12: translated from OpenAPI 3.0, self-contained, compiled once.

OpenAPI 3.0.4 §4.7.24 has a dialect of its own (``nullable``, boolean ``exclusiveMinimum``); 3.1 uses JSON Schema 2020-12.
Inner references stay references, so that circles cost nothing and a large document stays its own size.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from upheld.contract.references import References, escape

if TYPE_CHECKING:
    from upheld.contract.model import JsonSchema

Direction = Literal["request", "response"]

_SCHEMA = frozenset({"additionalProperties", "items", "not", "if", "then", "else", "contains", "propertyNames",
                     "unevaluatedItems", "unevaluatedProperties", "contentSchema"})  # fmt: skip
_SCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_ANNOTATIONS = frozenset({"title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly",
                          "$comment", "externalDocs", "xml", "summary"})  # fmt: skip

ROOM = 20_000
"""Definitions in all validators that are kept. Where all schemas reach each other, one takes about 5 kB each."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Where an instance breaks a schema: JSON Pointer into the instance, the sentence, JSON Pointer into the schema."""

    pointer: str
    message: str
    schema_pointer: str = ""


class Validator:
    """One compiled schema. ``defects`` says which of its keywords cannot be used; they are then not asserted."""

    def __init__(self, compiled: Any, defects: tuple[str, ...] = ()) -> None:
        self._compiled = compiled
        self.defects = defects

    def is_valid(self, instance: Any) -> bool:
        """Whether the instance conforms. A schema that cannot be compiled at all accepts everything."""
        return self._compiled is None or bool(self._compiled.is_valid(instance))

    def violations(self, instance: Any, limit: int = 10) -> tuple[Violation, ...]:
        """The first ``limit`` ways in which it does not. Messages may quote the instance."""
        found: list[Violation] = []
        for error in self._compiled.iter_errors(instance) if self._compiled is not None else ():
            found.append(Violation(_pointer(error.instance_path), error.message, _pointer(error.schema_path)))
            if len(found) == limit:
                break
        return tuple(found)


class Schemas:
    """The schemas of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.references = References(document)
        self.legacy = str(document.get("openapi", "")).startswith("3.0")
        self._targets: dict[str, JsonSchema] = {}
        # Keyed by id: the schema is kept beside the result, so that its id is not given to another one.
        self._tops: dict[int, tuple[Any, JsonSchema]] = {}
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        self._prepared: dict[tuple[str, Direction], tuple[JsonSchema, frozenset[str]]] = {}
        self._compiled: dict[tuple[int, Direction], tuple[Any, Validator, int]] = {}
        self._room = ROOM

    # -- translation -----------------------------------------------------------------------------------------------------

    def schema(self, raw: Any) -> JsonSchema:
        """A schema of the document in 2020-12, without ``$ref`` at the top."""
        if not isinstance(raw, (Mapping, bool)):
            return True
        if id(raw) not in self._tops:
            self._tops[id(raw)] = (raw, self.expand(self._translate(raw)))
        return self._tops[id(raw)][1]

    def expand(self, schema: JsonSchema) -> JsonSchema:
        """A translated schema with the chain of references at its top followed. A circle without content is ``true``."""
        seen: set[str] = set()
        while isinstance(schema, Mapping) and isinstance(ref := schema.get("$ref"), str):
            if ref in seen:
                return True
            seen.add(ref)
            siblings = {key: value for key, value in schema.items() if key != "$ref"}
            schema = _both(self.target(ref), siblings)
        return schema

    def target(self, ref: str) -> JsonSchema:
        """What a reference points to, translated; ``true`` when it points to another host."""
        if ref not in self._targets:
            try:
                raw = self.references.target(ref)
            except LookupError:
                raw = True
            self._targets[ref] = self._translate(raw) if isinstance(raw, (Mapping, bool)) else True
        return self._targets[ref]

    def _translate(self, raw: Any) -> Any:
        if not self.legacy or not isinstance(raw, Mapping):
            return raw
        if isinstance(raw.get("$ref"), str):
            # OpenAPI 3.0 ignores what stands beside $ref; nullable is meant all the same wherever it is written.
            return _nullable({"$ref": raw["$ref"]}) if raw.get("nullable") is True else {"$ref": raw["$ref"]}
        out: dict[str, Any] = {}
        for key, value in raw.items():
            if key in _SCHEMA:
                out[key] = self._translate(value)
            elif key in _SCHEMAS and isinstance(value, list):
                out[key] = [self._translate(item) for item in value]
            elif key in _NAMED and isinstance(value, Mapping):
                out[key] = {name: self._translate(item) for name, item in value.items()}
            elif key not in ("nullable", "exclusiveMinimum", "exclusiveMaximum", "example"):
                out[key] = value
        for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if raw.get(exclusive) is True and bound in out:
                out[exclusive] = out.pop(bound)
            elif isinstance(raw.get(exclusive), (int, float)) and not isinstance(raw[exclusive], bool):
                out[exclusive] = raw[exclusive]
        if "example" in raw:
            out.setdefault("examples", [raw["example"]])
        return _nullable(out) if raw.get("nullable") is True else out

    # -- validation ------------------------------------------------------------------------------------------------------

    def standalone(self, schema: JsonSchema, direction: Direction = "response") -> JsonSchema:
        """The schema with everything it refers to under ``$defs``, valid by itself.

        In requests readOnly properties are not required, in responses writeOnly ones (OpenAPI 3.1.1 §4.8.24.5).
        """
        prepared, pending = self._prepare(schema, direction)
        if isinstance(prepared, bool) or not pending:
            return prepared
        definitions: dict[str, JsonSchema] = {}
        todo = set(pending)
        while todo:
            ref = todo.pop()
            key = (ref, direction)
            if key not in self._prepared:
                self._prepared[key] = self._prepare(self.target(ref), direction)
            definitions[self._definition(ref)], more = self._prepared[key]
            todo |= {other for other in more if self._definition(other) not in definitions}
        return {**prepared, "$defs": {**prepared.get("$defs", {}), **definitions}}

    def _prepare(self, schema: JsonSchema, direction: Direction) -> tuple[JsonSchema, frozenset[str]]:
        refs: set[str] = set()
        hidden = "readOnly" if direction == "request" else "writeOnly"

        def visit(node: Any) -> Any:
            if not isinstance(node, Mapping):
                return node
            out: dict[str, Any] = {}
            for key, value in node.items():
                if key == "$ref" and isinstance(value, str):
                    if value.startswith("#"):
                        refs.add(value)
                        out[key] = f"#/$defs/{self._definition(value)}"
                elif key in _SCHEMA:
                    out[key] = visit(value)
                elif key in _SCHEMAS and isinstance(value, list):
                    out[key] = [visit(item) for item in value]
                elif key in _NAMED and isinstance(value, Mapping):
                    out[key] = {name: visit(item) for name, item in value.items()}
                # Names of the document's own must not turn references of ours elsewhere.
                elif key not in ("$id", "$schema", "$anchor", "$dynamicAnchor"):
                    out[key] = value
            properties, required = node.get("properties"), out.get("required")
            if isinstance(properties, Mapping) and isinstance(required, list):
                out["required"] = [name for name in required if not self._flag(properties.get(name), hidden)]
            elif isinstance(required, bool):
                # A habit from JSON Schema draft 3; 2020-12 wants a list.
                del out["required"]
            return out

        return visit(schema), frozenset(refs)

    def _definition(self, ref: str) -> str:
        """A name under ``$defs`` for what a reference points to: the document's own where a URI can hold it."""
        if ref not in self._names:
            name = re.sub(r"[^A-Za-z0-9._-]+", "_", ref.removeprefix("#/components/schemas/"))
            self._names[ref] = name if name not in self._taken else f"{name}_{len(self._taken)}"
            self._taken.add(self._names[ref])
        return self._names[ref]

    def _flag(self, schema: Any, flag: str) -> bool:
        if not isinstance(schema, Mapping):
            return False
        top = self.expand(schema)
        return schema.get(flag) is True or (isinstance(top, Mapping) and top.get(flag) is True)

    def validator(self, schema: JsonSchema, direction: Direction = "response") -> Validator:
        """The compiled schema, kept as long as there is room. Formats are asserted; nothing is fetched."""
        key = (id(schema), direction)
        found = self._compiled.pop(key, None)
        if found is None:
            alone = self.standalone(schema, direction)
            size = 1 + len(alone.get("$defs", ())) if isinstance(alone, Mapping) else 1
            found = (schema, _compile(alone), size)
            self._room -= size
            while self._room < 0 and self._compiled:
                self._room += self._compiled.pop(next(iter(self._compiled)))[2]
        # A dict keeps its order: put back at its end, the validator is the last to go.
        self._compiled[key] = found
        return found[1]


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        return schema
    if not schema.keys() - _ANNOTATIONS:
        return schema
    notes = {key: value for key, value in schema.items() if key in _ANNOTATIONS}
    rest = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    return {**notes, "anyOf": [rest, {"type": "null"}]}


def _both(target: JsonSchema, siblings: dict[str, Any]) -> JsonSchema:
    if not siblings:
        return target
    if isinstance(target, bool):
        return siblings if target else False
    if all(key in _ANNOTATIONS or key not in target for key in siblings):
        return {**target, **siblings}
    return {"allOf": [target, siblings]}


def _pointer(path: Any) -> str:
    return "".join("/" + escape(str(step)) for step in path)


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


def _compile(schema: JsonSchema) -> Validator:
    import jsonschema_rs

    defects: list[str] = []
    current: Any = schema
    for _ in range(50):
        try:
            compiled = jsonschema_rs.Draft202012Validator(current, validate_formats=True, retriever=_refuse)
            return Validator(compiled, tuple(defects))
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            path = list(getattr(error, "instance_path", None) or ())
            defects.append(f"{_pointer(path) or 'the schema'}: {getattr(error, 'message', error)}")
            if not path:
                break
            current = _without(copy.deepcopy(current), path)
    return Validator(None, tuple(defects))


def _without(schema: Any, path: list[Any]) -> Any:
    node = schema
    for step in path[:-1]:
        node = node[step]
    if isinstance(node, list):
        node[path[-1]] = True
    else:
        del node[path[-1]]
    return schema
