"""A server that freezes for a fifth of the time, by a law whose true p95 can be computed: ours is near it, and what stock Locust
says of the same server in its usual closed form is not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.live.known_law import FREEZE, PERIOD, frozen
from tests.live.loading import Law, by_path, plan, pressed, pressing

pytestmark = pytest.mark.live

STOCK = """
import locust, os

class Closed(locust.FastHttpUser):
    host = os.environ["STOCK_HOST"]
    wait_time = locust.constant_throughput(20)

    @locust.task
    def one(self):
        self.client.get("/freeze")

@locust.events.quitting.add_listener
def tell(environment, **_):
    total = environment.stats.total
    print("p95", total.get_response_time_percentile(0.95), total.num_requests, total.num_failures, total.max_response_time)
"""


def true_p95() -> float:
    """Milliseconds that 95 % of requests do not exceed which come at any time alike: the law, weighed over a fine grid of moments."""
    steps = 20_000
    latencies = [
        (frozen(PERIOD * (step + 0.5) / steps, service), weight)
        for step in range(steps)
        for service, weight in ((0.005, 0.9), (0.060, 0.1))
    ]
    left = 0.05 * steps
    for latency, weight in sorted(latencies, reverse=True):
        left -= weight
        if left < 0:
            return latency * 1000
    raise AssertionError("the weights do not add up")


def test_the_true_p95_of_the_law() -> None:
    """A fifth of the requests comes while it is frozen, so one in twenty waits for the last quarter of that, and a little more."""
    assert 750 * FREEZE < true_p95() < 750 * FREEZE + 30


def test_ours_is_within_5_percent_of_the_truth_and_closed_loops_are_far_from_it(law: Law, tmp_path: Path) -> None:
    truth = true_p95()
    # Even arrivals see every phase of the freeze alike, so that what is left is an error of measurement, not of sampling.
    made = plan(law.url, pressed("/freeze", 150.0, 150), seconds=4 * PERIOD, warmup=0.2, arrivals="even")
    run, result, _ = pressing(made)
    row = by_path(run)["GET /freeze"]
    assert row.errors == row.throttled == row.unfinished == 0
    assert row.p95_ms is not None
    # What a busy machine adds is known and comes on top.
    assert abs(row.p95_ms - truth) <= 0.05 * truth + result["delay_ms"], (row.p95_ms, truth, result["delay_ms"])
    assert row.verdict != "met"

    stock = tmp_path / "stock.py"
    stock.write_text(STOCK)
    options = ["--headless", "-u", "10", "-r", "10", "-t", "6", "--only-summary"]
    told = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(stock), *options],
        env={**os.environ, "STOCK_HOST": law.url}, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    said = next(line.split()[1:] for line in told.stdout.splitlines() if line.startswith("p95 "))
    p95, requests, failures, slowest = map(float, said)
    assert failures == 0
    assert requests > 300
    # It has met the freeze, and leaves out those who would have come meanwhile.
    assert slowest > truth
    assert p95 < min(0.5 * truth, row.limit_ms), "a gate on it would have passed"


def test_the_closed_model_is_there_on_request_and_says_so(law: Law) -> None:
    made = plan(
        law.url, pressed("/freeze", 250.0, 200), seconds=2 * PERIOD, warmup=0.2, drain=2.0, model="closed", users=10
    )
    run, result, _ = pressing(made)
    row = by_path(run)["GET /freeze"]
    assert run.model == "closed"
    # Ten ask one after the other, each at most twenty times a second, and wait while it is frozen.
    assert result["most_in_flight"] <= 10
    assert 100 < row.sent < 200 * 2 * PERIOD * 0.95
    assert row.p95_ms is not None
    assert row.p95_ms < 0.5 * true_p95() or result["delay_ms"] > 50


def test_a_run_may_end_as_soon_as_everything_is_decided(law: Law) -> None:
    made = plan(law.url, pressed("/slow", 20.0, 60), seconds=60.0, warmup=0.3, least=2.0, longest=60.0)
    run, result, _ = pressing(made)
    assert run.valid, run.reason
    row = by_path(run)["GET /slow"]
    assert row.verdict == "missed" or "itself" in row.reason
    assert result["stopped"] == "everything is decided"
    assert 2.0 <= run.seconds < 30.0
    # Nobody asks after the end, and all who asked before are counted.
    assert law.counts()["paths"]["/slow"] == row.sent + result["warmup"]["sent"]
