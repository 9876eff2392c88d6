"""Searches over load runs, on servers whose law is known: the capacity of a queue, and two copies that are no different."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import pytest
from tests.live.test_load import Law, plan, pressed

from upheld.load.capacity import Found, search
from upheld.load.outcome import load_run
from upheld.load.process import generate
from upheld.verdict import LoadRun, silent

pytestmark = pytest.mark.live


@pytest.fixture
def law() -> Iterator[Law]:
    server = Law()
    try:
        yield server
    finally:
        server.close()


def test_the_capacity_of_a_queue_is_its_service_time(law: Law) -> None:
    """25 ms each, one after the other: 40 a second, less what bursts need to stay within 400 ms."""

    def play(rate: float) -> LoadRun:
        made = plan(law.url, pressed("/queue", 400.0, rate), seconds=4.0, warmup=0.5, drain=1.0)
        result, trouble = generate(made, {}, silent, threading.Event())
        return load_run(made, result, trouble=trouble)

    found = search(play, first=20.0, most=400.0, left=lambda: math.inf, lasts=1.0, resolution=0.5)
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
