"""A used up quota comes back in time, and no more than it.

## What it requires

Half a window after the last refusal, a token bucket admits half its quota. One window later, a fixed or moving window admits all of it;
1.3 windows later, a sliding counter at least three tenths. None admits more than that, and none stays shut.

## Why

A limiter that forgets to give back locks out who kept to its Retry-After; one that gives back too much is none. Neither shows until
somebody waits for it.

## What it sends

Requests until the first 429 on a fresh key; after the wait, requests until the next. Without a password where those count too.

## Example of a breach

30 requests a minute, a token bucket, and 30 s after the refusal all 30 are admitted.

## When to waive it

Where the quota is given back by hand, or a lock-out after too many attempts is wanted.
"""

from __future__ import annotations

import math
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
    wait,
)
from upheld.checks.ratelimit._drain import drain, exhaust, partition, rules, timeline, took
from upheld.checks.ratelimit._limiters import (
    AlignedWindow,
    FixedWindow,
    Make,
    MovingWindow,
    SlidingCounter,
    StrictMovingWindow,
    TokenBucket,
)
from upheld.checks.ratelimit._rehearsed import LOGIN, limited
from upheld.checks.ratelimit._timeline import began
from upheld.exchange import Request, Response

if TYPE_CHECKING:
    from upheld.contract import Contract, RateRule

REQUIREMENT = Requirement(
    title="A used up quota comes back in time, and no more than it",
    level=MUST,
    clause=Clause(
        "RFC 6585 §4 and the contract's rate_limits and rate_limit.algorithm",
        "https://www.rfc-editor.org/rfc/rfc6585#section-4",
        "The 429 status code indicates that the user has sent too many requests in a given amount of time.",
    ),
    catalogue=("RATE-08",),
    reads=("rate_limits", "rate_limit.algorithm"),
    profile="shipped",
    waits=True,
    windows=1.05,
    cost=2,
    quotas=2,
    owasp="API4:2023",
    cwe=("CWE-799",),
)

PAUSE = {"token-bucket": 0.5, "fixed-window": 1.05, "moving-window": 1.05}
"""In windows. A twentieth more than a window, where at its end everything has to be back."""
LONGEST = 1.3
"""For a sliding counter, which right after one window has forgotten nothing; and where the algorithm is not told."""


def subjects(contract: Contract) -> Subjects:
    return rules(contract)


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    session = yield from partition(lane)
    first, refused, how = yield from exhaust(lane, session)
    if refused is None:
        return Unproven(f"{len(first)} requests met no 429, so no quota was used up")
    yield from wait(PAUSE.get(rule.algorithm, LONGEST) * rule.window)
    admitted, again = yield from drain(lane, session, how)
    later = f"{rule.window * PAUSE.get(rule.algorithm, LONGEST):.0f} s later"
    if again is None and rule.algorithm in ("fixed-window", "any"):
        # A window of the clock may have ended just then. It ends once.
        more, again = yield from drain(lane, session, how)
        if again is not None:
            return Unproven(f"{len(admitted) + len(more)} admitted {later}: a window seems to have ended in between")
    least, most = expected(rule, refused, admitted, again)
    shown = timeline([*first, refused, *admitted, again])
    if least <= len(admitted) <= most and again is not None:
        return Kept(f"{len(admitted)} admitted {later}, then 429", timeline=shown)
    amount = f"{least}" if least == most else f"{least} to {most}"
    seen = f"{len(admitted)} admitted{'' if again is not None else ', none refused'}"
    return Finding(
        expected=f"{amount} admitted {later}, then 429",
        actual=f"{seen}{_cause(rule, admitted, again)}",
        sent=f"{len(first) + 1} × {lane.operation.label} on a fresh key, and {later} {len(admitted) + (again is not None)} more",
        request=(yield from how(lane, session)),
        timeline=shown,
    )


def expected(rule: RateRule, refused: Response, admitted: list[Response], again: Response | None) -> tuple[int, int]:
    """The least and the most that are admitted between two refusals. Exact but for one request, which limiters round differently."""
    rate = rule.quota / rule.window
    if rule.algorithm == "token-bucket":
        # At the first refusal it held less than a token; what came after was earned between the two at the latest and the earliest.
        until = began(again) if again is not None else began(admitted[-1])
        least = math.floor((until - refused.at) * rate)
        most = math.ceil(((again or admitted[-1]).at - began(refused)) * rate)
        meanwhile = math.ceil(took(admitted) * rate)
        return max(1, min(rule.quota, least) - 1), min(rule.quota + meanwhile, most + 1)
    if rule.algorithm in PAUSE:
        return rule.quota, rule.quota
    least = math.floor((LONGEST - 1) * rule.quota) - 1
    return max(1, least), rule.quota + math.ceil(took(admitted) * rate) + 1


def _cause(rule: RateRule, admitted: list[Response], again: Response | None) -> str:
    if not admitted:
        return f"; likely: {'windows in place of a bucket, or ' if rule.algorithm == 'token-bucket' else ''}a lock-out"
    return "" if again is not None else "; likely: the limit is gone once it was reached"


class _Shut(TokenBucket):
    """Gives nothing back any more when it was empty once."""

    def room(self, at: float) -> float:
        return 0.0 if self._level < 1 else super().room(at)


class _Generous(TokenBucket):
    """Earns twice as fast as it says."""

    def __init__(self, quota: int, window: float, begins: float = 0.0) -> None:
        super().__init__(quota, window / 2, begins)


class _RefusesOnce:
    def __init__(self) -> None:
        self.refused = False

    def __call__(self, request: Request, response: Response) -> Response:
        if response.status == 429 and self.refused:
            return Response(401, at=response.at)
        self.refused = self.refused or response.status == 429
        return response


def _example(says: str, make: Make, algorithm: str, begins: float = 0.0) -> Example:
    policy = {"rate_limit": {"algorithm": algorithm}}
    at = f", its windows from {begins:g} s on" if begins else ""
    return Example(f"{says}{at}, declared {algorithm}", subject=LOGIN, shop=limited(make, begins=begins), policy=policy)


CONFORMING = (
    Example("the default rule", subject="** 100/60s"),
    _example("a bucket", TokenBucket, "token-bucket"),
    _example("a fixed window", FixedWindow, "fixed-window"),
    _example("windows of the clock", AlignedWindow, "fixed-window", 20.0),
    _example("a log", MovingWindow, "moving-window"),
    _example("a log of refused requests too", StrictMovingWindow, "moving-window"),
    _example("a counter", SlidingCounter, "sliding-window"),
    _example("a counter", SlidingCounter, "sliding-window", 25.0),
    _example("a bucket", TokenBucket, "any"),
    _example("a counter", SlidingCounter, "any", 50.0),
)

BREACHING = (
    _example("a bucket that stays shut", _Shut, "token-bucket"),
    _example("a bucket that stays shut", _Shut, "any"),
    _example("a bucket that earns too much", _Generous, "token-bucket"),
    _example("a fixed window", FixedWindow, "token-bucket"),
    _example("a counter", SlidingCounter, "moving-window"),
    Example("no limit any more once it was reached", subject=LOGIN, alter=_RefusesOnce),
)
