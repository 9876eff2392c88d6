"""A key gets exactly its quota.

## What it requires

From a key that nobody has used, as many requests are admitted as the contract's quota says, and the next one is refused with 429.
A token bucket may admit what it earned while we were sending, and not one request more.

## Why

A limit that is off by a few, counted by process, or switched off in production protects nothing; one that refuses early breaks
clients that keep to it. Hardly anybody tests it, because the limiter is switched off for tests.

## What it sends

Quota + 1 requests, one after the other on one connection, from an address and with an identity that nobody else uses.

## Example of a breach

`POST /auth/login` promises 10 a minute, and 20 logins in two seconds are all answered.

## When to waive it

Where the limit is enforced by a gateway that this target stands behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import MUST, CannotProve, Clause, Conversation, Example, Finding, Kept, Lane, Requirement, Subjects
from upheld.checks.ratelimit._drain import ceiling, drain, knock, partition, rules, timeline, took
from upheld.exchange import Response

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A key gets exactly its quota",
    level=MUST,
    clause=Clause(
        "RFC 6585 §4 and the contract's rate_limits",
        "https://www.rfc-editor.org/rfc/rfc6585#section-4",
        "The 429 status code indicates that the user has sent too many requests in a given amount of time.",
    ),
    catalogue=("RATE-01",),
    reads=("rate_limits", "rate_limit.algorithm"),
    profile="shipped",
    cost=1,
    quotas=1,
    owasp="API4:2023",
    cwe=("CWE-770", "CWE-799", "CWE-307"),
)


def subjects(contract: Contract) -> Subjects:
    return rules(contract)


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    session = yield from partition(lane)
    admitted, refused = yield from drain(lane, session)
    if len(admitted) > rule.quota and rule.algorithm != "token-bucket":
        # A window that ended meanwhile gives a second quota; it does not do so twice, unless we are too slow for it.
        if took(admitted) > rule.window / 2:
            raise CannotProve(f"{len(admitted)} requests took {took(admitted):.1f} s of a window of {rule.window:g} s")
        session = yield from partition(lane)
        again, refused_again = yield from drain(lane, session)
        if len(again) < len(admitted):
            admitted, refused = again, refused_again
    sent = f"{len(admitted) + (refused is not None)} × {lane.operation.label} in {took(admitted):.1f} s on a fresh key"
    request = yield from knock(lane, session)
    seen = timeline([*admitted, refused])
    if refused is None:
        statuses = ", ".join(dict.fromkeys(str(r.status) for r in admitted))
        return Finding(
            expected=f"{rule.quota} requests admitted, then 429",
            actual=f"{len(admitted)} admitted, none refused ({statuses})",
            sent=sent,
            request=request,
            timeline=seen,
        )
    if len(admitted) < rule.quota:
        return Finding(
            expected=f"{rule.quota} requests admitted, then 429",
            actual=f"refused after {len(admitted)}",
            sent=sent,
            request=request,
            timeline=seen,
        )
    most = ceiling(rule, admitted)
    if len(admitted) > most:
        return Finding(
            expected=f"at most {most} admitted in {took(admitted):.1f} s",
            actual=f"{len(admitted)} admitted",
            sent=sent,
            request=request,
            timeline=seen,
        )
    return Kept(f"{len(admitted)} admitted in {took(admitted):.1f} s, then 429", timeline=seen)


LOGIN = "POST /auth/login 10/60s"

CONFORMING = (
    Example("the sample shop's login", subject=LOGIN),
    Example("the default rule, keyed by user", subject="** 100/60s"),
)

BREACHING = (
    Example(
        "off by one: refused early",
        subject=LOGIN,
        shop=lambda shop: shop._buckets.update({("/api/v1/auth/login", "127.0.0.4"): (9.0, 0.0)}),
    ),
    Example("nothing is limited", subject=LOGIN, alter=lambda q, r: Response.problem(401) if r.status == 429 else r),
    Example("refused with 503", subject=LOGIN, alter=lambda q, r: Response.problem(503) if r.status == 429 else r),
)
