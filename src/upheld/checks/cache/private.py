"""What a signed-in user is shown is kept by no shared cache.

## What it requires

A successful answer of a secured operation does not allow shared caches to keep it (`public`, `s-maxage`), and where the contract
says `caching: {authenticated: private}` or `no-store`, `Cache-Control` says so.

## Why

One proxy, one CDN rule, and the next visitor sees somebody else's account.

## What it sends

Nothing of its own. It watches every 2xx that secured operations give to a request with credentials.

## Example of a breach

`GET /users/me` with `Cache-Control: public, max-age=300`.

## When to waive it

For a secured operation whose answer is the same for everybody, if shared caches are meant to keep it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from upheld.check import MUST, Clause, Example, Finding, Kept, Outcome, Requirement, Subjects, seen
from upheld.exchange import Exchange, Response, Session
from upheld.steps import operations

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="What a signed-in user is shown is kept by no shared cache",
    level=MUST,
    clause=Clause(
        "RFC 9111 §3.5, §5.2.2.7 and the contract's caching.authenticated",
        "https://www.rfc-editor.org/rfc/rfc9111#section-3.5",
        "A shared cache MUST NOT use a cached response to a request with an Authorization header field to satisfy any "
        "subsequent request unless the response contains a Cache-Control field with a directive that allows it.",
    ),
    catalogue=("CACHE-01",),
    reads=("caching.authenticated",),
    cwe=("CWE-524", "CWE-525"),
)


def subjects(contract: Contract) -> Subjects:
    return operations(
        contract,
        lambda op: op.method == "GET" and not contract.is_public(op),
        "the contract has no secured operation whose answers could be kept",
    )


_DIRECTIVE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s*=\s*(?:\"[^\"]*\"|[^\s,]+))?")


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    operation = contract.operation(exchange.operation)
    if operation is None or contract.is_public(operation) or not exchange.response.ok:
        return None
    if exchange.request.method not in ("GET", "HEAD"):
        return None  # what other methods answer is not stored unless it says so (RFC 9110 §9.2.3)
    value = exchange.response.headers.get("cache-control", "")
    directives = {name.lower() for name in _DIRECTIVE.findall(value)}
    promised = contract.policy.caching.authenticated
    if (shared := directives & {"public", "s-maxage"}) and "no-store" not in directives:
        return _finding(
            exchange, "neither public nor s-maxage", value, f"{', '.join(sorted(shared))} on a secured operation"
        )
    if promised == "no-store" and "no-store" not in directives:
        return _finding(exchange, "Cache-Control: no-store", value, "no no-store on secured operations")
    if promised == "private" and not directives & {"private", "no-store"}:
        return _finding(exchange, "Cache-Control: private (or no-store)", value, "no private on secured operations")
    return Kept()


def _finding(exchange: Exchange, expected: str, value: str, origin: str) -> Finding:
    actual = f"Cache-Control: {value[:100]}" if value else "no Cache-Control"
    return Finding(expected=expected, actual=actual, origin=origin, request=exchange.request)


_ALICE = Session("alice", "user", headers=(("Authorization", "Bearer a.b.c"),))


def _me(control: str | None) -> Exchange:
    answer = Response.of(200, {"id": "1"}, **({"cache_control": control} if control else {}))
    return seen("GET", "/api/v1/users/me", answer, session=_ALICE)


CONFORMING = (
    Example("private", exchange=_me("private, max-age=60")),
    Example("no-store", exchange=_me("no-store")),
    Example("private with a field name", exchange=_me('private="set-cookie", no-store')),
)

BREACHING = (
    Example("public", exchange=_me("public, max-age=300")),
    Example("s-maxage", exchange=_me("s-maxage=60, private")),
    Example("nothing, although the contract promises private", exchange=_me(None)),
)
