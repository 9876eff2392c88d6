"""The search for the highest rate, on services that are simulated: a class misses its target beyond a capacity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from upheld.errors import TargetUnreachable
from upheld.load.capacity import Capacity, Found, Step, judged, search, step_length
from upheld.verdict import LatencyRow, LoadRun


def row(name: str, verdict: str = "met", **changes: Any) -> LatencyRow:
    values: dict[str, Any] = {
        "name": name, "latency_class": "crud", "limit_ms": 200.0, "quantile": 0.95, "sent": 1_000, "ok": 1_000,
        "over": 0, "errors": 0, "throttled": 0, "unfinished": 0, "p50_ms": 5.0, "p95_ms": 20.0, "p99_ms": 30.0,
        "verdict": verdict, "reason": "" if verdict == "met" else f"{verdict}, because",
    }  # fmt: skip
    return LatencyRow(**{**values, **changes})


def run(*rows: LatencyRow, **changes: Any) -> LoadRun:
    values: dict[str, Any] = {"seconds": 10.0, "rate": 10.0, "model": "open", "users": 1, "rows": rows, "valid": True}
    return LoadRun(**{**values, **changes})


def service(
    capacity: float, *, edge: float = 0.0, tried: list[float] | None = None, most: float = math.inf
) -> Callable[[float], LoadRun]:
    """Misses beyond ``capacity``; undecided within ``edge`` of it; plans at most ``most``."""

    def play(rate: float) -> LoadRun:
        if tried is not None:
            tried.append(rate)
        off = min(rate, most) / capacity - 1
        verdict = "not decided" if abs(off) <= edge else "met" if off < 0 else "missed"
        return run(row("GET /a", verdict, over=400), row("class crud", verdict, over=400), rate=min(rate, most))

    return play


def searched(play: Callable[[float], LoadRun], first: float = 10.0, most: float = 10_000.0, **how: Any) -> Capacity:
    return search(
        lambda rate, attempt: play(rate),
        first=first,
        most=most,
        **{"left": lambda: math.inf, "lasts": lambda rate, attempt: 10.0, **how},
    )


@pytest.mark.parametrize("capacity", [0.9, 7.0, 10.0, 140.0, 3_000.0])
@pytest.mark.parametrize("first", [1.0, 50.0, 900.0])
def test_the_bounds_hold_the_capacity_and_are_near_each_other(capacity: float, first: float) -> None:
    tried: list[float] = []
    found = searched(service(capacity, tried=tried), first)
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low <= capacity <= found.high <= found.low * 1.1001
    assert found.low < found.value < found.high
    assert found.ended == ""
    assert len(tried) == len(found.steps) <= 18
    assert found.broke.startswith("class crud: missed, because")
    assert f"between {found.low:.3g} and {found.high:.3g}" in found.told


@pytest.mark.parametrize("first", [3.0, 100.0, 130.0, 900.0])
def test_what_is_not_decided_lies_between_the_bounds(first: float) -> None:
    found = searched(service(100.0, edge=0.15), first)
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low <= 85.1
    assert found.high >= 114.9
    # Both ends of what is not decided were looked for.
    assert found.low > 75
    assert found.high < 128
    assert 80 <= found.value <= 120
    assert any(step.found is Found.EDGE for step in found.steps)


def test_the_rate_that_is_allowed_bounds_it() -> None:
    found = searched(service(1_000.0), most=64.0)
    assert (found.low, found.high, found.value) == (64.0, None, None)
    assert "at 64/s at least; no higher rate was allowed" in found.told


def test_a_service_that_keeps_nothing_has_an_upper_bound() -> None:
    found = searched(service(0.01))
    assert found.low is None
    assert found.high is not None
    assert found.high < 1.3
    assert "below" in found.told


def test_no_step_begins_that_does_not_fit_into_the_budget() -> None:
    left = iter([35.0, 25.0, 15.0, 5.0])
    found = searched(service(100.0), left=lambda: next(left))
    assert [step.rate for step in found.steps] == [10.0, 20.0, 40.0]
    assert (found.low, found.high) == (40.0, None)
    assert "budget are spent" in found.told
    assert "shorter than one step" in searched(service(100.0), left=lambda: 1.0).told


def test_a_step_at_a_low_rate_is_longer() -> None:
    assert [step_length(15.0, rate) for rate in (100.0, 20.0, 10.0, 1.0)] == [15.0, 15.0, 30.0, 60.0]
    assert [step_length(15.0, rate, 1) for rate in (100.0, 10.0)] == [45.0, 60.0]


def test_what_a_longer_second_attempt_decides_counts() -> None:
    good = service(100.0)

    def play(rate: float, attempt: int) -> LoadRun:
        return (
            good(rate)
            if attempt
            else run(row("GET /a", "not decided", over=400), row("class crud", "not decided", over=400))
        )

    found = search(play, first=10.0, most=1_000.0, left=lambda: math.inf, lasts=lambda rate, attempt: 10.0)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 100.0 <= found.high <= found.low * 1.1001
    # Where the seconds do not suffice for a second one, the first one counts.
    once = search(play, first=10.0, most=10.0, left=lambda: 15.0, lasts=lambda rate, attempt: 10.0 + 10 * attempt)
    assert [step.found for step in once.steps][:1] == [Found.EDGE]


LATE = "class crud", "invalid"


@pytest.mark.parametrize(
    ("bad", "says", "found"),
    [
        (run(row("GET /a"), row(*LATE, over=100), delay_ms=80.0), "or its machine is the limit", Found.GENERATOR),
        (
            run(row("GET /a"), row("class crud"), valid=False, reason="saturated", delay_ms=80.0),
            "or its machine is",
            Found.GENERATOR,
        ),
        (
            run(row("GET /a"), row("class crud"), valid=False, reason="a worker is gone"),
            "no verdict can be had",
            Found.INVALID,
        ),
        (run(row("GET /a"), row(*LATE, throttled=700, ok=300)), "no verdict can be had", Found.INVALID),
        (run(row("GET /a"), row(*LATE, failures=(("401", 9),), errors=9)), "no verdict can be had", Found.INVALID),
        (run(row("GET /a"), row(*LATE, sent=0, ok=0)), "no verdict can be had", Found.INVALID),
        (run(), "nothing was measured", Found.INVALID),
    ],
)
def test_what_is_not_the_services_fault_ends_it_as_a_lower_bound(bad: LoadRun, says: str, found: Found) -> None:
    tried: list[float] = []
    good = service(1_000.0, tried=tried)
    capacity = searched(lambda rate: good(rate) if rate < 50 else (tried.append(rate), bad)[1])
    assert (capacity.low, capacity.high) == (40.0, None)
    assert says in capacity.told
    assert "40/s at least" in capacity.told
    assert capacity.steps[-1].found is found
    # It had a second chance.
    assert tried[-2:] == [80.0, 80.0]


def test_an_invalid_step_that_works_the_second_time_changes_nothing() -> None:
    bad = iter([run(valid=False, reason="late"), None] * 99)
    good = service(100.0)
    found = searched(lambda rate: next(bad) or good(rate))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 100.0 <= found.high


def test_operations_that_drop_out_after_an_overload_are_no_capacity() -> None:
    def play(rate: float) -> LoadRun:
        whole = (row("GET /a"), row("GET /b"), row("class crud"))
        return run(*(whole if rate < 50 else whole[1:]), rate=rate)

    found = searched(play)
    assert found.low == 40.0
    assert "GET /a could not be pressed on any more" in found.told


def test_quotas_that_allow_no_more_are_not_the_services_capacity() -> None:
    found = searched(service(1_000.0, most=30.0))
    assert found.high is None
    assert "the rate limits of the contract allow no more than 30/s" in found.told


def test_an_interruption_ends_it_with_what_is_known() -> None:
    def play(rate: float) -> LoadRun:
        return run(row("class crud"), rate=rate, reason="interrupted" if rate > 15 else "")

    found = searched(play)
    assert [step.rate for step in found.steps] == [10.0, 20.0]
    assert found.low == 10.0
    assert "interrupted" in found.told


def test_ctrl_c_and_a_lost_target_end_it_with_what_is_known() -> None:
    good = service(100.0)

    def play(rate: float) -> LoadRun:
        if rate > 15:
            raise ending
        return good(rate)

    ending: BaseException = KeyboardInterrupt()
    stopped = searched(play)
    assert (stopped.low, stopped.ended, stopped.lost) == (10.0, "interrupted", False)
    ending = TargetUnreachable("nobody listens")
    lost = searched(play)
    assert (lost.low, lost.lost) == (10.0, True)
    assert "at 20/s the target was lost: nobody listens" in lost.told
    with pytest.raises(TargetUnreachable):
        searched(play, first=16.0)


def test_every_class_has_to_keep_its_target_and_the_worst_is_named() -> None:
    rows = (
        row("GET /a"), row("class crud", over=3),
        row("GET /r", "missed", latency_class="complex", over=900),
        row("GET /s", latency_class="complex", over=10),
        row("class complex", "missed", latency_class="complex", over=910),
    )  # fmt: skip
    step = judged(10.0, run(*rows))
    assert step.found is Found.BROKEN
    assert step.reason == "class complex: missed, because, most of all GET /r (90% over)"
    assert dict(step.p95_ms) == {"crud": 20.0, "complex": 20.0}


def test_a_class_with_too_few_requests_does_not_stand_in_the_way_and_is_told() -> None:
    few = row("class complex", "not decided", latency_class="complex", sent=50, over=1)

    def play(rate: float) -> LoadRun:
        return run(row("class crud", "met" if rate < 100 else "missed"), few, rate=rate)

    found = searched(play)
    assert found.low is not None
    assert 90 < found.low < 100
    assert found.unjudged == ("class complex",)
    none = row("class complex", "invalid", latency_class="complex", sent=0, ok=0, reason="no sample")
    assert judged(10.0, run(row("class crud"), none)).unjudged == ("class complex",)
    # Nothing but too few tells nothing; and many over are no lack of requests.
    assert judged(10.0, run(few)).found is Found.INVALID
    assert judged(10.0, run(row("class crud", "not decided", sent=50, over=9), row("class b"))).found is Found.EDGE
    assert judged(10.0, run(row("class crud", "not decided", sent=900, over=9), row("class b"))).found is Found.EDGE


def test_an_operation_with_a_target_of_its_own_counts_as_a_class() -> None:
    own = row("POST /a", "missed", limit_ms=400.0, over=900)
    assert judged(10.0, run(own, row("GET /b", "missed"), row("class crud"))).found is Found.BROKEN
    assert judged(10.0, run(row("GET /b", "missed"), row("class crud"))).found is Found.KEPT


def test_each_step_is_told() -> None:
    told: list[Step] = []
    found = searched(service(100.0), told=told.append)
    assert tuple(told) == found.steps


def rates(steps: Iterable[Step]) -> list[float]:
    return [step.rate for step in steps]


def test_no_rate_is_tried_twice_that_was_decided() -> None:
    for capacity in (8.0, 99.0, 1_234.0):
        for edge in (0.0, 0.05, 0.3):
            found = searched(service(capacity, edge=edge))
            decided = rates(step for step in found.steps if step.found is not Found.EDGE)
            assert len(decided) == len(set(decided))
            # What is not decided has a second attempt.
            undecided = rates(step for step in found.steps if step.found is Found.EDGE)
            assert undecided[::2] == undecided[1::2]
            assert not set(decided) & set(undecided)
