"""An implementation report: what the author of a backend says was built. Its format is ``implementation.schema.json`` beside this module."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from upheld.errors import UsageError

SCHEMA = "upheld.implementation/1"
_OPEN = frozenset({"", "-", "no", "none", "false", "public", "anonymous", "open", "not required", "no auth"})
_EITHER = frozenset({"optional"})
_SHOWN = 10
_LONGEST = 200


@dataclass(frozen=True)
class Endpoint:
    """One line of ``endpoints_created``. ``pointer`` is its JSON Pointer (RFC 6901) in the report, as everywhere here."""

    pointer: str
    method: str
    path: str
    needs_credentials: bool | None = None
    """None where the report does not say."""
    rate_limit: str = ""

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Named:
    """A model, a middleware or a measure: its name, and what else is said of it."""

    pointer: str
    name: str
    description: str = ""
    fields: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.name}: {self.description}" if self.description else self.name


@dataclass(frozen=True)
class Implementation:
    """One report."""

    file: Path
    feature: str
    endpoints: tuple[Endpoint, ...] = ()
    models: tuple[Named, ...] = ()
    middleware: tuple[Named, ...] = ()
    measures: tuple[Named, ...] = ()
    commands: tuple[str, ...] = ()
    openapi_updated: bool = False
    postman_collection: str = ""


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a report."""
    text = files("upheld.contract").joinpath("implementation.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def read_implementation(path: Path) -> Implementation:
    """Read a report. Raises `UsageError` with the JSON Pointer of everything that is wrong."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if isinstance(document, dict) and str(document.get("schema", "")).startswith("upheld.report/"):
        raise UsageError(f"{path} is the report of a run: `upheld report {path} --implementation` makes claims of it")
    problems = list(_problems(document))
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise UsageError("\n".join([*(f"{path}: {problem}" for problem in problems[:_SHOWN]), *more]))
    return _implementation(path, document)


def pointer(*parts: str | int) -> str:
    """The JSON Pointer of these members."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _problems(document: Any) -> Iterable[str]:
    import jsonschema_rs

    validator = jsonschema_rs.Draft202012Validator(schema())
    for error in validator.iter_errors(document):
        message = error.message if len(error.message) <= _LONGEST else f"{error.message[:_LONGEST]}…"
        yield f"{pointer(*error.instance_path) or 'the whole document'}: {message}"


def _implementation(path: Path, document: Mapping[str, Any]) -> Implementation:
    documentation = document.get("documentation", {})
    return Implementation(
        file=path,
        feature=document["feature"],
        endpoints=tuple(
            _endpoint(pointer("endpoints_created", at), line) for at, line in enumerate(document["endpoints_created"])
        ),
        models=_named(document, "models_created"),
        middleware=_named(document, "middleware_added"),
        measures=_named(document, "security_measures"),
        commands=tuple(document.get("test_commands", ())),
        openapi_updated=documentation.get("openapi_updated", False),
        postman_collection=documentation.get("postman_collection") or "",
    )


def _endpoint(at: str, line: Mapping[str, Any]) -> Endpoint:
    needs = _needs(line["auth"]) if "auth" in line else None
    return Endpoint(at, line["method"].upper(), line["path"], needs, (line.get("rate_limit") or "").strip())


def _needs(auth: bool | str | None) -> bool | None:
    if not isinstance(auth, str):
        return bool(auth)
    word = auth.strip().lower()
    return None if word in _EITHER else word not in _OPEN


def _named(document: Mapping[str, Any], member: str) -> tuple[Named, ...]:
    found = []
    for at, item in enumerate(document.get(member, ())):
        where = pointer(member, at)
        if isinstance(item, str):
            found.append(Named(where, item))
        else:
            found.append(Named(where, item["name"], item.get("description", ""), tuple(item.get("fields", ()))))
    return tuple(found)
