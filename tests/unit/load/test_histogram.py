"""The histogram: fine enough to show, exact where the limit is."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.load.histogram import key, over, percentile

LATENCIES = st.floats(0, 60_000, allow_nan=False)


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, 0), (-1, 0), (0.01, 1), (0.1, 1), (0.3, 3), (99.95, 1000), (100, 1000), (100.01, 1010), (200, 2000),
        (200.001, 2010), (1000, 10_000), (1000.5, 10_100), (12_345, 123_500),
    ],
)  # fmt: skip
def test_bins(milliseconds: float, expected: int) -> None:
    assert key(milliseconds) == expected


@given(LATENCIES)
def test_a_bin_ends_at_or_just_above_its_latency(latency: float) -> None:
    edge = key(latency) / 10
    width = 0.1 if latency <= 100 else 1 if latency <= 1_000 else 10
    assert latency - 1e-6 <= edge <= latency + width + 1e-6


@given(LATENCIES, LATENCIES)
def test_bins_keep_the_order(one: float, other: float) -> None:
    assert (key(one) <= key(other)) or one > other


@given(st.lists(LATENCIES, min_size=1, max_size=200), st.integers(0, 50), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_the_nearest_rank(latencies: list[float], lost: int, quantile: float) -> None:
    ordered = sorted(key(latency) / 10 for latency in latencies) + [math.inf] * lost
    expected = ordered[max(1, math.ceil(round(quantile * len(ordered), 9))) - 1]
    shown = percentile(Counter(key(latency) for latency in latencies), quantile, lost)
    assert shown == (None if expected == math.inf else expected)


@given(st.lists(LATENCIES, min_size=1, max_size=200), st.sampled_from([50, 200, 500, 1_000]))
def test_the_percentile_shown_never_contradicts_the_counts(latencies: list[float], limit: int) -> None:
    histogram = Counter(key(latency) for latency in latencies)
    exact = sum(latency > limit for latency in latencies)
    if all(abs(latency - limit) > 1e-6 for latency in latencies):
        assert over(histogram, limit) == exact
        shown = percentile(histogram, 0.95)
        assert shown is not None
        assert (shown <= limit) == (exact <= 0.05 * len(latencies) + 1e-9)


@given(st.lists(LATENCIES), st.lists(LATENCIES))
def test_merging_is_adding(one: list[float], other: list[float]) -> None:
    assert Counter(map(key, one)) + Counter(map(key, other)) == Counter(map(key, one + other))


def test_nothing_has_no_percentile() -> None:
    assert percentile({}, 0.95) is None
    assert percentile({}, 0.95, infinite=3) is None
