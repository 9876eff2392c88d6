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
from pydantic import BaseModel

from .api.access import Access
from .api.route import access_of
from .components import HEALTH, PREFIX, Components
from .core.media import FORM
from .core.problems import MEDIA_TYPE
from .core.scopes import OF_CLIENTS, OF_USERS
from .schemas.oauth import OAuthErrorDocument, TokenRequest
from .schemas.system import ProblemDocument

PROBLEM_REF = "#/components/schemas/Problem"

RESPONSES: dict[int, tuple[str, str]] = {
    400: ("BadRequest", "The body is not JSON, the credentials are malformed, or an OAuth client is not known."),
    401: ("Unauthorized", "No credentials, or none that are valid."),
    403: ("Forbidden", "The credentials are valid but not entitled: another role, or a scope that they lack."),
    404: ("NotFound", "There is no such resource, or it is somebody else's."),
    406: ("NotAcceptable", "The Accept header excludes JSON."),
    408: ("RequestTimeout", "The body did not arrive in time."),
    409: ("Conflict", "The state of the resource does not allow it, or a unique value is taken."),
    412: ("PreconditionFailed", "The product is not in the state that If-Match names."),
    413: ("ContentTooLarge", "The body is larger than 1 MiB."),
    414: ("URITooLong", "The request target is longer than 8 KiB."),
    415: ("UnsupportedMediaType", "The body is of another media type than the one that is taken, or is compressed."),
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


def _oauth_error(description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    shared = {name: {"$ref": f"#/components/headers/{name}"} for name in ("Cache-Control", "X-Request-ID")}
    return {
        "description": description,
        "headers": shared | (headers or {}),
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OAuthError"}}},
    }


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
    "Location": _header(
        "The new resource; after a 303, where to go next.", {"type": "string", "format": "uri-reference"}, required=True
    ),
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
_TOKENS = {"login", "refresh", "token", "authorize"}
_OAUTH = {"token", "authorize"}
_DESCRIPTIONS = {"201": "Created.", "204": "Done.", "303": "Back to the client: with a code, or with an error."}
_AUTHORIZATION_PARAMETERS = (
    ("response_type", "code. Anything else is unsupported_response_type.", "code"),
    (
        "scope",
        "What the client wants to do, separated by spaces. All that it may, where it is left out.",
        "orders:read",
    ),
    ("state", "Comes back as it is.", "af0ifjsldkj"),
    ("code_challenge", "BASE64URL(SHA256(code_verifier)).", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
    ("code_challenge_method", "S256.", "S256"),
)

OAUTH_ERRORS = {
    "OAuthError": _oauth_error("The request or what it shows is not good (RFC 6749 §5.2)."),
    "InvalidClient": _oauth_error(
        "The client is not known, or did not prove who it is.",
        {
            "WWW-Authenticate": _header(
                "A Basic challenge.", {"type": "string", "pattern": "^Basic realm="}, required=True
            )
        },
    ),
}


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
    for model in (ProblemDocument, OAuthErrorDocument, TokenRequest):
        components["schemas"].update(_schemas_of(model))
    components["headers"] = HEADERS
    components["responses"] = {name: _error(status, text) for status, (name, text) in RESPONSES.items()} | OAUTH_ERRORS
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From POST /auth/login."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "From POST /api-keys."},
        "oauth2": {"type": "oauth2", "flows": _flows()},
        "oauthClient": {
            "type": "http",
            "scheme": "basic",
            "description": "client_id and client_secret (RFC 6749 §2.3.1).",
        },
    }
    _describe_oauth(found["paths"], app.state.components)
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
    if operation["operationId"] in _OAUTH:
        statuses.discard(422)
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    if operation["operationId"] == "token":
        operation["security"] = [{"oauthClient": []}, {}]
    elif access is None:
        operation["security"] = []
    else:
        # A client's token is refused with 403 wherever its scope does not reach.
        statuses.update({400, 401} | (set() if access.optional else {403}))
        operation["security"] = list(_alternatives(access))
    if path == HEALTH:
        statuses -= {429, 503}
    if path.endswith("/admin/maintenance"):
        statuses.add(503)
    successes = {status: response for status, response in responses.items() if int(status) < 400}
    for status, response in successes.items():
        response["headers"] = _success_headers(path, operation["operationId"], int(status))
        if status != "304":
            response["description"] = _DESCRIPTIONS.get(status, "As asked.")
    names = {status: name for status, (name, _) in RESPONSES.items()}
    if operation["operationId"] == "token":
        names |= {400: "OAuthError", 401: "InvalidClient"}
    errors = {str(status): {"$ref": f"#/components/responses/{names[status]}"} for status in sorted(statuses)}
    operation["responses"] = {**successes, **errors}


def _alternatives(access: Access) -> Iterator[dict[str, list[str]]]:
    if access.optional:
        yield {}
    yield {"bearer": []}
    if access.scope is not None:
        yield {"oauth2": [access.scope]}
    if access.api_key:
        yield {"apiKey": []}


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
    if status in (201, 303):
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


def _schemas_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model that FastAPI does not see, and of those in it, by their titles."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    nested: dict[str, Any] = schema.pop("$defs", {})
    return {schema["title"]: schema, **nested}


def _flows() -> dict[str, Any]:
    token = f"{PREFIX}/oauth/token"
    by_code = {"authorizationUrl": f"{PREFIX}/oauth/authorize", "tokenUrl": token, "refreshUrl": token}
    return {
        "authorizationCode": by_code | {"scopes": dict(OF_USERS)},
        "clientCredentials": {"tokenUrl": token, "scopes": dict(OF_CLIENTS)},
    }


def _describe_oauth(paths: dict[str, Any], parts: Components) -> None:
    """What the two operations read themselves."""
    schema = {"$ref": "#/components/schemas/TokenRequest"}
    paths[f"{PREFIX}/oauth/token"]["post"]["requestBody"] = {"required": True, "content": {FORM: {"schema": schema}}}
    known = {
        "client_id": sorted(client.client_id for client in parts.clients.all),
        "redirect_uri": sorted({client.redirect_uri for client in parts.clients.all}),
    }
    # Only these two are answered with 4xx when they are missing or wrong. What RFC 6749 §4.1.1 requires beside them is
    # told to the client, by the redirect.
    required = [
        {"name": name, "in": "query", "required": True, "schema": {"type": "string", "enum": values}}
        for name, values in known.items()
    ]
    others = [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}, "example": example}
        for name, text, example in _AUTHORIZATION_PARAMETERS
    ]
    paths[f"{PREFIX}/oauth/authorize"]["get"]["parameters"] = required + others


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
