"""Operations from an OpenAPI 3.0 or 3.1 document: parameters merged, references followed, full paths, lines.

Sources: OpenAPI 3.0.4 and 3.1.1. What makes a document unusable is a problem with its line; what is only odd is a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from upheld.contract.dialect import Schemas
from upheld.contract.model import Body, Operation, Parameter, ResponseSpec
from upheld.contract.references import escape
from upheld.contract.source import Located
from upheld.errors import ContractError, Place

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LOCATIONS = ("path", "query", "header", "cookie")
# OpenAPI 3.1.1 §4.8.12.1: header parameters with these names are ignored.
_RESERVED_HEADERS = frozenset({"accept", "content-type", "authorization"})


@dataclass
class Reading:
    """One document, read."""

    operations: tuple[Operation, ...]
    schemas: Schemas
    security_schemes: Mapping[str, Mapping[str, Any]]
    base_path: str
    notes: list[tuple[Place, str]] = field(default_factory=list)


def version(located: Located) -> str:
    """``"3.0"`` or ``"3.1"``. Raises `ContractError` for anything else."""
    document, place = located.value, located.place(["openapi"])
    if not isinstance(document, dict):
        raise ContractError((Place(located.file), "is no OpenAPI document: it must be a mapping"))
    if "swagger" in document:
        where = located.place(["swagger"])
        raise ContractError((where, f"is Swagger {document['swagger']}; convert it to OpenAPI 3.0 or 3.1 first"))
    if "openapi" not in document:
        raise ContractError(
            (Place(located.file, 1 if document else 0), "is no OpenAPI document: it has no key 'openapi'")
        )
    match = re.match(r"3\.[01](?=\.|$)", str(document["openapi"]))
    if not match:
        raise ContractError((place, f"is OpenAPI {document['openapi']}; 3.0 and 3.1 are understood"))
    return match[0]


def base_path(document: Mapping[str, Any], target_url: str | None) -> str:
    """What stands before every path template: the target's own path if it has one, else that of the first server."""
    own = urlsplit(target_url).path.rstrip("/") if target_url else ""
    return own or server_path(document.get("servers"))


def server_path(servers: Any) -> str:
    """The path of the first server, its variables replaced by their defaults; empty when there is none."""
    server = servers[0] if isinstance(servers, list) and servers else None
    url = server.get("url") if isinstance(server, dict) else None
    if not isinstance(server, dict) or not isinstance(url, str):
        return ""
    variables = server.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        if isinstance(variable, dict):
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
    path = urlsplit(url).path if "//" in url else url.split("?")[0]
    return "/" + path.strip("/") if path.strip("/.") else ""


def read_operations(located: Located, target_url: str | None = None) -> Reading:
    """Every operation of a bundled document. Raises `ContractError` with all that makes it unusable."""
    version(located)
    return _Reader(located, target_url).run()


class _Reader:
    def __init__(self, located: Located, target_url: str | None) -> None:
        self.located = located
        self.document: dict[str, Any] = located.value
        self.schemas = Schemas(self.document)
        self.follow = self.schemas.references.follow
        self.base = base_path(self.document, target_url)
        self.base_is_given = bool(target_url and urlsplit(target_url).path.strip("/"))
        self.problems: list[tuple[Place, str]] = []
        self.notes: list[tuple[Place, str]] = []
        self.schemes = self._schemes()

    def run(self) -> Reading:
        operations = tuple(self._operations())
        if self.problems:
            raise ContractError(*sorted(self.problems, key=lambda problem: (problem[0].line, problem[1])))
        if not operations:
            raise ContractError((self.located.place(["paths"]), "has no operations: there is nothing to check"))
        self._duplicates(operations)
        return Reading(operations, self.schemas, self.schemes, self.base, self.notes)

    # -- shapes ----------------------------------------------------------------------------------------------------------

    def _mapping(self, node: Any, place: Place, what: str) -> dict[str, Any]:
        node = self.follow(node)
        if isinstance(node, dict):
            return node
        if node is not None:
            self.problems.append((place, f"{what} must be a mapping"))
        return {}

    def _list(self, node: Any, place: Place, what: str) -> list[Any]:
        if isinstance(node, list):
            return node
        if node is not None:
            self.problems.append((place, f"{what} must be a list"))
        return []

    def _schemes(self) -> dict[str, Mapping[str, Any]]:
        components = self._mapping(self.document.get("components"), self.located.place(["components"]), "components")
        place = self.located.place(["components", "securitySchemes"])
        schemes = self._mapping(components.get("securitySchemes"), place, "securitySchemes")
        return {str(name): self._mapping(scheme, place, f"security scheme {name}") for name, scheme in schemes.items()}

    # -- operations ------------------------------------------------------------------------------------------------------

    def _operations(self) -> Iterator[Operation]:
        paths = self._mapping(self.document.get("paths"), self.located.place(["paths"]), "paths")
        for template, raw_item in paths.items():
            template = str(template)
            if template.startswith("x-"):
                continue
            place = Place(self.located.file, self.located.line_in(paths, template))
            if not template.startswith("/"):
                self.notes.append((place, f"the path {template!r} does not begin with '/'; left out"))
                continue
            item = self._mapping(raw_item, place, f"the path {template!r}")
            for method in METHODS:
                if method in item:
                    line = self.located.line_in(item, method) or place.line
                    here = Place(self.located.file, line)
                    raw = self._mapping(item[method], here, f"{method.upper()} {template}")
                    yield self._operation(method, template, item, raw, here)

    def _operation(
        self, method: str, template: str, item: Mapping[str, Any], raw: Mapping[str, Any], place: Place
    ) -> Operation:
        label = f"{method.upper()} {template}"
        servers = raw.get("servers") or item.get("servers")
        base = server_path(servers) if servers and not self.base_is_given else self.base
        tags = self._list(raw.get("tags"), place, f"{label}: tags")
        return Operation(
            method=method.upper(),
            path=base + template,
            operation_id=str(raw.get("operationId") or ""),
            parameters=self._parameters(label, template, item, raw, place),
            body=self._body(label, raw, place),
            responses=self._responses(label, raw, place),
            security=self._security(label, raw, place),
            tags=tuple(str(tag) for tag in tags),
            deprecated=raw.get("deprecated") is True,
            summary=str(raw.get("summary") or ""),
            raw=raw,
            pointer=f"/paths/{escape(template)}/{method}",
            line=place.line,
        )

    def _parameters(
        self, label: str, template: str, item: Mapping[str, Any], raw: Mapping[str, Any], place: Place
    ) -> tuple[Parameter, ...]:
        merged: dict[tuple[str, str], Parameter] = {}
        for owner in (item, raw):
            for entry in self._list(owner.get("parameters"), place, f"{label}: parameters"):
                node = self._mapping(entry, place, f"{label}: a parameter")
                name, location = node.get("name"), node.get("in")
                if not isinstance(name, str) or location not in LOCATIONS:
                    sentence = f"{label}: a parameter needs a name and in: path, query, header or cookie; left out"
                    self.notes.append((place, sentence))
                elif location != "header" or name.lower() not in _RESERVED_HEADERS:
                    merged[name, location] = self._parameter(name, location, node)
        names = re.findall(r"\{([^{}/]+)\}", template)
        for name in names:
            if (name, "path") not in merged:
                self.notes.append((place, f"{label}: the path parameter {{{name}}} is not declared; taken as text"))
                merged[name, "path"] = Parameter(name, "path", True, {"type": "string", "minLength": 1})
        for name, location in list(merged):
            if location == "path" and name not in names:
                self.notes.append((place, f"{label}: the path parameter {name!r} is not in the path"))
                del merged[name, location]
        return tuple(merged.values())

    def _parameter(self, name: str, location: str, node: Mapping[str, Any]) -> Parameter:
        schema = node.get("schema")
        content = self.follow(node.get("content"))
        if schema is None and isinstance(content, dict) and content:
            media = self.follow(next(iter(content.values())))
            schema = media.get("schema") if isinstance(media, dict) else None
        return Parameter(
            name=name,
            location=cast(Any, location),
            required=node.get("required") is True or location == "path",
            schema=self.schemas.schema(schema if schema is not None else True),
            example=self._example(node),
        )

    def _example(self, node: Mapping[str, Any]) -> Any:
        if "example" in node:
            return node["example"]
        examples = self.follow(node.get("examples"))
        for example in examples.values() if isinstance(examples, dict) else ():
            example = self.follow(example)
            if isinstance(example, dict) and "value" in example:
                return example["value"]
        return None

    def _content(self, node: Any, place: Place, what: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """(schemas, first examples) by media type."""
        content = self._mapping(node, place, what)
        schemas: dict[str, Any] = {}
        examples: dict[str, Any] = {}
        for name, raw in content.items():
            media_type = str(name).split(";")[0].strip().lower()
            media = self._mapping(raw, place, f"{what}: {name}")
            schemas[media_type] = self.schemas.schema(media.get("schema", True))
            example = self._example(media)
            if example is not None:
                examples[media_type] = example
        return schemas, examples

    def _body(self, label: str, raw: Mapping[str, Any], place: Place) -> Body | None:
        if raw.get("requestBody") is None:
            return None
        node = self._mapping(raw["requestBody"], place, f"{label}: requestBody")
        schemas, examples = self._content(node.get("content"), place, f"{label}: content of the request")
        return Body(node.get("required") is True, schemas, examples) if schemas else None

    def _responses(self, label: str, raw: Mapping[str, Any], place: Place) -> dict[str, ResponseSpec]:
        responses = self._mapping(raw.get("responses"), place, f"{label}: responses")
        if not responses:
            self.notes.append((place, f"{label}: no responses are documented"))
        result: dict[str, ResponseSpec] = {}
        for code, entry in responses.items():
            code = str(code)
            if code.startswith("x-"):
                continue
            if not re.fullmatch(r"[1-5]\d\d|[1-5]XX|[1-5]xx|default", code):
                self.notes.append((place, f"{label}: {code!r} is no status such as 200, 4XX or default; left out"))
                continue
            node = self._mapping(entry, place, f"{label}: response {code}")
            content, _ = self._content(node.get("content"), place, f"{label}: content of {code}")
            headers = self._mapping(node.get("headers"), place, f"{label}: headers of {code}")
            fields: dict[str, tuple[bool, Any]] = {}
            for name, header in headers.items():
                spec = self._mapping(header, place, f"{label}: header {name}")
                fields[str(name).lower()] = (
                    spec.get("required") is True,
                    self.schemas.schema(spec.get("schema", True)),
                )
            result[code.upper() if code != "default" else code] = ResponseSpec(content, fields)
        return result

    def _security(self, label: str, raw: Mapping[str, Any], place: Place) -> tuple[frozenset[str], ...]:
        stated = raw.get("security", self.document.get("security"))
        alternatives: list[frozenset[str]] = []
        for entry in self._list(stated, place, f"{label}: security"):
            names = frozenset(str(name) for name in self._mapping(entry, place, f"{label}: security"))
            for name in sorted(names - self.schemes.keys()):
                self.notes.append((place, f"{label}: the security scheme {name!r} is not defined"))
            alternatives.append(names)
        return tuple(alternatives)

    def _duplicates(self, operations: tuple[Operation, ...]) -> None:
        ids: dict[str, Operation] = {}
        shapes: dict[tuple[str, str], Operation] = {}
        for operation in operations:
            place = Place(self.located.file, operation.line)
            if operation.operation_id:
                first = ids.setdefault(operation.operation_id, operation)
                if first is not operation:
                    sentence = f"{operation.label}: operationId {operation.operation_id!r} belongs to {first.label} too"
                    self.notes.append((place, sentence))
            shape = (operation.method, re.sub(r"\{[^{}/]*\}", "{}", operation.path))
            first = shapes.setdefault(shape, operation)
            if first is not operation:
                self.notes.append((place, f"{operation.label}: cannot be told from {first.label}"))
