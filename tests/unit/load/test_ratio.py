"""The ratio of two services: exact bounds, and identical ones are not called different however restless the machine is."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.load.ratio import fewest_pairs, ratio

LATENCIES = st.lists(st.tuples(st.floats(0.1, 5_000), st.floats(0.1, 5_000)), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("pairs", "alpha", "averages_outside"), [(6, 0.05, 1), (8, 0.05, 4), (10, 0.05, 9), (20, 0.05, 53)]
)
def test_the_bounds_are_those_of_the_tables(pairs: int, alpha: float, averages_outside: int) -> None:
    """Critical values of the signed-rank test as printed in tables (two-sided 5 %): 0 for 6, 3 for 8, 8 for 10, 52 for 20 pairs."""
    logs = [math.log1p(0.01 * (index + 1) ** 1.3) for index in range(pairs)]
    averages = sorted((a + b) / 2 for index, a in enumerate(logs) for b in logs[index:])
    found = ratio([1.0] * pairs, [math.exp(value) for value in logs], alpha=alpha)
    assert found is not None
    assert math.log(found.low) == pytest.approx(averages[averages_outside - 1])
    assert math.log(found.high) == pytest.approx(averages[-averages_outside])


@pytest.mark.parametrize("pairs", [6, 8, 9])
def test_of_all_signs_at_most_one_in_twenty_leaves_no_difference_out(pairs: int) -> None:
    """Under no difference every pattern of signs is equally likely: counted over all of them, not sampled."""
    sizes = [0.01 * (index + 1) for index in range(pairs)]
    outside = 0
    for signs in product((-1, 1), repeat=pairs):
        found = ratio([1.0] * pairs, [math.exp(sign * size) for sign, size in zip(signs, sizes, strict=True)])
        assert found is not None
        outside += not found.low <= 1.0 <= found.high
    assert 0 < outside <= 0.05 * 2**pairs


def _rounds(chance: random.Random, pairs: int, slower: float) -> tuple[list[float], list[float]]:
    """Rounds of a machine whose mood wanders, and now and then spoils a round altogether; the first side by turns."""
    mood = 0.0
    base: list[float] = []
    candidate: list[float] = []
    for index in range(pairs):
        for side in (base, candidate) if index % 2 == 0 else (candidate, base):
            mood = 0.7 * mood + chance.gauss(0, 0.3)
            spoilt = chance.expovariate(1) if chance.random() < 0.15 else 0.0
            side.append(40 * math.exp(mood + spoilt) * (slower if side is candidate else 1.0))
    return base, candidate


def test_a_and_a_are_not_called_different() -> None:
    chance, runs, different = random.Random(3), 1_000, 0
    for _ in range(runs):
        found = ratio(*_rounds(chance, 8, 1.0))
        assert found is not None
        different += not found.low <= 1.0 <= found.high
    # 5 % of 1,000 and twice its standard deviation.
    assert different <= 64


def test_twice_as_slow_is_seen_through_the_noise() -> None:
    chance = random.Random(4)
    seen = [found.low > 1.0 for _ in range(200) if (found := ratio(*_rounds(chance, 12, 2.0)))]
    assert sum(seen) >= 150


@given(LATENCIES)
def test_exchanging_the_sides_inverts_the_ratio(pairs: list[tuple[float, float]]) -> None:
    base, candidate = [one for one, _ in pairs], [other for _, other in pairs]
    there, back = ratio(base, candidate), ratio(candidate, base)
    assert there is not None
    assert back is not None
    assert there.value == pytest.approx(1 / back.value)
    assert there.low <= there.value * (1 + 1e-12)
    assert there.value <= there.high * (1 + 1e-12)
    if there.low:
        assert there.low == pytest.approx(1 / back.high)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 4, 0.05 / 6, 0.05 / 8])
def test_too_few_rounds_bound_nothing(alpha: float) -> None:
    fewest = fewest_pairs(alpha)
    for pairs in range(1, fewest):
        found = ratio([1.0] * pairs, [9.0] * pairs, alpha=alpha)
        assert found is not None
        assert (found.low, found.high) == (0.0, math.inf)
    enough = ratio([1.0] * fewest, [9.0] * fewest, alpha=alpha)
    assert enough is not None
    assert [enough.low, enough.high] == pytest.approx([9.0, 9.0])


def test_what_cannot_be_compared() -> None:
    assert ratio([], []) is None
    with pytest.raises(ValueError, match="no pairs"):
        ratio([1.0], [])
    for base, candidate in (([0.0], [1.0]), ([1.0], [-1.0])):
        with pytest.raises(ValueError, match="zero"):
            ratio(base, candidate)
