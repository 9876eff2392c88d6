"""The statistics: against values that are known, and against models whose truth is known."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.load.binomial import beta_cdf, beta_quantile, clopper_pearson, design_effect, share, t_quantile


@pytest.mark.parametrize(
    ("over", "fewest", "certainty"),
    [(0, 59, 0.95), (0, 90, 0.99), (1, 93, 0.95), (1, 130, 0.99), (5, 208, 0.95), (10, 336, 0.95), (10, 398, 0.99)],
)
def test_the_fewest_samples_that_pass(over: int, fewest: int, certainty: float) -> None:
    assert clopper_pearson(over, fewest, 1 - certainty)[1] <= 0.05
    assert clopper_pearson(over, fewest - 1, 1 - certainty)[1] > 0.05


@pytest.mark.parametrize(
    ("x", "a", "b", "expected"),
    # Closed forms: I_x(1, b) = 1 - (1 - x)^b, I_x(a, 1) = x^a, and symmetry.
    [(0.3, 1, 7, 1 - 0.7**7), (0.3, 7, 1, 0.3**7), (0.5, 40, 40, 0.5), (0.0, 2, 3, 0.0), (1.0, 2, 3, 1.0)],
)
def test_incomplete_beta(x: float, a: float, b: float, expected: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(expected, abs=1e-12)


@given(st.floats(0.01, 0.99), st.floats(0.5, 5_000), st.floats(0.5, 5_000))
def test_the_quantile_inverts_the_distribution(p: float, a: float, b: float) -> None:
    assert beta_cdf(beta_quantile(p, a, b), a, b) == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize(("df", "expected"), [(1, 6.3138), (5, 2.0150), (19, 1.7291), (100, 1.6602)])
def test_students_t(df: int, expected: float) -> None:
    assert t_quantile(0.95, df) == pytest.approx(expected, abs=1e-4)


@given(st.integers(1, 3_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_the_bounds_hold_the_share(case: tuple[int, int]) -> None:
    n, k = case
    low, high = clopper_pearson(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0


def test_a_run_cut_into_blocks_has_a_large_design_effect_and_an_even_one_none() -> None:
    blocks = [(100, 100 if index % 5 == 0 else 0) for index in range(20)]
    assert design_effect(blocks) > 50
    assert design_effect([(100, 5)] * 20) == 1.0
    assert design_effect([]) == design_effect([(10, 0)]) == design_effect([(10, 10), (5, 5)]) == 1.0


@given(
    st.lists(st.integers(0, 50).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1, max_size=20)
)
def test_correlation_only_widens(batches: list[tuple[int, int]]) -> None:
    seen = share(batches)
    n, hits = sum(b[0] for b in batches), sum(b[1] for b in batches)
    if n:
        low, high = clopper_pearson(hits, n)
        assert seen.low <= low + 1e-9
        assert seen.high >= high - 1e-9
    else:
        assert (seen.low, seen.high) == (0.0, 1.0)


def _queue(load: float, requests: int, chance: random.Random) -> list[float]:
    """Time in system of an M/M/1 queue: neighbours wait together."""
    waiting, times = 0.0, []
    for _ in range(requests):
        served = chance.expovariate(1.0)
        times.append(waiting + served)
        waiting = max(0.0, waiting + served - chance.expovariate(load))
    return times


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_at_the_limit_a_verdict_is_rare_although_samples_hang_together(load: float) -> None:
    """A test for independent samples decides in half or more of these runs, wrongly in half of those."""
    chance, requests, runs = random.Random(5), 2_000, 80
    limit = -math.log(0.05) / (1 - load)
    passed = failed = naive = 0
    for _ in range(runs):
        over = [time > limit for time in _queue(load, requests, chance)]
        step = requests // 20
        seen = share([(step, sum(over[i : i + step])) for i in range(0, requests, step)])
        passed += seen.high <= 0.05
        failed += seen.low > 0.05
        low, high = clopper_pearson(sum(over), requests)
        naive += high <= 0.05 or low > 0.05
    assert passed / runs <= 0.15
    assert failed / runs <= 0.10
    assert naive > 1.5 * (passed + failed)


def test_more_samples_of_the_same_kind_narrow_the_bounds() -> None:
    seen = share([(50, 2), (50, 4), (50, 1), (50, 3)])
    widths = [high - low for low, high in (seen.bounds(times) for times in (1, 2, 4, 8, 16))]
    assert all(earlier > later for earlier, later in pairwise(widths))
