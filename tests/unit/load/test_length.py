"""The length of a run, said beforehand: what is promised of it comes true on a queue."""

from __future__ import annotations

import math
import random

import pytest
from tests.unit.load.queues import LIMIT, Queue

from upheld.load.length import SUPPOSED, TOGETHER, Expected, forecast, needed, samples, samples_watched
from upheld.load.sequential import DECIDED, Promise, Watch
from upheld.load.share import ALPHA
from upheld.load.verdict import MET, Circumstances, Target, judge


def _expected(name: str, rate: float, kind: str = "crud", *quiet: float) -> Expected:
    return Expected(name, kind, rate, LIMIT, quiet_ms=quiet)


def test_the_nearer_to_the_limit_the_longer() -> None:
    below, above = [samples(over) for over in (0.0001, 0.01, 0.02, 0.04)], [samples(over) for over in (0.07, 0.1, 0.3)]
    assert below == sorted(below)
    assert above == sorted(above, reverse=True)
    assert samples(0.0001) >= math.log(ALPHA) / math.log(0.95)
    assert samples(0.0500001) == math.inf


def test_a_run_of_that_length_is_likely_to_decide() -> None:
    """A queue at a third of its capacity whose p95 is at 70 % of the limit: nine of ten runs, and what chance makes of forty."""
    over = 0.05 ** (1 / SUPPOSED)
    seconds = samples(over) * TOGETHER / 50
    chance = random.Random(8)
    verdicts = [
        judge(
            Queue(1 / 3, p95=SUPPOSED).run(seconds, chance),
            Target("GET /a", "crud", LIMIT),
            Circumstances(seconds, 0.001),
        ).verdict
        for _ in range(40)
    ]
    assert verdicts.count(MET) >= 31


def test_a_class_is_decided_before_its_operations_and_a_slow_one_last() -> None:
    found = needed(
        [_expected("GET /a", 20), _expected("GET /b", 5), _expected("GET /own", 5, ""), _expected("GET /c", 0)]
    )
    assert set(found.classes) == {"crud"}
    assert set(found.operations) == {"GET /a", "GET /b", "GET /own"}
    assert (
        found.classes["crud"] < found.operations["GET /a"] < found.operations["GET /b"] == found.operations["GET /own"]
    )


@pytest.mark.parametrize(
    ("expected", "seconds", "says"),
    [
        ([], 60, ""),
        ([_expected("GET /a", 0)], 60, ""),
        (
            [_expected("GET /a", 50)],
            600,
            "on the one class and on the one operation, supposing a p95 at 70% of the limit",
        ),
        ([_expected("GET /a", 50), _expected("GET /b", 0.1)], 600, "on the one class and on 1 of 2 operations"),
        (
            [_expected("GET /a", 50), _expected("GET /b", 0.1)],
            600,
            "s would do for all (GET /b takes longest, at 0.1/s)",
        ),
        ([_expected("GET /a", 50), _expected("GET /b", 50)], 1, "on no class and on none of 2 operations"),
        ([_expected("GET /a", 50, "crud", 2.0, 3.0)], 60, "supposing 1.5 times as slow as the quiet service"),
        ([_expected("GET /a", 50, "crud", 49.65)], 60, "; GET /a may be too near to the limit for any"),
        (
            [_expected("GET /a", 50, "crud", 49.65), _expected("GET /b", 1, "crud", 5.0)],
            60,
            "s would do for the others (GET /b",
        ),
        ([_expected("GET /own", 50, "")], 600, "likely (90%) on the one operation, supposing"),
    ],
)
def test_the_sentence(expected: list[Expected], seconds: float, says: str) -> None:
    said = forecast(expected, seconds)
    assert says in said
    assert bool(said) == bool(says)


def test_the_time_that_is_said_to_do_for_all_does() -> None:
    expected = [_expected("GET /a", 20), _expected("GET /b", 0.4), _expected("POST /c", 3, "complex")]
    longest = max(needed(expected).operations.values())
    assert "all 2 classes and on all 3 operations" in forecast(expected, longest)
    assert "on 2 of 3 operations" in forecast(expected, 0.9 * longest)


def test_a_service_that_is_slow_when_quiet_is_not_expected_to_pass() -> None:
    assert _expected("GET /a", 1, "crud", 10.0).over < 0.001
    assert _expected("GET /a", 1, "crud", 150.0).over > 0.5
    assert _expected("GET /a", 1, "crud", 0.0).over == 0.0001


def test_a_run_that_is_watched_is_likely_to_have_ended_by_then() -> None:
    expected = [_expected("GET /a", 50.0)]
    seconds = math.ceil(needed(expected, watched=True).operations["GET /a"])
    assert seconds > needed(expected).operations["GET /a"]
    chance, ended = random.Random(9), 0
    for _ in range(30):
        counts = Queue(0.3, p95=SUPPOSED).run(seconds, chance)
        ended += Watch([Promise(("GET /a",), 0.05)]).decided({"GET /a": counts}, seconds) == DECIDED
    assert ended >= 22


@pytest.mark.parametrize("over", [0.0001, 0.01, 0.03, 0.07, 0.3])
def test_watching_takes_longer(over: float) -> None:
    assert samples_watched(over) > samples(over)
