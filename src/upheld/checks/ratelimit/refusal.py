"""A 429 explains itself.

## What it requires

A 429 has a body that says what was exceeded. Where it is a problem of the registered type *quota-exceeded*, `violated-policies` is an
array of names, each of them an item of the answer's `RateLimit-Policy`. (That it is in the contract's error format, and that no
cache keeps it, are requirements of their own.)

## Why

A bare 429 sends people to the logs. One that names a policy which nobody published leaves a client that has several quotas guessing.

## What it sends

Nothing of its own. It watches the 429s that the other checks of limits provoke.

## Example of a breach

`429` with an empty body, or *quota-exceeded* with `"violated-policies": ["burst"]` and no policy of that name.

## When to waive it

Where a gateway makes the 429s and can't be configured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import SHOULD, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.checks.ratelimit._policies import names
from upheld.exchange import Exchange, NotJson, Response

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A 429 explains itself",
    level=SHOULD,
    clause=Clause(
        "RFC 6585 §4; draft-ietf-httpapi-ratelimit-headers-10 §5.1",
        "https://www.rfc-editor.org/rfc/rfc6585#section-4",
        "The response representations SHOULD include details explaining the condition.",
    ),
    catalogue=("RATE-02",),
    reads=("rate_limits",),
    scope="service",
    owasp="API4:2023",
)

_QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    response = exchange.response
    if response.status != 429 or exchange.request.method == "HEAD":
        return None
    if not response.body.strip():
        return _finding(exchange, "a body that says what was exceeded", "an empty body", "429 without a body")
    try:
        document = response.json() if response.is_json else None
    except NotJson:
        return None  # that it is no JSON is another requirement's finding
    if isinstance(document, dict) and document.get("type") == _QUOTA_EXCEEDED:
        return _policies(exchange, document.get("violated-policies"))
    return Kept()


def _policies(exchange: Exchange, named: object) -> Outcome:
    """§5.1: an array of names of the policies that were exceeded; they are told apart by RateLimit-Policy, where it is sent."""
    if not (isinstance(named, list) and named and all(isinstance(name, str) for name in named)):
        expected = "violated-policies: the names of the policies that were exceeded"
        return _finding(exchange, expected, f"violated-policies: {str(named)[:80]}", "no violated-policies")
    known = names(exchange.response.headers.get("ratelimit-policy", ""))
    strange = [name for name in named if name not in known] if known else []
    if strange:
        expected = f"violated-policies: names of RateLimit-Policy, {' or '.join(known)}"
        return _finding(
            exchange, expected, f"violated-policies: {str(named)[:80]}", "violated-policies that nobody published"
        )
    return Kept()


def _finding(exchange: Exchange, expected: str, actual: str, origin: str) -> Finding:
    return Finding(expected=expected, actual=actual, origin=origin, request=exchange.request)


_LOGIN = "/api/v1/auth/login"
_QUOTA = {"type": _QUOTA_EXCEEDED, "title": "Quota", "status": 429}
_PROBLEM = "application/problem+json"


def _exceeded(says: str, named: object, policy: str | None = None) -> Example:
    response = Response.of(429, {**_QUOTA, "violated-policies": named}, content_type=_PROBLEM)
    headers = response.headers.with_("RateLimit-Policy", policy)
    return Example(says, exchange=seen("POST", _LOGIN, Response(429, headers, response.body)))


CONFORMING = (
    Example("a problem", exchange=seen("POST", _LOGIN, Response.problem(429, retry_after="6"))),
    _exceeded("the registered type with its member", ["login"]),
    _exceeded("one of two policies", ["login"], '"login";q=10;w=60, "day";q=100;w=86400'),
    _exceeded("a policy field that can't be read is another requirement's finding", ["login"], "10;w=60"),
    Example("plain text explains too", exchange=seen("POST", _LOGIN, Response(429, body=b"slow down"))),
)

BREACHING = (
    Example("no body", exchange=seen("POST", _LOGIN, Response.of(429, retry_after="6"))),
    Example("no policies", exchange=seen("POST", _LOGIN, Response.of(429, _QUOTA, content_type=_PROBLEM))),
    _exceeded("one name, no array", "login"),
    _exceeded("a policy that nobody published", ["burst"], '"login";q=10;w=60'),
)
