"""Every answer carries the safe header fields.

## What it requires

With `security_headers: true`, each answer says `X-Content-Type-Options: nosniff`, a `Content-Security-Policy` whose `frame-ancestors` is
`'none'`, and a `Referrer-Policy`: successes, errors and refusals alike. HTML pages (documentation), preflights and 304 are exempt.

## Why

An answer of an API is data. These fields keep a browser that is made to open it from guessing that it is a page, from running what stands
in it, from showing it in a frame, and from telling others its address.

## What it sends

Nothing of its own. It watches every answer that the application itself made. What is missing is told once, not for each operation.

## Example of a breach

`GET /items` carries the three; the 404 of the router carries none, since the middleware that adds them stands inside the router.

## When to waive it

Where the edge adds them in production and the run speaks to the service behind it: leave `security_headers:` off there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
    SERVICE,
    SHOULD,
    Clause,
    Example,
    Finding,
    Kept,
    NotApplicable,
    Outcome,
    Requirement,
    Subjects,
    seen,
)
from upheld.exchange import Exchange, Headers, Response

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Every answer carries the safe header fields",
    level=SHOULD,
    clause=Clause(
        "OWASP ASVS 5.0 §3.4.4",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x12-V3-Web-Frontend-Security.md",
        "Verify that all HTTP responses contain an 'X-Content-Type-Options: nosniff' header field.",
    ),
    catalogue=("SEC-01",),
    reads=("security_headers",),
    scope="service",
    owasp="API8:2023",
    cwe=("CWE-693", "CWE-1021"),
)

_KEPT = Kept()
_OFF = NotApplicable("the contract does not ask for them (security_headers)")
# What the HTTP server refuses by itself never reaches the application, and is plain text or nothing.
_SERVER_MADE = (400, 408, 413, 414, 431, 501, 505)


def subjects(contract: Contract) -> Subjects:
    return [SERVICE] if contract.policy.security_headers else _OFF


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    if not contract.policy.security_headers:
        return _OFF
    response = exchange.response
    kind = response.media_type
    if kind == "text/html" or response.status == 304 or response.status < 200 or exchange.request.method == "OPTIONS":
        return None
    if response.status in _SERVER_MADE and kind in ("", "text/plain"):
        return None
    missing = _missing(response)
    if not missing:
        return _KEPT
    return Finding(
        expected="X-Content-Type-Options: nosniff, Content-Security-Policy with frame-ancestors 'none', Referrer-Policy",
        actual=f"{response.status} without {', '.join(missing)}",
        origin=f"without {', '.join(missing)}",
        request=exchange.request,
    )


def _missing(response: Response) -> list[str]:
    headers = response.headers
    missing = []
    if headers.get("x-content-type-options", "").strip().lower() != "nosniff":
        missing.append("X-Content-Type-Options: nosniff")
    directives = [
        " ".join(d.split()).lower() for d in headers.get("content-security-policy", "").replace(",", ";").split(";")
    ]
    if "frame-ancestors 'none'" not in directives:
        missing.append("Content-Security-Policy: frame-ancestors 'none'")
    if not headers.get("referrer-policy", "").strip():
        missing.append("Referrer-Policy")
    return missing


_SAFE = Headers(
    {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Content-Type": "application/json",
    }
)
_ON = {"security_headers": True}


def _example(says: str, status: int, headers: Headers) -> Example:
    return Example(says, exchange=seen("GET", "/api/v1/items", Response(status, headers, b"{}")), policy=_ON)


CONFORMING = (
    _example("all three", 200, _SAFE),
    _example(
        "on an error", 404, _SAFE.with_("Content-Security-Policy", "frame-ancestors  'none' ; default-src 'none'")
    ),
)

BREACHING = (
    _example("none of them", 200, Headers({"Content-Type": "application/json"})),
    _example("no nosniff on an error", 404, _SAFE.with_("X-Content-Type-Options", None)),
    _example("a policy about something else", 200, _SAFE.with_("Content-Security-Policy", "default-src 'self'")),
    _example("no Referrer-Policy", 429, _SAFE.with_("Referrer-Policy", None)),
)
