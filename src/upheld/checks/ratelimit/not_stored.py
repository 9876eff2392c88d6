"""No cache keeps a 429.

## What it requires

A 429 says nothing that lets a cache store it: no `public`, no `max-age` or `s-maxage` above zero, no `Expires` to come, unless
`no-store` stands beside it.

## Why

A cache that keeps a refusal hands it to people who never exceeded anything, and to the one who did long after the quota is back.

## What it sends

Nothing of its own. It watches the 429s that the other checks of limits provoke.

## Example of a breach

`429` with `Cache-Control: public, max-age=60`, because a middleware puts it on every answer.

## When to waive it

Where a gateway makes the 429s and can't be configured.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from upheld.check import MUST, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.exchange import Exchange, Response

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="No cache keeps a 429",
    level=MUST,
    clause=Clause(
        "RFC 6585 §4",
        "https://www.rfc-editor.org/rfc/rfc6585#section-4",
        "Responses with the 429 status code MUST NOT be stored by a cache.",
    ),
    catalogue=("RATE-17",),
    scope="service",
    owasp="API4:2023",
)

_STORABLE = re.compile(
    r"(?:^|[\s,])(?:public(?![\w-])|s-maxage\s*=\s*\"?0*[1-9]|max-age\s*=\s*\"?0*[1-9])", re.IGNORECASE
)
_NO_STORE = re.compile(r"(?:^|[\s,])no-store(?![\w-])", re.IGNORECASE)


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    response = exchange.response
    if response.status != 429:
        return None
    control = response.headers.get("cache-control", "")
    if _NO_STORE.search(control):
        return Kept()
    if _STORABLE.search(control):
        return _finding(exchange, f"Cache-Control: {control[:80]}")
    if not control and _lasts(response):
        return _finding(exchange, f"Expires: {response.headers['expires'][:60]}")
    return Kept()


def _lasts(response: Response) -> bool:
    """RFC 9111 §5.3: an Expires later than Date gives a lifetime to an answer without max-age."""
    try:
        expires, date = (parsedate_to_datetime(response.headers[name]) for name in ("expires", "date"))
        return expires > date
    except (KeyError, ValueError, TypeError):
        return False


def _finding(exchange: Exchange, actual: str) -> Finding:
    return Finding(
        expected="a 429 that no cache stores: Cache-Control: no-store, or no lifetime",
        actual=actual,
        origin="429 marked as cacheable",
        request=exchange.request,
    )


_LOGIN = "/api/v1/auth/login"
_DATE = "Sun, 22 Nov 2026 12:00:00 GMT"


def _refusal(says: str, **fields: str) -> Example:
    return Example(says, exchange=seen("POST", _LOGIN, Response.problem(429, retry_after="6", **fields)))


CONFORMING = (
    _refusal("nothing about caches: a 429 is not stored by default"),
    _refusal("no-store", cache_control="no-store, max-age=60"),
    _refusal("no lifetime", cache_control="private, max-age=0"),
    _refusal("expired when it is made", date=_DATE, expires=_DATE),
    _refusal("expired since ever", date=_DATE, expires="0"),
)

BREACHING = (
    _refusal("cacheable", cache_control="public, max-age=60"),
    _refusal("public alone", cache_control="public"),
    _refusal("kept by the browser", cache_control="private, max-age=10"),
    _refusal("kept by shared caches", cache_control='max-age=0, s-maxage="60"'),
    _refusal("Expires to come", date=_DATE, expires="Sun, 22 Nov 2026 12:01:00 GMT"),
)
