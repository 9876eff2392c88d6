"""The statistics: against values that are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.load.binomial import beta_cdf, beta_quantile, clopper_pearson, surely_beyond, surely_within, t_quantile


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


@given(st.integers(1, 3_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.floats(0.005, 0.5))
def test_asking_without_the_bounds_is_asking_the_bounds(case: tuple[int, int], limit: float) -> None:
    n, k = case
    low, high = clopper_pearson(k, n)
    assert surely_within(k, n, limit) == (high <= limit) or high == pytest.approx(limit)
    assert surely_beyond(k, n, limit) == (low > limit) or low == pytest.approx(limit)


@given(st.integers(1, 3_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_the_bounds_hold_the_share(case: tuple[int, int]) -> None:
    n, k = case
    low, high = clopper_pearson(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0
