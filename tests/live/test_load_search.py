"""Searches over load runs, on servers whose law is known: the capacity of a queue, and two copies that are no different."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.live.loading import Law, plan, pressed, pressing

from upheld.load.capacity import Found, search
from upheld.load.compare import Answer, Play, Side, compare
from upheld.verdict import LoadRun

pytestmark = pytest.mark.live


def test_the_capacity_of_a_queue_is_its_service_time(law: Law) -> None:
    """25 ms each, one after the other: 40 a second, less what bursts need to stay within 400 ms."""

    def play(rate: float, attempt: int) -> LoadRun:
        made = plan(law.url, pressed("/queue", 400.0, rate), seconds=4.0, warmup=0.5, drain=1.0)
        return pressing(made)[0]

    found = search(play, first=20.0, most=400.0, left=lambda: math.inf, lasts=lambda rate, attempt: 1.0, resolution=0.5)
    steps = [(step.rate, step.found, step.reason) for step in found.steps]
    # More than the queue can serve is never kept, however busy this machine is.
    assert found.low is None or found.low <= 40.0, steps
    if any(step.found in (Found.GENERATOR, Found.INVALID) for step in found.steps):
        # Told as what it is: this machine was the limit.
        assert "no verdict" in found.ended or "generator" in found.ended or found.low is not None, steps
    else:
        assert found.high is not None, steps
        assert 20.0 <= found.high <= 80.0, steps
        assert "class crud" in found.broke
        assert found.ended == ""


def test_two_copies_are_no_different_and_what_is_slower_is(law: Law) -> None:
    """Eight pairs, the fewest that bound four ratios. The class crud is the same on both; complex is 5 ms on one, 150 ms on the other."""
    other = Law()

    @contextlib.contextmanager
    def stage(seed: int) -> Iterator[Play]:
        def play(side: Side) -> LoadRun:
            at, slow = (law, "/law") if side is Side.BASE else (other, "/slow")
            report = replace(pressed(slow, 2_000.0, 30), name="GET /report", latency_class="complex")
            made = plan(at.url, pressed("/law", 500.0, 60), report, seconds=1.0, warmup=0.2, drain=1.0, seed=seed)
            return pressing(made)[0]

        yield play

    try:
        found = compare(stage, pairs=8, seed=5)
    finally:
        other.close()
    answers = {(ratio.latency_class, ratio.quantile): ratio for ratio in found.ratios}
    assert {ratio.pairs for ratio in found.ratios} == {8}, found.notes
    # By chance one of the two is called different once in a hundred times at most; both, in the same direction, hardly ever.
    copies = [answers["crud", quantile].answer for quantile in ("p50", "p95")]
    assert copies not in ([Answer.SLOWER] * 2, [Answer.FASTER] * 2), found.told
    assert answers["complex", "p50"].answer is Answer.SLOWER
    assert answers["complex", "p50"].low > 3
    assert found.answer is Answer.SLOWER
    assert "of complex" in found.told
