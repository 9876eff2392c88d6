"""Stretches of load one after the other: what drifts, what is steady, and what nobody can say."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from upheld.errors import TargetUnreachable
from upheld.load.soak import Series, Soak, Stretch, Trend, shown, soak
from upheld.verdict import LatencyRow, LoadRun

MIB = 2**20


def row(p50: float | None, over: int = 0, latency_class: str = "crud", **changes: Any) -> LatencyRow:
    values: dict[str, Any] = {
        "name": f"class {latency_class}", "latency_class": latency_class, "limit_ms": 200.0, "quantile": 0.95,
        "sent": 2_000, "ok": 2_000, "over": over, "errors": 0, "throttled": 0, "unfinished": 0, "p50_ms": p50,
        "p95_ms": p50, "p99_ms": p50, "verdict": "met",
    }  # fmt: skip
    return LatencyRow(**{**values, **changes})


def run(*rows: LatencyRow, **changes: Any) -> LoadRun:
    values: dict[str, Any] = {"seconds": 60.0, "rate": 50.0, "model": "open", "users": 1, "rows": rows, "valid": True}
    return LoadRun(**{**values, **changes})


def soaked(
    median: Callable[[int], float] = lambda number: 20.0,
    over: Callable[[int], int] = lambda number: 0,
    memory: Callable[[int], int | None] = lambda number: 100 * MIB,
    stretches: int = 20,
) -> Soak:
    chance = random.Random(4)
    played: list[int] = []

    def play(number: int) -> LoadRun:
        played.append(number)
        return run(row(median(number) + chance.gauss(0, 0.1), over(number)))

    return soak(play, lambda: memory(played[-1]), stretches=stretches)


def trends(found: Soak) -> dict[str, Trend]:
    return {series.name: series.trend for series in found.series}


def test_a_service_that_stays_as_it_is_is_steady() -> None:
    found = soaked()
    assert trends(found) == dict.fromkeys(("median crud", "over crud", "memory"), Trend.STEADY)
    assert (found.trend, found.told, found.missed) == (Trend.STEADY, "steady", ())
    # The first tenth is not judged.
    assert found.series[0].points[0][0] == 2
    assert len(found.series[0].points) == 18


@pytest.mark.parametrize(
    ("drifting", "which"),
    [
        ({"median": lambda number: 20.0 + 0.5 * number}, "median crud"),
        ({"over": lambda number: 4 * number}, "over crud"),
        ({"memory": lambda number: (100 + 3 * number) * MIB}, "memory"),
    ],
)
def test_what_grows_is_told_with_how_much(drifting: dict[str, Any], which: str) -> None:
    found = soaked(**drifting)
    assert found.trend is Trend.DRIFTING
    assert {name for name, trend in trends(found).items() if trend is Trend.DRIFTING} == {which}
    assert found.told.startswith(f"drifting: {which} ")
    series = next(series for series in found.series if series.name == which)
    assert 0 < series.low <= series.change <= series.high


def test_steady_and_drifting_are_told_apart_through_noise() -> None:
    """Thirty stretches whose medians scatter by 4 %: steady as a rule, a growth by 30 % seen, and hardly ever a false accusation."""
    steady, drifting, accused = 0, 0, 0
    for seed in range(100):
        chance = random.Random(seed)
        still = soak(lambda number, c=chance: run(row(20 * (1 + c.gauss(0, 0.04)))), lambda: None)
        grows = soak(lambda n, c=chance: run(row(20 * (1 + 0.01 * n + c.gauss(0, 0.04)))), lambda: None)
        steady += still.trend is Trend.STEADY
        accused += still.trend is Trend.DRIFTING
        drifting += grows.trend is Trend.DRIFTING
    assert steady >= 60
    assert drifting >= 90
    assert accused <= 5


def test_what_falls_is_steady() -> None:
    """Caches that fill make a service faster; that is no drift."""
    found = soaked(median=lambda number: 60.0 - number, memory=lambda number: (500 - 9 * number) * MIB)
    assert found.trend is Trend.STEADY


def test_the_memory_that_a_service_takes_while_it_begins_is_no_drift() -> None:
    found = soaked(memory=lambda number: (60 if number < 2 else 100) * MIB)
    assert trends(found)["memory"] is Trend.STEADY


def test_memory_that_is_not_ours_to_look_at_is_not_judged() -> None:
    assert set(trends(soaked(memory=lambda number: None))) == {"median crud", "over crud"}


def test_noise_without_end_is_not_decided() -> None:
    chance = random.Random(9)
    found = soaked(median=lambda number: chance.uniform(10, 100))
    assert trends(found)["median crud"] is Trend.NOT_DECIDED
    assert "not decided: median crud; a longer soak" in found.told
    few = soaked(stretches=4)
    assert (few.trend, few.series) == (Trend.NOT_DECIDED, ())
    assert "too few valid stretches" in few.told


def test_spoilt_stretches_are_told_and_not_judged() -> None:
    bad = {5: run(row(9.0), valid=False, reason="a worker is gone"), 6: run(row(9.0, throttled=3)), 7: run()}
    told: list[Stretch] = []
    found = soak(lambda number: bad.get(number, run(row(20.0))), lambda: None, stretches=20, told=told.append)
    assert found.trend is Trend.STEADY
    assert found.notes == (
        "stretch 6 does not count: a worker is gone",
        "stretch 7 does not count: 3 answers were 429: the limiter was measured",
        "stretch 8 does not count: nothing was measured",
    )
    assert [number for number, _ in found.series[0].points] == [n for n in range(2, 20) if n not in bad]
    assert tuple(told) == found.stretches


def test_a_target_that_is_missed_in_some_stretch_is_told() -> None:
    found = soak(lambda number: run(row(20.0, verdict="missed" if number == 3 else "met")), lambda: None)
    assert found.missed == ("class crud",)


def test_an_interruption_and_a_lost_target_keep_what_was_played() -> None:
    def play(number: int) -> LoadRun:
        if number == 15:
            raise ending
        return run(row(20.0))

    ending: BaseException = KeyboardInterrupt()
    found = soak(play, lambda: 100 * MIB)
    assert (found.stopped, found.trend, len(found.stretches)) == ("interrupted", Trend.STEADY, 15)
    ending = TargetUnreachable("nobody listens")
    assert soak(play, lambda: None).stopped == "the target was lost: nobody listens"
    stopped = soak(lambda number: run(row(20.0), reason="interrupted" if number == 12 else ""), lambda: None)
    assert (stopped.stopped, len(stopped.stretches), stopped.notes) == ("interrupted", 13, ())
    with pytest.raises(TargetUnreachable):
        soak(lambda number: play(15), lambda: None)


def test_everything_stands_in_the_json_and_is_shown_in_its_unit() -> None:
    found = soaked(memory=lambda number: (100 + 3 * number) * MIB)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert (document["schema"], document["trend"]) == ("upheld.load-soak/1", "drifting")
    assert document["stretches"][4]["memory"] == 112 * MIB
    assert document["stretches"][4]["classes"]["crud"]["sent"] == 2_000
    memory = next(series for series in found.series if series.name == "memory")
    assert shown(memory).startswith("131.5 MiB, +51.0 (+51.0 to +51.0)")

    def one(unit: str, **values: float) -> Series:
        given = {"level": 0.02, "change": 0.01, "low": -0.01, "high": 0.03, "may": 0.01, **values}
        return Series("x", unit, **given, points=(), trend=Trend.STEADY)

    assert shown(one("%")) == "2.00 %, +1.00 (-1.00 to +3.00) over the time"
    assert shown(one("ms", level=20.0, low=float("-inf"))) == "20.0 ms, +0.0 (no bounds yet) over the time"
