"""The document as the engine gets it: paths in full, no servers, and what only upheld.yaml promises laid over the responses.

* Paths carry the base path that the contract found, so that the engine's labels are the contract's and no ``servers`` entry can
  send a request to another place than the URL that was given.
* Where ``errors.format`` is rfc9457, documented 4xx without ``application/problem+json`` get it (RFC 9457 §3).
* 401 of secured operations requires ``WWW-Authenticate`` (RFC 9110 §15.5.2); 429 requires ``Retry-After`` where
  ``rate_limit.retry_after`` is ``required``.
* ``oauth2`` and ``openIdConnect`` become HTTP bearer: the engine's credential probes know no other (measured: a fully open API
  gave no finding).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from upheld.contract.references import escape, unescape

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

PROBLEM = "application/problem+json"
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_TRIED = ("post", "get", "head", "options", "trace", "put", "patch", "delete")
_STRING = {"type": "string"}


def overlaid(contract: Contract, document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the document for the engine. The document itself is not changed."""
    places = {op.pointer: op for op in contract.operations}
    moved: dict[str, str] = {}
    for op in contract.operations:
        template = _template(op.pointer)
        if template is not None and template != op.path:
            moved[template] = op.path
    rest = {key: value for key, value in document.items() if key not in ("paths", "servers")}
    copied: dict[str, Any] = _copied(rest, moved)
    follow = contract.schemas.references.follow
    paths: dict[str, Any] = {}
    for template, raw_item in (document.get("paths") or {}).items():
        item = _copied(follow(raw_item), moved)
        if not isinstance(item, dict):
            continue
        item.pop("servers", None)
        shared = {key: value for key, value in item.items() if key not in _METHODS}
        for method in _METHODS & item.keys():
            operation = places.get(f"/paths/{escape(str(template))}/{method}")
            raw = item[method]
            if operation is None or not isinstance(raw, dict):
                continue
            raw.pop("servers", None)
            raw["responses"] = _responses(contract, operation, raw.get("responses"), moved)
            paths.setdefault(operation.path, dict(shared))[method] = raw
    copied["paths"] = _ordered(contract, paths)
    _bearer(copied)
    return copied


def _ordered(contract: Contract, paths: Mapping[str, Any]) -> dict[str, Any]:
    """Paths and methods in the order in which they are to be tried: what makes things first, what deletes them last.

    The engine shares its time out evenly and hands on what is left over, so whoever hashes passwords comes last of all.
    """
    slow = {operation.path for operation in contract.operations if contract.latency_class(operation) == "auth"}
    auth = {step.operation.path for step in (contract.auth.refresh, contract.auth.logout) if step is not None}

    def when(path: str) -> tuple[bool, bool, int]:
        return path in slow, path in auth, path.count("{")

    def tried(item: Mapping[str, Any]) -> dict[str, Any]:
        methods = [method for method in _TRIED if method in item]
        return {**{key: value for key, value in item.items() if key not in _METHODS}, **{m: item[m] for m in methods}}

    return {path: tried(paths[path]) for path in sorted(paths, key=when)}


def _template(pointer: str) -> str | None:
    parts = pointer.split("/")
    return unescape(parts[2]) if len(parts) == 4 else None


def _copied(node: Any, moved: Mapping[str, str]) -> Any:
    if isinstance(node, Mapping):
        out = {str(key): _copied(value, moved) for key, value in node.items()}
        for key in ("$ref", "operationRef"):
            if isinstance(out.get(key), str) and moved:
                out[key] = _moved(out[key], moved)
        return out
    if isinstance(node, list):
        return [_copied(item, moved) for item in node]
    return node


def _moved(reference: str, moved: Mapping[str, str]) -> str:
    match = re.match(r"#/paths/([^/]+)(.*)", reference)
    if match is None or unescape(match[1]) not in moved:
        return reference
    return f"#/paths/{escape(moved[unescape(match[1])])}{match[2]}"


def _responses(contract: Contract, operation: Operation, raw: Any, moved: Mapping[str, str]) -> Any:
    if not isinstance(raw, dict):
        return raw
    follow = contract.schemas.references.follow
    errors = contract.policy.errors
    has_problems = errors.format == "rfc9457" and not contract.has_own_errors(operation)
    out: dict[str, Any] = {}
    for code, entry in raw.items():
        resolved = _copied(follow(entry), moved)
        if not isinstance(resolved, dict) or not str(code).upper().startswith("4"):
            out[str(code)] = entry
            continue
        if has_problems and operation.method != "HEAD":
            _promise_problem(resolved, errors.require)
        if str(code) == "401" and operation.secured:
            _promise_field(resolved, "WWW-Authenticate")
        if str(code) == "429" and contract.policy.rate_limit.retry_after == "required":
            _promise_field(resolved, "Retry-After")
        out[str(code)] = resolved
    return out


def _promise_problem(response: dict[str, Any], require: tuple[str, ...]) -> None:
    content = response.get("content")
    if isinstance(content, dict) and any(str(name).split(";")[0].strip().lower() == PROBLEM for name in content):
        return
    # RFC 9457 §3.1: the types of the members; which of them have to be there is the house's choice.
    members: dict[str, Any] = {name: dict(_STRING) for name in ("type", "title", "detail", "instance")}
    members["status"] = {"type": "integer"}
    response["content"] = {PROBLEM: {"schema": {"type": "object", "properties": members, "required": list(require)}}}


def _promise_field(response: dict[str, Any], name: str) -> None:
    stated = response.get("headers")
    headers: dict[str, Any] = dict(stated) if isinstance(stated, dict) else {}
    given = next((key for key in headers if key.lower() == name.lower()), name)
    field: Any = headers.get(given)
    if not isinstance(field, dict) or "$ref" in field:
        field = {"schema": dict(_STRING)}
    headers[given] = {**field, "required": True}
    response["headers"] = headers


def _bearer(document: dict[str, Any]) -> None:
    components = document.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    if not isinstance(schemes, dict):
        return
    for name, scheme in schemes.items():
        if isinstance(scheme, dict) and scheme.get("type") in ("oauth2", "openIdConnect"):
            schemes[name] = {"type": "http", "scheme": "bearer"}
