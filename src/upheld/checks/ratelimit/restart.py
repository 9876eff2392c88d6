"""A quota that is used up survives a restart, or doesn't, as the contract says.

## What it requires

Where the contract says `on_restart: keep`, a client whose quota is used up is still refused after the service has been started
again. With `forget` everybody begins anew.

## Why

Counters that live in the process are gone with it. Whoever can make a service restart, or waits for the next deployment, has the
whole quota again, and with several processes each counts for itself.

## What it sends

After everything else in the run, it uses one small quota up, has the target started again, and asks until it is refused. What a
bucket has earned meanwhile is allowed for. A target that somebody else started can't be started again, and proves nothing.

## Example of a breach

Five registrations are admitted and the sixth is refused. After the restart five more are admitted.

## When to waive it

Where every client may begin anew with each deployment, say `on_restart: forget`, or leave it out.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from upheld.check import (
    SHOULD,
    Action,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    control,
)
from upheld.checks.ratelimit._drain import drain, exhaust, partition, smallest
from upheld.exchange import Request

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="A restart treats used-up quotas as declared",
    level=SHOULD,
    clause=Clause(
        "the contract's rate_limit.on_restart; OWASP API Security Top 10 2023, API4 Unrestricted Resource Consumption",
        "https://owasp.org/API-Security/editions/2023/en/0xa4-unrestricted-resource-consumption/",
    ),
    catalogue=("RATE-12",),
    reads=("rate_limit.on_restart", "rate_limits", "target.start"),
    profile="shipped",
    alone=True,
    cost=16,
    owasp="API4:2023",
    cwe=("CWE-770",),
)


def subjects(contract: Contract) -> Subjects:
    if contract.policy.rate_limit.on_restart == "any":
        return NotApplicable("the contract doesn't say what a restart does to quotas (rate_limit.on_restart)")
    found = smallest(contract)
    return [replace(found, label="service")] if isinstance(found, Subject) else found


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    promised = lane.contract.policy.rate_limit.on_restart
    seen = yield from _restarted(lane)
    if promised == "keep" and seen.forgot and rule.algorithm not in ("token-bucket", "moving-window"):
        # The window may have ended during the restart.
        seen = yield from _restarted(lane)
    told = f"{seen.before} admitted and then refused; after the restart {seen.after} more admitted"
    if seen.forgot if promised == "forget" else seen.kept:
        return Kept(told)
    if not seen.forgot and not seen.kept:
        return Unproven(f"{told}, which says neither that the quota was kept nor that it was forgotten")
    likely = "; likely: the counters live in the process" if seen.forgot else ""
    operation = lane.operation
    return Finding(
        expected="refused again, as before the restart" if promised == "keep" else f"the whole quota of {rule.quota}",
        actual=told + likely,
        sent=f"{operation.label} until 429, a restart, {operation.label} until 429",
        required=f"on_restart: {promised} (contract: rate_limit)",
        request=Request(operation.method, operation.path, operation=operation.label),
    )


class _Seen:
    """What one restart did: requests admitted before and after it, and how many of the latter were earned meanwhile."""

    def __init__(self, before: int, after: int, earned: int, quota: int) -> None:
        self.before, self.after = before, after
        self.kept = after <= earned < quota
        self.forgot = after >= quota > earned


def _restarted(lane: Lane) -> Generator[Action, Any, _Seen]:
    rule = lane.subject.rule
    assert rule is not None
    session = yield from partition(lane)
    before, refused, ask = yield from exhaust(lane, session)
    if refused is None:
        raise CannotProve(f"{len(before)} requests met no 429, so no quota is used up")
    yield from control("restart")
    admitted, _ = yield from drain(lane, session, ask)
    if session is not None and any(answer.status == 401 for answer in admitted):
        raise CannotProve("the restart ended the session as well, so that the quota is another one")
    passed = admitted[-1].at - refused.at if admitted else 0.0
    # One more, for the part of a token that was there when it was refused.
    return _Seen(len(before), len(admitted), math.ceil(passed * rule.quota / rule.window) + 1, rule.quota)


def _forgets(shop: Shop) -> None:
    shop.done_to_it = lambda deed: shop._buckets.clear()


KEEP = {"rate_limit": {"on_restart": "keep"}}
FORGET = {"rate_limit": {"on_restart": "forget"}}

CONFORMING = (
    Example("counters that survive", policy=KEEP),
    Example("counters that are meant to go", policy=FORGET, shop=_forgets),
)

BREACHING = (
    Example("counters of the process", policy=KEEP, shop=_forgets),
    Example("counters that stay though they are meant to go", policy=FORGET),
)
