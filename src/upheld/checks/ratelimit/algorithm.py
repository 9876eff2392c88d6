"""The limiter counts as the contract says.

## What it requires

Requests at chosen moments of a little more than one window are admitted and refused as the declared algorithm would: a token bucket, a
fixed window, a moving window (a log), or a sliding window (a log, or a counter weighted over two windows).

## Why

The algorithm decides what a client may do: how soon it may go on after a refusal, how much at once. A library that silently counts
in fixed windows lets twice the quota through around their edges.

## What it sends

On the cheapest rule of each algorithm that the contract declares, with one fresh key: half the quota at the beginning, then as much
as is admitted after 0.35, 0.65, 0.95 and 1.15 windows, and after 0.65 half the quota more, which is refused. (Another key shows before
whether requests without a password count.) Limiters in memory are given the same requests at the same times; those that would have
answered otherwise, by more than one request, are ruled out. A fixed window may begin with the first request or on the clock, and on the
clock anywhere.

## Example of a breach

`algorithm: token-bucket`, and after half the quota at the beginning and the other half later, the whole quota is back one window after
the first request: a fixed window.

## When to waive it

Where the contract's words are about another layer; or declare what there is, or `algorithm: any`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from upheld.check import (
    SHOULD,
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
    Limiter,
    Make,
    MovingWindow,
    SlidingCounter,
    StrictMovingWindow,
    TokenBucket,
)
from upheld.checks.ratelimit._rehearsed import LOGIN, limited
from upheld.checks.ratelimit._timeline import each_algorithm, fresh_key, until
from upheld.exchange import Response

if TYPE_CHECKING:
    from upheld.contract import Contract, RateRule

REQUIREMENT = Requirement(
    title="The limiter counts as the contract says",
    level=SHOULD,
    clause=Clause(
        "RFC 6585 §4 and the contract's rate_limit.algorithm",
        "https://www.rfc-editor.org/rfc/rfc6585#section-4",
        "Note that this specification does not define how the origin server identifies the user, nor how it counts requests.",
    ),
    catalogue=("RATE-06",),
    reads=("rate_limits", "rate_limit.algorithm"),
    profile="shipped",
    waits=True,
    windows=1.15,
    cost=8,
    quotas=3,
    owasp="API4:2023",
    cwe=("CWE-799",),
)

AFTER = (0.35, 0.65, 0.95, 1.15)
"""In windows from the first request. What is admitted at each, of half the quota h at 0 and N in all: a bucket .85 N, .3 N, .3 N, .2 N;
fixed h, 0, 0, N; a log h, 0, 0, h; a counter less than .7 N, then a share that grows with its window."""
INSISTING = 0.65
"""Where h more are sent that are refused: a log that counts those too stays shut at the end, and is no counter."""

KINDS: tuple[tuple[Make, str, frozenset[str]], ...] = (
    (TokenBucket, "a token bucket", frozenset({"token-bucket"})),
    (FixedWindow, "a fixed window that begins with the first request", frozenset({"fixed-window"})),
    (AlignedWindow, "a fixed window of the clock", frozenset({"fixed-window"})),
    (MovingWindow, "a moving window", frozenset({"moving-window", "sliding-window"})),
    (
        StrictMovingWindow,
        "a moving window that counts refused requests too",
        frozenset({"moving-window", "sliding-window"}),
    ),
    (SlidingCounter, "a sliding window counter", frozenset({"sliding-window"})),
)
"""A limiter, its name, and the values of rate_limit.algorithm that it is."""


def subjects(contract: Contract) -> Subjects:
    return each_algorithm(contract)


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    session, how = yield from fresh_key(lane)
    series: list[Response] = []
    for _ in range(rule.quota // 2):
        response: Response = yield from send((yield from how(lane, session)))
        series.append(response)
    counts = [sum(1 for answer in series if answer.status != 429)]
    for part in AFTER:
        yield from until(series[0], series[-1], part * rule.window)
        admitted, refused = yield from drain(lane, session, how)
        if refused is None:
            return Unproven(f"{len(admitted)} requests at once met no 429, which no algorithm of {rule.quota} explains")
        series.extend((*admitted, refused))
        for _ in range(rule.quota // 2 if part == INSISTING else 0):
            response = yield from send((yield from how(lane, session)))
            series.append(response)
        counts.append(sum(1 for answer in series if answer.status != 429) - sum(counts))
    slowest = max(answer.elapsed for answer in series)
    if slowest > rule.window / rule.quota:
        return Unproven(f"an answer took {slowest:.1f} s, longer than a token takes: the times say too little")
    fitting = [(name, values) for make, name, values in KINDS if explains(make, rule, series)]
    offsets = (0.0, *AFTER)
    seen = ", ".join(f"{n} after {part * rule.window:.0f} s" for n, part in zip(counts, offsets, strict=True))
    names = " or ".join(name for name, _ in fitting)
    shown = timeline(series)
    if rule.algorithm == "any":
        return Kept(f"{names or 'none of the known algorithms'}: {seen} admitted", timeline=shown)
    if any(rule.algorithm in values for _, values in fitting):
        return Kept(f"{names}: {seen} admitted", timeline=shown)
    if not fitting:
        return Unproven(f"{seen} admitted, as none of the known algorithms would have", "rate_limit: {algorithm: any}")
    return Finding(
        expected=f"{rule.quota} in {rule.window:g} s counted as a {rule.algorithm.replace('-', ' ')}",
        actual=f"{seen} admitted; likely: {names}",
        sent=f"{len(series)} × {lane.operation.label} on a fresh key within {AFTER[-1] * rule.window:.0f} s",
        request=(yield from how(lane, session)),
        timeline=shown,
    )


def explains(make: Make, rule: RateRule, series: Sequence[Response]) -> bool:
    """Whether such a limiter may have given these answers, wherever its windows begin.

    It takes over what was really admitted, and is ruled out by an answer that is more than a request away from its own.
    """
    return any(_fits(make(rule.quota, rule.window, begins), series) for begins in _beginnings(rule, series))


def _fits(limiter: Limiter, series: Sequence[Response]) -> bool:
    for answer in series:
        at, admitted = _when(answer), answer.status != 429
        room = limiter.room(at)
        if room < 0 if admitted else room >= 2:
            return False
        limiter.note(at, admitted)
    return True


def _when(answer: Response) -> float:
    """When the service decided, as near as can be told from outside."""
    return answer.at - answer.elapsed / 2


def _beginnings(rule: RateRule, series: Sequence[Response]) -> Iterator[float]:
    """Moments before the series at which a window of the clock may have begun, so that the next ones begin with the first request,
    between any two, and evenly over one window."""
    times = [_when(answer) for answer in series]
    yield times[0] - rule.window
    for before, after in pairwise(times):
        yield (before + after) / 2 - 2 * rule.window
    for part in range(60):
        yield times[0] - rule.window * (1 + part / 60)


def _declared(algorithm: str) -> dict[str, dict[str, str]]:
    return {"rate_limit": {"algorithm": algorithm}}


def _example(says: str, make: Make, algorithm: str, begins: float = 0.0) -> Example:
    at = f", its windows from {begins:g} s on" if begins else ""
    return Example(
        f"{says}{at}, declared {algorithm}",
        subject=LOGIN,
        shop=limited(make, begins=begins),
        policy=_declared(algorithm),
    )


CONFORMING = (
    _example("a bucket", TokenBucket, "token-bucket"),
    _example("a fixed window", FixedWindow, "fixed-window"),
    _example("a window of the clock", AlignedWindow, "fixed-window", 34.0),
    _example("a log", MovingWindow, "moving-window"),
    _example("a log of refused requests too", StrictMovingWindow, "moving-window"),
    _example("a log", MovingWindow, "sliding-window"),
    _example("a counter", SlidingCounter, "sliding-window", 47.0),
    _example("a counter", SlidingCounter, "any", 20.0),
)

BREACHING = (
    _example("a bucket", TokenBucket, "fixed-window"),
    _example("a bucket", TokenBucket, "moving-window"),
    _example("a fixed window", FixedWindow, "token-bucket"),
    _example("a fixed window", FixedWindow, "sliding-window"),
    _example("a window of the clock", AlignedWindow, "moving-window", 34.0),
    _example("a log", MovingWindow, "token-bucket"),
    _example("a log", MovingWindow, "fixed-window"),
    _example("a counter", SlidingCounter, "token-bucket", 20.0),
    _example("a counter", SlidingCounter, "fixed-window", 47.0),
    _example("a counter", SlidingCounter, "moving-window"),
)
