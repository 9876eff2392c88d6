"""Drift: a slope that one spoilt stretch does not move, and moods of a machine that are not taken for a trend."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.load.drift import Drift, drift

SERIES = st.lists(st.floats(1, 1_000), min_size=4, max_size=25)


def _found(values: list[float], times: list[float] | None = None, alpha: float = 0.05) -> Drift:
    found = drift(values, times, alpha=alpha)
    assert found is not None
    return found


def test_the_textbook_example() -> None:
    """Sen's slope of 10, 15, 14, 20 is the median of 5, 2, 10/3, -1, 5/2, 6."""
    found = _found([10.0, 15.0, 14.0, 20.0])
    assert found.level == 14.5
    assert found.change == pytest.approx(3 * (5 / 2 + 10 / 3) / 2)
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_independent_values_have_the_bounds_of_the_test() -> None:
    """Ten values: the variance is 10 * 9 * 25 / 18 = 125, so that a slope is refused when those above and below it of the 45 differ
    in number by more than 1.96 * 11.18 + 1 = 22.9: when at most 11 lie on one side."""
    values = [3.0, 9.0, 1.0, 8.0, 2.0, 9.5, 2.5, 8.5, 1.5, 9.2]
    found = _found(values)
    assert found.alike == 0.0
    slopes = sorted((values[j] - values[i]) / (j - i) for i in range(10) for j in range(i + 1, 10))
    assert [found.low, found.high] == pytest.approx([9 * slopes[11], 9 * slopes[-12]])


def test_a_leak_is_seen_and_one_spoilt_stretch_is_not() -> None:
    leak = [100.0 + 2.0 * index + (0.7 if index % 2 else -0.7) for index in range(18)]
    assert _found(leak).rises
    assert _found(leak[::-1]).falls
    level = [100.0 + (0.7 if index % 2 else -0.7) for index in range(17)]
    spoilt = _found([*level, 5_000.0])
    assert not spoilt.rises
    assert abs(spoilt.change) < 2.0


def test_a_level_does_not_drift() -> None:
    found = _found([7.0] * 12)
    assert (found.level, found.change, found.low, found.high) == (7.0, 0.0, 0.0, 0.0)
    assert (found.rises, found.falls) == (False, False)


def test_times_that_were_left_out_count() -> None:
    assert _found([0.0, 1.0, 2.0, 10.0], [0.0, 1.0, 2.0, 10.0]).change == pytest.approx(10.0)
    for values, times in (([1.0, 2.0], [0.0]), ([1.0, 2.0], [1.0, 1.0])):
        with pytest.raises(ValueError, match="a time of its own"):
            drift(values, times)
    assert drift([1.0, 2.0, 3.0]) is None


@given(SERIES)
def test_the_unit_does_not_matter_and_backwards_is_the_other_way(values: list[float]) -> None:
    found, scaled, backwards = _found(values), _found([1_000 * value for value in values]), _found(values[::-1])
    assert found.low <= found.change <= found.high
    assert scaled.change == pytest.approx(1_000 * found.change)
    assert backwards.change == pytest.approx(-found.change)
    assert (backwards.rises, backwards.falls) == (found.falls, found.rises)


@pytest.mark.parametrize(("memory", "most"), [(0.0, 28), (0.3, 34), (0.6, 34)])
def test_moods_of_the_machine_are_no_drift(memory: float, most: int) -> None:
    """400 series without a trend, each value like the one before it, one in ten spoilt: 5 % and what chance and so short a series add."""
    chance, drifting = random.Random(11), 0
    for _ in range(400):
        mood, values = chance.gauss(0, 1), []
        for _ in range(18):
            mood = memory * mood + math.sqrt(1 - memory**2) * chance.gauss(0, 1)
            values.append(50 + mood + (chance.expovariate(0.3) if chance.random() < 0.1 else 0.0))
        found = _found(values)
        drifting += found.rises or found.falls
    assert drifting <= most
