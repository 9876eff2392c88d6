"""No window of time admits more than the limit.

## What it requires

Whichever window's length of time one takes, no more is admitted in it than the declared algorithm allows: the quota for a moving
window; the quota and what is earned meanwhile for a token bucket; the quota and a share of it that grows with the time for a sliding window.
Fixed windows admit up to twice the quota around their edges; that is told, and no breach, unless `rate_limit.burst` says less.

## Why

A limiter that forgets everything at an edge lets an attacker who waits for it try twice as many passwords a minute as the contract
says. One that saves up what was not used lets through far more than the service is built for.

## What it sends

On the cheapest rule of each algorithm that the contract declares, with a fresh key: one request, as many as are admitted after 0.9
windows, and once more after 1.05. (Another key shows before whether requests without a password count.)

## Example of a breach

`algorithm: moving-window`, 10 a minute, and 19 requests are admitted within nine seconds.

## When to waive it

Where twice the quota for a moment does no harm; or declare `algorithm: fixed-window`, or a `burst`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    send,
)
from upheld.checks.ratelimit._drain import drain, timeline
from upheld.checks.ratelimit._limiters import (
    AlignedWindow,
    FixedWindow,
    Make,
    MovingWindow,
    SlidingCounter,
    TokenBucket,
)
from upheld.checks.ratelimit._rehearsed import LOGIN, limited
from upheld.checks.ratelimit._timeline import began, each_algorithm, fresh_key, until
from upheld.exchange import Response

if TYPE_CHECKING:
    from upheld.contract import Contract, RateRule

REQUIREMENT = Requirement(
    title="No window of time admits more than the limit",
    level=MUST,
    clause=Clause(
        "RFC 6585 §4 and the contract's rate_limits, rate_limit.algorithm and rate_limit.burst",
        "https://www.rfc-editor.org/rfc/rfc6585#section-4",
        "The 429 status code indicates that the user has sent too many requests in a given amount of time.",
    ),
    catalogue=("RATE-07",),
    reads=("rate_limits", "rate_limit.algorithm", "rate_limit.burst"),
    profile="shipped",
    waits=True,
    windows=1.05,
    cost=4,
    quotas=3,
    owasp="API4:2023",
    cwe=("CWE-799",),
)

BEFORE, AFTER, LONGEST = 0.9, 1.05, 0.95
"""In windows: when the first window is about to end, when it has ended, and the longest time that is looked at, so that a limiter
whose clock has whole seconds is not blamed for their rounding."""


def subjects(contract: Contract) -> Subjects:
    return each_algorithm(contract)


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    session, how = yield from fresh_key(lane)
    first: Response = yield from send((yield from how(lane, session)))
    if first.status == 429:
        return Unproven("the first request of a fresh key is refused")
    admitted, refused = [first], []
    for part in (BEFORE, AFTER):
        yield from until(first, admitted[-1], part * rule.window)
        more, refusal = yield from drain(lane, session, how)
        admitted += more
        refused.append(refusal)
    shown = timeline([*admitted, *refused])
    burst = lane.contract.policy.rate_limit.burst
    count, seconds = densest(rule, admitted, burst)
    most = allowed(rule, seconds, burst)
    if count > most:
        return Finding(
            expected=f"at most {most} admitted within {seconds:.1f} s ({rule.quota} in {rule.window:g} s, {_named(rule, burst)})",
            actual=f"{count} admitted within {seconds:.1f} s" + _cause(rule, admitted),
            sent=f"1 × {lane.operation.label} on a fresh key, more after {BEFORE * rule.window:.0f} s and {AFTER * rule.window:.0f} s",
            timeline=shown,
            request=(yield from how(lane, session)),
        )
    told = f"{count} admitted within {seconds:.1f} s"
    if count > rule.quota and rule.algorithm in _WINDOWS and burst is None:
        told += ", which fixed windows allow around their edges: a declared weakness"
    return Kept(told, timeline=shown)


_WINDOWS = ("fixed-window", "any")


def allowed(rule: RateRule, seconds: float, burst: int | None = None) -> int:
    """Most requests that a key which nobody has used may get admitted within this time, not more than a window."""
    if burst is not None:
        return burst
    if rule.algorithm in _WINDOWS:
        return 2 * rule.quota
    if rule.algorithm == "moving-window":
        return rule.quota
    rounded = rule.algorithm == "sliding-window"
    return rule.quota + math.ceil(seconds * rule.quota / rule.window) + rounded


def densest(rule: RateRule, admitted: Sequence[Response], burst: int | None = None) -> tuple[int, float]:
    """Of all stretches of the series, the one that exceeds what is allowed by most, or comes nearest to it. (requests, seconds from
    the sending of the first to the answer of the last: no shorter than the time in which the service admitted them)"""
    best = (1, admitted[0].elapsed)
    for start, one in enumerate(admitted):
        for end in range(start, len(admitted)):
            seconds = admitted[end].at - began(one)
            if seconds > LONGEST * rule.window:
                break
            found = (end - start + 1, seconds)
            if found[0] - allowed(rule, seconds, burst) > best[0] - allowed(rule, best[1], burst):
                best = found
    return best


def _named(rule: RateRule, burst: int | None) -> str:
    return f"burst {burst}" if burst is not None else rule.algorithm.replace("-", " ")


def _cause(rule: RateRule, admitted: Sequence[Response]) -> str:
    late = [answer for answer in admitted if answer.at - began(admitted[0]) >= rule.window]
    if len(late) >= rule.quota:
        return "; likely: fixed windows, which forget everything when they end"
    if len(admitted) - len(late) > rule.quota + 1:
        return "; likely: what was not used is saved up, or a window of the clock ended meanwhile"
    return ""


class _Saving(TokenBucket):
    """Holds twice its quota, for whoever waits."""

    def room(self, at: float) -> float:
        return min(2 * self.quota, self._level + (at - self._since) * self.rate)


def _example(says: str, make: Make, algorithm: str, begins: float = 0.0, **more: int) -> Example:
    policy = {"rate_limit": {"algorithm": algorithm, **more}}
    at = f", its windows from {begins:g} s on" if begins else ""
    return Example(f"{says}{at}, declared {algorithm}", subject=LOGIN, shop=limited(make, begins=begins), policy=policy)


CONFORMING = (
    _example("a bucket", TokenBucket, "token-bucket"),
    _example("a log", MovingWindow, "moving-window"),
    _example("a counter", SlidingCounter, "sliding-window"),
    _example("a counter", SlidingCounter, "sliding-window", 55.0),
    _example("a fixed window", FixedWindow, "fixed-window"),
    _example("windows of the clock", AlignedWindow, "fixed-window", 55.0),
    _example("a fixed window", FixedWindow, "any"),
    _example("a fixed window and a burst", FixedWindow, "fixed-window", burst=19),
)

BREACHING = (
    _example("a fixed window", FixedWindow, "token-bucket"),
    _example("a fixed window", FixedWindow, "moving-window"),
    _example("windows of the clock", AlignedWindow, "sliding-window", 55.0),
    _example("windows of the clock, before the last", AlignedWindow, "moving-window", 20.0),
    _example("a bucket that saves up", _Saving, "token-bucket"),
    _example("a fixed window and a small burst", FixedWindow, "fixed-window", burst=12),
    Example("nothing is limited any more", subject=LOGIN, shop=limited(_Saving), policy={"rate_limit": {"burst": 10}}),
)
