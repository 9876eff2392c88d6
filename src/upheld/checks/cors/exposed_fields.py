"""Pages can read the fields that clients need.

## What it requires

Where an answer is shared with a page and carries `Retry-After`, `RateLimit`, `RateLimit-Policy`, `Location`, `ETag`, `Link` or `Deprecation`, then
`Access-Control-Expose-Headers` names it (or is `*`, without credentials).

## Why

A browser hides every field that is not listed. The page then sees a 429 without knowing how long to wait, and a 201 without the address of
what it made, though all of that is on the wire.

## What it sends

Nothing of its own. It watches the answers to requests with an `Origin`.

## Example of a breach

`429` with `Access-Control-Allow-Origin` and `Retry-After: 7`, and no `Access-Control-Expose-Headers`.

## When to waive it

For fields that no page needs.
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
from upheld.exchange import Exchange, Response

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Pages can read the fields that clients need",
    level=SHOULD,
    clause=Clause(
        "Fetch, CORS protocol",
        "https://fetch.spec.whatwg.org/#http-access-control-expose-headers",
        "Indicates which headers can be exposed as part of the response by listing their names.",
    ),
    catalogue=("CORS-05",),
    reads=("cors.origins",),
    scope="service",
)

_KEPT = Kept()
_NEEDED = ("Retry-After", "RateLimit", "RateLimit-Policy", "Location", "ETag", "Link", "Deprecation")


def subjects(contract: Contract) -> Subjects:
    return [SERVICE] if contract.policy.cors.origins else NotApplicable("the contract lets no origin in (cors.origins)")


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    headers = exchange.response.headers
    if exchange.request.method == "OPTIONS" or "access-control-allow-origin" not in headers:
        return None
    carried = [name for name in _NEEDED if name in headers]
    if not carried or not contract.policy.cors.origins:
        return None
    exposed = {name.strip().lower() for name in headers.get("access-control-expose-headers", "").split(",")}
    if "*" in exposed and "access-control-allow-credentials" not in headers:
        return _KEPT
    hidden = [name for name in carried if name.lower() not in exposed]
    if not hidden:
        return _KEPT
    return Finding(
        expected=f"Access-Control-Expose-Headers with {', '.join(hidden)}",
        actual=f"Access-Control-Expose-Headers: {headers.get('access-control-expose-headers', 'absent')}",
        origin=f"hidden: {', '.join(hidden)}",
        request=exchange.request,
    )


def _exchange(exposed: str | None, **fields: str) -> Exchange:
    if exposed is not None:
        fields["access_control_expose_headers"] = exposed
    response = Response.of(200, {"items": []}, access_control_allow_origin="https://app.example.test", **fields)
    return seen("GET", "/api/v1/items", response, headers={"Origin": "https://app.example.test"})


CONFORMING = (
    Example("listed", exchange=_exchange("etag, Retry-After", etag='"1"')),
    Example("all of them", exchange=_exchange("*", ratelimit='"default";r=5;t=1')),
)

BREACHING = (
    Example("none is exposed", exchange=_exchange(None, retry_after="7")),
    Example("others are", exchange=_exchange("X-Request-ID", location="/api/v1/items/i1")),
    Example(
        "a star, which with credentials is a name",
        exchange=_exchange("*", etag='"1"', access_control_allow_credentials="true"),
    ),
)
