"""A header field with an address buys no quota.

## What it requires

A limit that is keyed by address takes the address from the connection. `X-Forwarded-For` and its like, sent by a client that is no trusted
proxy, make no new key.

## Why

Anybody can write any address into a header field. A limiter that believes it is no limit: a new value for each request buys a new quota.

## What it sends

It uses up the quota of a source address, never 127.0.0.1, which some servers trust as a proxy. Then it asks again with
`X-Forwarded-For` (one address, and one before and behind another), `Forwarded`, `X-Real-IP`, `X-Client-IP`, `True-Client-IP` and
`CF-Connecting-IP`, each time with another address.

## Example of a breach

After 429, `POST /auth/login` with `X-Forwarded-For: 198.18.7.1` is answered 401, and so is the next one with `198.18.7.2`.

## When to waive it

Where the address that the tests come from is one of the service's own proxies.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from upheld.check import MUST, Clause, Conversation, Example, Finding, Kept, Lane, Requirement, Subjects
from upheld.checks.ratelimit._drain import partition
from upheld.checks.ratelimit._spent import by_address, gets_past, spend
from upheld.exchange import Request, Response

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="A header field with an address buys no quota",
    level=MUST,
    clause=Clause(
        "ASVS 5.0 4.1.3 and the contract's rate_limits key",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x13-V4-API-and-Web-Service.md",
        "Verify that any HTTP header field used by the application and set by an intermediary layer, such as a load balancer, "
        "a web proxy, or a backend-for-frontend service, cannot be overridden by the end-user.",
    ),
    catalogue=("RATE-13",),
    reads=("rate_limits",),
    profile="shipped",
    dear=True,
    cost=20,
    quotas=1,
    owasp="API4:2023",
    cwe=("CWE-348", "CWE-290", "CWE-799"),
)

FORMS = (
    ("X-Forwarded-For", "{}"),
    ("X-Forwarded-For", "{}, 10.0.0.1"),
    ("X-Forwarded-For", "10.0.0.1, {}"),
    ("Forwarded", "for={}"),
    ("X-Real-IP", "{}"),
    ("X-Client-IP", "{}"),
    ("True-Client-IP", "{}"),
    ("CF-Connecting-IP", "{}"),
)


def subjects(contract: Contract) -> Subjects:
    return by_address(contract)


def converse(lane: Lane) -> Conversation:
    session = yield from partition(lane)
    spent = yield from spend(lane, session)
    believed: list[str] = []
    shown: Request | None = None
    for name, form in FORMS:
        if name in believed:
            continue

        def claim(request: Request, number: int, name: str = name, form: str = form) -> Request:
            return request.with_(headers=request.headers.with_(name, form.format(_address(lane))))

        passed = yield from gets_past(lane, session, spent, claim, spent.comes_through)
        if passed:
            believed.append(name)
            shown = shown or claim((yield from spent.ask(lane, session)), 0)
    if not believed:
        return Kept(f"refused from the same address, whatever {len({name for name, _ in FORMS})} header fields claimed")
    return Finding(
        expected="429: the address of the connection has used its quota up",
        actual=f"admitted again and again with another address in {', '.join(believed)}; likely: the key trusts "
        f"{'that header' if len(believed) == 1 else 'these headers'}",
        sent=f"{spent.count + 1} × {lane.operation.label} until 429, then with made-up addresses in header fields",
        request=shown,
    )


def _address(lane: Lane) -> str:
    """An address that no other request claims, of the block for benchmarks (RFC 2544), which nobody has."""
    number = zlib.crc32(lane.unique().encode())
    return f"198.{18 + (number >> 16 & 1)}.{number >> 8 & 255}.{number & 255}"


LOGIN = "POST /auth/login 10/60s"


def _trusting(field: str, part: int = 0) -> Example:
    """The shop takes the address from one part of this field where there is one."""

    def change(shop: Shop) -> None:
        limited = shop._limited

        def claimed(request: Request) -> Response | None:
            address = shop.address
            if field in request.headers:
                shop.address = request.headers[field].split(",")[part].strip()
            refused = limited(request)
            shop.address = address
            return refused

        setattr(shop, "_limited", claimed)  # noqa: B010

    return Example(f"{field}, part {part}", subject=LOGIN, shop=change)


CONFORMING = (
    Example("the sample shop's login", subject=LOGIN),
    Example("the default rule, asked without credentials", subject="** 100/60s"),
)

BREACHING = (
    _trusting("X-Forwarded-For"),
    _trusting("X-Forwarded-For", -1),
    _trusting("Forwarded"),
    _trusting("X-Real-IP"),
    _trusting("True-Client-IP"),
)
