"""Bounds of a percentile: known ranks, what they cover, and that they agree with the verdict."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.load.making import counted, mixed

from upheld.load.binomial import clopper_pearson
from upheld.load.histogram import key
from upheld.load.interval import curve, percentile_interval, percentiles, ranks
from upheld.load.verdict import Circumstances, Target, row


@pytest.mark.parametrize("n", [1, 20, 58, 59, 100, 400, 1_000])
def test_ranks_of_a_p95_are_those_of_the_binomial_law(n: int) -> None:
    """The highest rank that exceeds the p95 in at most 5 % of all cases, and the lowest that falls short of it as seldom."""
    law = [math.comb(n, hits) * 0.95**hits * 0.05 ** (n - hits) for hits in range(n + 1)]
    at_most = [rank for rank in range(1, n + 1) if sum(law[rank:]) >= 0.95]
    at_least = [rank for rank in range(1, n + 1) if sum(law[rank:]) <= 0.05]
    low, high = ranks(0.95, n)
    assert (None if low is None else math.floor(low)) == max(at_most, default=None)
    assert (None if high is None else math.ceil(high)) == min(at_least, default=None)


def test_without_samples_there_are_no_bounds() -> None:
    assert percentile_interval({}, 0.95) == (None, None)
    assert percentiles({}) == ()
    assert curve({}) == ()


def test_requests_without_an_answer_are_slower_than_any() -> None:
    answers = {key(10.0): 900}
    assert percentile_interval(answers, 0.95, infinite=100) == (None, None)
    assert percentile_interval(answers, 0.95, infinite=40) == (10.0, None)
    named = {one.quantile: one.ms for one in percentiles(answers, infinite=100)}
    assert named == {0.5: 10.0, 0.9: 10.0, 0.95: None, 0.99: None, 0.999: None}
    assert curve(answers, infinite=100)[-1][1] is None


def test_samples_that_are_alike_tell_less() -> None:
    answers = Counter(key(float(at)) for at in range(1, 1001))
    low, high = percentile_interval(answers, 0.95)
    wide_low, wide_high = percentile_interval(answers, 0.95, shrink=5.0)
    assert (low, high) == (938.0, 962.0)
    assert wide_low is not None
    assert wide_high is not None
    assert wide_low < 938.0
    assert wide_high > 962.0
    assert percentile_interval(answers, 0.95, shrink=20.0)[1] is None


def test_each_bound_is_right_nineteen_times_in_twenty() -> None:
    chance = random.Random(7)
    truth, runs, wrong = 100 * 2.995732273553991, 1_000, [0, 0]
    for _ in range(runs):
        answers = Counter(key(chance.expovariate(0.01)) for _ in range(200))
        low, high = percentile_interval(answers, 0.95)
        wrong[0] += low is not None and low > truth
        wrong[1] += high is not None and high < truth
    # 5 % of 1,000 and four standard deviations.
    assert max(wrong) <= 78
    assert min(wrong) >= 15


@given(
    st.integers(13, 3_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.sampled_from([1.0, 1.37, 2.0, 4.9, 13.0]),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_the_bounds_say_what_the_verdict_says(counted: tuple[int, int], shrink: float, quantile: float) -> None:
    """Upper bound within the limit: met. Lower bound beyond it: missed. Picture and verdict never disagree."""
    n, over = counted
    answers = Counter({key(50.0): n - over, key(900.0): over})
    share_low, share_high = clopper_pearson(over / shrink, n / shrink)
    low, high = percentile_interval(answers, quantile, shrink=shrink)
    allowed = 1 - quantile
    if abs(share_high - allowed) > 1e-9:
        assert (high is not None and high <= 200.0) == (share_high <= allowed)
    if abs(share_low - allowed) > 1e-9:
        assert (low is not None and low > 200.0) == (share_low > allowed)


@given(st.dictionaries(st.integers(1, 5_000), st.integers(1, 40), max_size=20), st.integers(0, 60))
def test_a_curve_rises_and_ends_with_the_slowest(answers: dict[int, int], infinite: int) -> None:
    drawn = curve(answers, infinite=infinite)
    shares, values = [share for share, _ in drawn], [value for _, value in drawn]
    assert shares == sorted(shares)
    known = [value for value in values if value is not None]
    assert known == sorted(known)
    assert values[: len(known)] == known
    if drawn and not infinite:
        assert values[-1] == max(answers) / 10


@settings(max_examples=30, deadline=None)
@given(st.integers(60, 900), st.floats(0, 0.2), st.sampled_from([0.9, 0.95, 0.99]))
def test_a_row_shows_what_it_was_judged_by(n: int, share_over: float, quantile: float) -> None:
    target = Target("GET /a", "crud", 200.0, quantile)
    shown = row(counted(mixed(n, share_over)), target, Circumstances(60.0, 1.0))
    judged = next(one for one in shown.percentiles if one.quantile == quantile)
    assert (shown.verdict == "met") == (judged.high_ms is not None and judged.high_ms <= 200.0)
    assert (shown.verdict == "missed") == (judged.low_ms is not None and judged.low_ms > 200.0)


def test_a_quantile_that_no_report_names_is_among_a_rows() -> None:
    shown = row(counted(mixed(500, 0.0)), Target("GET /a", "crud", 200.0, 0.97), Circumstances(60.0, 1.0))
    assert [one.quantile for one in shown.percentiles] == [0.5, 0.9, 0.95, 0.97, 0.99, 0.999]
