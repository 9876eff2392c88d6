"""Errors as RFC 9457 problem documents: the catalogue of types, the exception that carries one, and its renderer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
REALM = "upheld"


@dataclass(frozen=True)
class ProblemType:
    """One kind of problem. RFC 9457 §3.1.3: the title "SHOULD NOT change from occurrence to occurrence"."""

    name: str
    status: int
    title: str
    uri: str = ""

    @property
    def type(self) -> str:
        return self.uri or f"urn:upheld:problem:{self.name}"


def _blank(status: int) -> ProblemType:
    # §4.2.1: with about:blank the title SHOULD be the status phrase. Python 3.11 still knows two phrases by the names
    # that RFC 9110 replaced.
    phrases = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
    return ProblemType("about-blank", status, phrases.get(status) or HTTPStatus(status).phrase, uri="about:blank")


MALFORMED_BODY = ProblemType("malformed-body", 400, "The request body is not well-formed JSON")
UNKNOWN_CLIENT = ProblemType("unknown-client", 400, "The client or its redirect_uri is not known")
INVALID_REQUEST = ProblemType("invalid-request", 400, "The request's credentials are malformed")
UNAUTHENTICATED = ProblemType("unauthenticated", 401, "Valid credentials are needed")
FORBIDDEN = ProblemType("forbidden", 403, "These credentials are not entitled to this operation")
CONFLICT = ProblemType("already-exists", 409, "A resource with this unique value exists already")
IN_PROGRESS = ProblemType("idempotency-in-progress", 409, "A request with this Idempotency-Key is being processed")
UNAVAILABLE_PRODUCT = ProblemType("product-unavailable", 409, "A product of the order cannot be delivered")
WRONG_STATE = ProblemType("wrong-state", 409, "The resource's state does not allow this")
STALE = ProblemType("precondition-failed", 412, "The resource is not in the state that If-Match names")
VALIDATION = ProblemType("validation-failed", 422, "The request does not match its schema")
KEY_REUSED = ProblemType("idempotency-key-reused", 422, "The Idempotency-Key was used with another payload")
# draft-ietf-httpapi-ratelimit-headers-10 §5.1 registers this type and its member violated-policies.
QUOTA_EXCEEDED = ProblemType(
    "quota-exceeded", 429, "Request cannot be satisfied as assigned quota has been exceeded",
    uri="https://iana.org/assignments/http-problem-types#quota-exceeded",
)  # fmt: skip
MAINTENANCE = ProblemType("maintenance", 503, "The service is under maintenance")


class Problem(HTTPException):
    """Raise it anywhere below the boundary; the renderer makes the answer.

    A subclass of Starlette's HTTPException because FastAPI lets those through while it reads a body.
    """

    def __init__(
        self,
        kind: ProblemType,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(kind.status, detail or "", dict(headers or {}))
        self.kind = kind
        self.extensions = dict(extensions or {})

    @classmethod
    def of_status(cls, status: int, detail: str | None = None, *, headers: Mapping[str, str] | None = None) -> Problem:
        """A problem that says no more than its status: type about:blank."""
        return cls(_blank(status), detail, headers=headers)


def challenge(error: str | None = None, description: str | None = None, scope: str | None = None) -> dict[str, str]:
    """A Bearer challenge. RFC 6750 §3: the scheme "MUST be followed by one or more auth-param values"; the error code
    is left out "if the request lacks any authentication information"."""
    parameters = [f'realm="{REALM}"']
    for name, value in (("error", error), ("error_description", description), ("scope", scope)):
        if value is not None:
            parameters.append(f'{name}="{value}"')
    return {"WWW-Authenticate": "Bearer " + ", ".join(parameters)}


def unauthenticated(detail: str = "No credentials were sent.", *, error: str | None = None) -> Problem:
    return Problem(UNAUTHENTICATED, detail, headers=challenge(error))


def forbidden(role: str) -> Problem:
    return Problem(
        FORBIDDEN, f"This operation needs the role {role}.", headers=challenge("insufficient_scope", scope=role)
    )


def insufficient_scope(scope: str | None) -> Problem:
    """RFC 6750 §3.1. None: no scope would do, the operation is for the user's own session."""
    needs = "takes no token of an OAuth client" if scope is None else f"needs the scope {scope}"
    return Problem(FORBIDDEN, f"This operation {needs}.", headers=challenge("insufficient_scope", scope=scope))


def pointer(location: Sequence[str | int]) -> str:
    """FastAPI's location tuple as a JSON Pointer fragment (RFC 6901 §6), for example ``#/body/items/0/quantity``."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1")[:64] for part in location)
    return "#/" + "/".join(escaped)


class ProblemRenderer:
    """Turns a Problem into the answer's bytes. A seam: a mutant may replace it."""

    def document(self, problem: Problem, request_id: str) -> dict[str, Any]:
        body: dict[str, Any] = {"type": problem.kind.type, "title": problem.kind.title, "status": problem.kind.status}
        if problem.detail:
            body["detail"] = problem.detail
        return {**body, **problem.extensions, "request_id": request_id}

    def render(self, problem: Problem, request_id: str) -> Response:
        body = json.dumps(self.document(problem, request_id), ensure_ascii=False, separators=(",", ":"))
        headers = {"cache-control": "no-store", **(problem.headers or {})}
        return Response(body.encode(), problem.kind.status, headers, MEDIA_TYPE)
