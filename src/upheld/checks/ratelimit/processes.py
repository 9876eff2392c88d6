"""All processes of the service share one quota.

## What it requires

A key gets its quota once, however many processes, workers or replicas answer, and whichever of them a new connection reaches.

## Why

Most limiters count in the memory of their process unless they are told otherwise. Four workers then admit four times what is promised, and
a client on one kept connection never notices.

## What it sends

The rule with the smallest quota is used up on one connection as a control. Then, from fresh keys, four times the quota (at least 40
requests, with hardly any work for the service), each on a new connection: one after the other, then eight at once.

## Example of a breach

`POST /auth/register` promises 5 a minute; one connection gets 5, new connections get 10: two workers with counters of their own.

## When to waive it

Where upheld.yaml says so instead: `rate_limit: {replicas: separate}`.
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
    NotApplicable,
    Requirement,
    Subjects,
    Unproven,
)
from upheld.checks.ratelimit._crowd import admitted, apart, most, together
from upheld.checks.ratelimit._drain import partition, rules, timeline
from upheld.checks.ratelimit._spent import spend
from upheld.exchange import Request, Response

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="All processes of the service share one quota",
    level=MUST,
    clause=Clause(
        "The contract's rate_limit.replicas, and draft-ietf-httpapi-ratelimit-headers-10 §2",
        "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10#section-2",
        "Quota: an allocation of capacity to enable a server to limit client requests.",
    ),
    catalogue=("RATE-11",),
    reads=("rate_limits", "rate_limit.replicas", "rate_limit.algorithm"),
    profile="shipped",
    dear=True,
    cost=95,
    owasp="API4:2023",
    cwe=("CWE-799",),
)

LARGEST = 30
LEAST = 40
AT_ONCE = 8


def subjects(contract: Contract) -> Subjects:
    if contract.policy.rate_limit.replicas == "separate":
        return NotApplicable("the contract says that each replica has a quota of its own (rate_limit.replicas)")
    found = rules(contract)
    if isinstance(found, Unproven | NotApplicable):
        return found
    small = [(subject.rule.quota, subject) for subject in found if subject.rule and subject.rule.quota <= LARGEST]
    if not small:
        return Unproven(f"no rule has a quota of at most {LARGEST}, and four times a larger one would be load")
    return [min(small, key=lambda pair: pair[0])[1]]


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    spent = yield from spend(lane, (yield from partition(lane)))
    count = max(4 * rule.quota, LEAST)
    # A window that ends meanwhile admits two quotas as well, but not twice in a row.
    for _ in range(1 if rule.algorithm == "token-bucket" else 2):
        single = yield from apart(lane, (yield from partition(lane)), spent.ask, count)
        # Off by one on one connection already, it is another finding.
        if admitted(single) <= max(most(rule, single), spent.count + 1):
            break
    else:
        return _finding(lane, single, "one after the other, each on a new connection", len(single))
    session = yield from partition(lane)
    crowd: list[Response] = []
    while len(crowd) < count:
        crowd += yield from together(lane, session, spent.ask, AT_ONCE)
    if admitted(crowd) > most(rule, crowd):
        # A race of reading and writing admits any number; processes admit a whole number of quotas, and then refuse.
        earned = most(rule, crowd) - rule.quota
        if admitted(crowd) == len(crowd) or admitted(crowd) % rule.quota > earned:
            return Unproven(
                f"{AT_ONCE} at once, {admitted(crowd)} of {len(crowd)} were admitted, which need not come from several "
                "processes: ratelimit/parallel says more"
            )
        return _finding(lane, crowd, f"{AT_ONCE} at once, each on a new connection", len(crowd))
    said = f"{admitted(single)} of {count} on new connections admitted, {admitted(crowd)} with {AT_ONCE} at once"
    return Kept(said, timeline=timeline(single))


def _finding(lane: Lane, answers: list[Response], how: str, count: int) -> Finding:
    rule = lane.subject.rule
    assert rule is not None
    times = admitted(answers) / rule.quota
    if admitted(answers) == count:
        likely = "each connection has a counter of its own"
    else:
        number = str(round(times)) if times > 1.5 else "several"
        likely = f"{number} processes with counters of their own"
    return Finding(
        expected=f"{rule.quota} admitted, as on one connection",
        actual=f"{admitted(answers)} of {count} admitted, {times:.1f} times the quota; likely: {likely}",
        sent=f"{count} × {lane.operation.label} from a fresh key, {how}",
        request=Request(lane.operation.method, lane.operation.path, operation=lane.operation.label),
        timeline=timeline(answers),
    )


def _several(keys: int, *, at_once: int = 1) -> Example:
    """So many counters, and each new connection meets the next one; with ``at_once`` only when that many come together."""

    def change(shop: Shop) -> None:
        limited = shop._limited

        def own(request: Request) -> Response | None:
            address = shop.address
            if shop.at_once >= at_once:
                shop.address = f"{address}#{shop.connection % keys}"
            refused = limited(request)
            shop.address = address
            return refused

        setattr(shop, "_limited", own)  # noqa: B010

    return Example(f"{keys} counters, {at_once} at once", shop=change)


CONFORMING = (Example("the sample shop's login"),)

BREACHING = (_several(2), _several(3), _several(1000), _several(2, at_once=AT_ONCE))
