"""The OpenAPI document: FastAPI's, completed with every answer that the layers can give.

``python -m upheld.reference.openapi > contracts/reference/openapi.yaml`` writes the committed contract; a test holds
the served document against it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from .api.access import Access
from .api.route import access_of
from .components import HEALTH
from .core.problems import MEDIA_TYPE
from .schemas.system import ProblemDocument

PROBLEM_REF = "#/components/schemas/Problem"

RESPONSES: dict[int, tuple[str, str]] = {
    400: ("BadRequest", "The body is not JSON, or the credentials are malformed."),
    401: ("Unauthorized", "No credentials, or none that are valid."),
    403: ("Forbidden", "The credentials are valid but not entitled."),
    404: ("NotFound", "There is no such resource, or it is somebody else's."),
    406: ("NotAcceptable", "The Accept header excludes JSON."),
    408: ("RequestTimeout", "The body did not arrive in time."),
    409: ("Conflict", "The state of the resource does not allow it, or a unique value is taken."),
    412: ("PreconditionFailed", "The product is not in the state that If-Match names."),
    413: ("ContentTooLarge", "The body is larger than 1 MiB."),
    414: ("URITooLong", "The request target is longer than 8 KiB."),
    415: ("UnsupportedMediaType", "The body is not application/json, or is compressed."),
    422: ("UnprocessableContent", "The request does not match its schema."),
    429: ("TooManyRequests", "The quota is used up."),
    431: ("RequestHeaderFieldsTooLarge", "The header fields are too many or too long."),
    500: ("InternalServerError", "Something went wrong on the server."),
    503: ("ServiceUnavailable", "The service is under maintenance."),
}
"""Every error status that an operation can answer: (name in components.responses, description)."""

EVERYWHERE = (406, 414, 429, 431, 500, 503)
WITH_BODY = (400, 408, 413, 415, 422)


def _header(description: str, schema: dict[str, Any], required: bool = False) -> dict[str, Any]:
    return {"description": description, "schema": schema} | ({"required": True} if required else {})


HEADERS: dict[str, dict[str, Any]] = {
    "RateLimit": _header(
        "What is left of the quota (draft-ietf-httpapi-ratelimit-headers-10): r requests, one more in t seconds.",
        {"type": "string", "pattern": '^"[a-z-]+";r=[0-9]+;t=[0-9]+$'},
    ),
    "RateLimit-Policy": _header(
        "The quota: q requests in w seconds.", {"type": "string", "pattern": '^"[a-z-]+";q=[0-9]+;w=[0-9]+$'}
    ),
    "Retry-After": _header("Seconds to wait.", {"type": "integer", "minimum": 1}, required=True),
    "WWW-Authenticate": _header(
        "A Bearer challenge (RFC 6750 §3).", {"type": "string", "pattern": "^Bearer realm="}, required=True
    ),
    "Location": _header("The path of the new resource.", {"type": "string", "format": "uri-reference"}, required=True),
    "ETag": _header("The entity tag of the representation.", {"type": "string", "pattern": '^"[^"]+"$'}, required=True),
    "Link": _header("The next and previous page (RFC 8288).", {"type": "string"}),
    "Cache-Control": _header("Tokens are stored nowhere.", {"type": "string", "const": "no-store"}, required=True),
    "X-Request-ID": _header(
        "Names this exchange in the log.", {"type": "string", "pattern": "^[A-Za-z0-9-]{1,64}$"}, required=True
    ),
}

_ERROR_HEADERS = {401: ("WWW-Authenticate",), 403: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
_PAGED = {"listProducts", "listOrders", "listUsers"}
_TAGGED = {"listProducts", "getProduct", "createProduct", "replaceProduct", "updateProduct"}
_TOKENS = {"login", "refresh"}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of this application, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _complete(app)
    return app.openapi_schema


def _complete(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        openapi_version="3.1.0",
        routes=app.routes,
        servers=[{"url": "/"}],
    )
    components = found.setdefault("components", {})
    components["schemas"].pop("HTTPValidationError", None)
    components["schemas"].pop("ValidationError", None)
    components["schemas"].update(_problem_schemas())
    components["headers"] = HEADERS
    components["responses"] = {name: _error(status, text) for status, (name, text) in RESPONSES.items()}
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From POST /auth/login."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "From POST /api-keys."},
    }
    rules = {(path, method): access for path, method, access in _access_rules(app)}
    for path, item in found["paths"].items():
        for method, operation in item.items():
            _complete_operation(path, operation, rules[path, method])
    return {**found, "components": dict(sorted(components.items()))}


def _access_rules(app: FastAPI) -> Iterator[tuple[str, str, Access | None]]:
    for context in iter_route_contexts(app.routes):
        dependant = getattr(context, "dependant", None)
        for method in context.methods or ():
            if dependant is not None and context.path is not None:
                yield context.path, method.lower(), access_of(dependant)


def _complete_operation(path: str, operation: dict[str, Any], access: Access | None) -> None:
    responses: dict[str, Any] = operation["responses"]
    statuses = {int(status) for status in responses if int(status) >= 400} - {422}
    statuses.update(EVERYWHERE)
    if "requestBody" in operation:
        statuses.update(WITH_BODY)
    if operation.get("parameters"):
        statuses.add(422)
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    if access is None:
        operation["security"] = []
    else:
        statuses.update({400, 401} | ({403} if access.role else set()))
        alternatives = [name for name, taken in (("bearer", True), ("apiKey", access.api_key)) if taken]
        schemes: list[dict[str, list[str]]] = [{name: []} for name in alternatives]
        operation["security"] = [{}, *schemes] if access.optional else schemes
    if path == HEALTH:
        statuses -= {429, 503}
    if path.endswith("/admin/maintenance"):
        statuses.add(503)
    successes = {status: response for status, response in responses.items() if int(status) < 400}
    for status, response in successes.items():
        response["headers"] = _success_headers(path, operation["operationId"], int(status))
        if status != "304":
            response["description"] = {"201": "Created.", "204": "Done."}.get(status, "As asked.")
    errors = {str(status): {"$ref": f"#/components/responses/{RESPONSES[status][0]}"} for status in sorted(statuses)}
    operation["responses"] = {**successes, **errors}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """An optional parameter may be left out; there is no way to write null in a query or a header."""
    alternatives: list[dict[str, Any]] = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if len(alternatives) != 1:
        return schema
    return {name: value for name, value in schema.items() if name not in ("anyOf", "title")} | alternatives[0]


def _success_headers(path: str, operation_id: str, status: int) -> dict[str, Any]:
    names = ["X-Request-ID"]
    if path != HEALTH:
        names += ["RateLimit", "RateLimit-Policy"]
    if status == 201:
        names.append("Location")
    if operation_id in _TAGGED:
        names.append("ETag")
    if operation_id in _PAGED and status == 200:
        names.append("Link")
    if operation_id in _TOKENS:
        names.append("Cache-Control")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}


def _error(status: int, description: str) -> dict[str, Any]:
    names = (*_ERROR_HEADERS.get(status, ()), "X-Request-ID")
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_REF}}},
    }


def _problem_schemas() -> dict[str, Any]:
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    nested: dict[str, Any] = schema.pop("$defs")
    return {"Problem": schema, **nested}


def main() -> None:
    """Print the document as YAML."""
    import yaml

    from .app import create_app
    from .core.settings import Settings

    header = "# Made by `python -m upheld.reference.openapi`; a test holds it against the served document.\n"
    text = yaml.safe_dump(document(create_app(Settings(mutant=None))), sort_keys=False, allow_unicode=True, width=120)
    sys.stdout.write(header + text)


if __name__ == "__main__":
    main()
