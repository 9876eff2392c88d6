"""One key's quota is no other key's.

## What it requires

Where a limit is keyed by address, one address that used its quota up does not take it from another. Where it is keyed by user, two
users on one address have a quota each, and one user on two addresses has one.

## Why

A counter that everybody shares lets one client lock all others out. One keyed by address although the contract says by user
locks an office out, and lets one user multiply the quota by changing networks.

## What it sends

It drains one key, then sends one request with another: from another address, or as another user. Logins and registrations are sent
without a password as long as the limiter counts those, so that nothing has to be hashed.

## Example of a breach

After ten logins from one address, the first login from another address is answered `429`.

## When to waive it

Where the limiter stands in front of the target and sees other addresses than the target does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Requirement,
    Subjects,
    Unproven,
    move,
    send,
)
from upheld.checks.ratelimit._drain import drain, exhaust, knock, partition, rules
from upheld.exchange import Request, Response
from upheld.steps import caller

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="One key's quota is no other key's",
    level=MUST,
    clause=Clause(
        "draft-ietf-httpapi-ratelimit-headers-10 §2 and the contract's rate_limits key",
        "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10#section-2",
        "Quota Partition: a division of a server's capacity across different clients, users and owned resources.",
    ),
    catalogue=("RATE-09",),
    reads=("rate_limits",),
    profile="shipped",
    dear=True,
    cost=8,
    quotas=1,
    owasp="API4:2023",
    cwe=("CWE-770",),
)


def subjects(contract: Contract) -> Subjects:
    return rules(contract)


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    if rule.key not in ("ip", "ip+route", "user", "user-or-ip", "user+route"):
        return Unproven(f"keys of the kind {rule.key} can't be told apart from outside")
    session = yield from partition(lane)
    admitted, refused, ask = yield from exhaust(lane, session)
    if refused is None:
        return Unproven(f"{len(admitted)} requests met no 429, so no key is used up")
    drained = f"{len(admitted) + 1} × {lane.operation.label} until 429"
    if session is None:
        yield from move()
        other: Response = yield from send((yield from ask(lane, None)))
        if other.status == 429:
            return _finding(
                lane, "another address has its own quota", "429 for the first request of another address", drained
            )
        return Kept(f"{len(admitted)} from one address, and another address is admitted")
    peer = yield from caller(lane, lane.operation, fresh=True)
    other = yield from send((yield from knock(lane, peer)))
    if other.status == 429:
        return _finding(
            lane, "another user on this address has its own quota", "429 for another user's first request", drained
        )
    yield from drain(lane, session)  # whatever was earned meanwhile
    yield from move()
    # A bucket earns while we ask; a fresh one admits all of these.
    answers = []
    for _ in range(6):
        response: Response = yield from send((yield from knock(lane, session)))
        answers.append(response.status)
        if response.status == 429:
            return Kept("users have a quota each, which follows them from address to address")
    return _finding(
        lane,
        "429: the user's quota is used up, whatever the address",
        f"{len(answers)} requests of the drained user admitted from another address",
        drained,
    )


def _finding(lane: Lane, expected: str, actual: str, drained: str) -> Finding:
    operation = lane.operation
    return Finding(
        expected=expected,
        actual=actual,
        sent=f"{drained}, then one with another key",
        request=Request(operation.method, operation.path, operation=operation.label),
    )


LOGIN = "POST /auth/login 10/60s"


class _OneForAll(dict[tuple[str, str], tuple[float, float]]):
    """Counters of the sample shop that every key shares."""

    def get(self, key: tuple[str, str], default: tuple[float, float]) -> tuple[float, float]:  # type: ignore[override]
        return super().get((key[0], "all"), default)

    def __setitem__(self, key: tuple[str, str], value: tuple[float, float]) -> None:
        super().__setitem__((key[0], "all"), value)


def _counts_what_is_whole(shop: Shop) -> None:
    limited = shop._limited
    setattr(shop, "_limited", lambda request: limited(request) if b"password" in (request.body or b"") else None)  # noqa: B010


CONFORMING = (
    Example("the sample shop's login, by address", subject=LOGIN),
    Example("the default rule, by user", subject="** 100/60s"),
    Example("what fails the validation is not counted", subject=LOGIN, shop=_counts_what_is_whole),
)

BREACHING = (
    Example("one counter for everybody", subject=LOGIN, shop=lambda shop: setattr(shop, "_buckets", _OneForAll())),
    Example("users share a counter", subject="** 100/60s", shop=lambda shop: setattr(shop, "_buckets", _OneForAll())),
    Example(
        "a user's quota grows with addresses",
        subject="** 100/60s",
        shop=lambda shop: setattr(shop, "keyed_by_user", False),
    ),
)
