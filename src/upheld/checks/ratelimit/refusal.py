"""A 429 explains itself.

## What it requires

A 429 has a body that says what was exceeded, in the contract's error format. It is not marked as cacheable, and where it uses the
registered type *quota-exceeded*, `violated-policies` names the policies.

## Why

A bare 429 sends people to the logs. One that a cache keeps goes on refusing people who never exceeded anything.

## What it sends

Nothing of its own. It watches the 429s that the other checks of limits provoke.

## Example of a breach

`429` with an empty body, or with `Cache-Control: public, max-age=60`.

## When to waive it

Where a gateway makes the 429s and can't be configured.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from upheld.check import SHOULD, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.exchange import Exchange, NotJson, Response

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A 429 explains itself",
    level=SHOULD,
    clause=Clause(
        "RFC 6585 §4",
        "https://www.rfc-editor.org/rfc/rfc6585#section-4",
        "The response representations SHOULD include details explaining the condition. Responses with the 429 status code "
        "MUST NOT be stored by a cache.",
    ),
    catalogue=("RATE-02",),
    reads=("rate_limits",),
    scope="service",
    owasp="API4:2023",
)

_QUOTA_EXCEEDED = "quota-exceeded"
_STORABLE = re.compile(r"(?:^|[\s,])(?:public|s-maxage\s*=\s*\"?[1-9]|max-age\s*=\s*\"?[1-9])", re.IGNORECASE)


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    response = exchange.response
    if response.status != 429 or exchange.request.method == "HEAD":
        return None
    control = response.headers.get("cache-control", "")
    if _STORABLE.search(control) and "no-store" not in control.lower():
        return _finding(
            exchange, "a 429 that no cache keeps", f"Cache-Control: {control[:80]}", "429 marked as cacheable"
        )
    if not response.body.strip():
        return _finding(exchange, "a body that says what was exceeded", "an empty body", "429 without a body")
    try:
        document = response.json() if response.is_json else None
    except NotJson:
        return None  # that it is no JSON is another requirement's finding
    if isinstance(document, dict) and str(document.get("type", "")).endswith(_QUOTA_EXCEEDED):
        policies = document.get("violated-policies")
        if not (isinstance(policies, list) and policies and all(isinstance(p, str) for p in policies)):
            expected = "violated-policies: the names of the policies that were exceeded"
            return _finding(exchange, expected, f"violated-policies: {str(policies)[:80]}", "no violated-policies")
    return Kept()


def _finding(exchange: Exchange, expected: str, actual: str, origin: str) -> Finding:
    return Finding(expected=expected, actual=actual, origin=origin, request=exchange.request)


_LOGIN = "/api/v1/auth/login"
_QUOTA = {"type": "https://iana.org/assignments/http-problem-types#quota-exceeded", "title": "Quota", "status": 429}
_PROBLEM = "application/problem+json"

CONFORMING = (
    Example("a problem", exchange=seen("POST", _LOGIN, Response.problem(429, retry_after="6"))),
    Example(
        "the registered type with its member",
        exchange=seen(
            "POST", _LOGIN, Response.of(429, {**_QUOTA, "violated-policies": ["login"]}, content_type=_PROBLEM)
        ),
    ),
    Example("plain text explains too", exchange=seen("POST", _LOGIN, Response(429, body=b"slow down"))),
    Example("no-store", exchange=seen("POST", _LOGIN, Response.problem(429, cache_control="no-store, max-age=0"))),
)

BREACHING = (
    Example("no body", exchange=seen("POST", _LOGIN, Response.of(429, retry_after="6"))),
    Example("cacheable", exchange=seen("POST", _LOGIN, Response.problem(429, cache_control="public, max-age=60"))),
    Example("no policies", exchange=seen("POST", _LOGIN, Response.of(429, _QUOTA, content_type=_PROBLEM))),
)
