"""Which algorithms a series of answers leaves: of the limiters in memory, and of those of the library `limits`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import (
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    RateLimiter,
    SlidingWindowCounterRateLimiter,
)

from upheld.checks.ratelimit._limiters import (
    AlignedWindow,
    Limiter,
    Make,
    SlidingCounter,
    StrictMovingWindow,
    TokenBucket,
)
from upheld.checks.ratelimit.algorithm import AFTER, INSISTING, KINDS, explains
from upheld.contract import RateRule
from upheld.exchange import Response

QUOTA, WINDOW = 10, 60.0
RULE = RateRule("POST /auth/login", QUOTA, WINDOW, "ip")
BEGINNINGS = (0.0, 1.0, 7.0, 14.0, 20.0, 22.0, 29.0, 36.0, 43.0, 50.0, 55.0, 59.0)
LIBRARY = {
    FixedWindowRateLimiter: {"fixed-window"},
    MovingWindowRateLimiter: {"moving-window", "sliding-window"},
    SlidingWindowCounterRateLimiter: {"sliding-window"},
}


def series(hit: Callable[[float], bool], *, took: float) -> list[Response]:
    """The answers to the check's requests, each ``took`` seconds after the one before."""
    answers: list[Response] = []

    def ask(sent: float) -> bool:
        admitted = hit(sent + took / 2)
        answers.append(Response(401 if admitted else 429, elapsed=took, at=sent + took))
        return admitted

    for number in range(QUOTA // 2):
        ask(number * took)
    for part in AFTER:
        sent = part * WINDOW
        while ask(sent):
            sent = answers[-1].at
        for _ in range(QUOTA // 2 if part == INSISTING else 0):
            ask(answers[-1].at)
    return answers


def left(answers: list[Response]) -> set[frozenset[str]]:
    """What rate_limit.algorithm may say of the limiters that are not ruled out."""
    return {values for make, _, values in KINDS if explains(make, RULE, answers)}


ON_THE_CLOCK = (AlignedWindow, SlidingCounter)
CASES = [(make, begins) for make, _, _ in KINDS for begins in (BEGINNINGS if make in ON_THE_CLOCK else (0.0,))]


@pytest.mark.parametrize("took", [0.001, 0.05, 0.2])
@pytest.mark.parametrize(("make", "begins"), CASES)
def test_each_limiter_is_the_only_one_left(make: Make, begins: float, took: float) -> None:
    limiter = make(QUOTA, WINDOW, begins)
    names = left(series(lambda at: _hit(limiter, at), took=took))
    names.discard(frozenset({"sliding-window"})) if make is StrictMovingWindow else None
    assert names == {values for kind, _, values in KINDS if kind is make}


@pytest.mark.parametrize("begins", BEGINNINGS)
@pytest.mark.parametrize("strategy", LIBRARY, ids=lambda strategy: strategy.__name__)
def test_so_is_each_strategy_of_the_library(
    strategy: type[RateLimiter], begins: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch, now = 1_795_348_800.0 - begins, [0.0]
    monkeypatch.setattr("time.time", lambda: epoch + now[0])
    limiter = strategy(MemoryStorage())

    def hit(at: float) -> bool:
        now[0] = at
        return limiter.hit(RateLimitItemPerMinute(QUOTA), "key")

    assert left(series(hit, took=0.05)) == {frozenset(LIBRARY[strategy])}


def test_a_bucket_that_earns_whole_tokens_only_is_taken_for_nothing_else() -> None:
    limiter = TokenBucket(QUOTA, WINDOW)

    def hit(at: float) -> bool:
        return _hit(limiter, at // 6 * 6)

    assert left(series(hit, took=0.05)) <= {frozenset({"token-bucket"})}


def _hit(limiter: Limiter, at: float) -> bool:
    admitted = limiter.room(at) >= 1 - 1e-9
    limiter.note(at, admitted)
    return admitted
