"""Looking at a run while it lasts: the wealth is a martingale, and the run ends only when every promise is decided."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.load.making import counted, mixed, plan, pressed

from upheld.load.counts import Counts
from upheld.load.sequential import DECIDED, Promise, Watch, promises, wealth

ONE = Promise(("GET /a",), 0.05)


@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.01, 0.05, 0.1]), st.booleans())
def test_if_just_what_is_allowed_is_over_nobody_gets_richer_on_average(
    within: int, hits: int, allowed: float, above: bool
) -> None:
    """The next sample is over with the chance that is allowed: what it makes of the wealth is on average what it was."""
    n = within + hits
    now = math.exp(wealth(n, hits, allowed, above=above))
    then = allowed * math.exp(wealth(n + 1, hits + 1, allowed, above=above))
    then += (1 - allowed) * math.exp(wealth(n + 1, hits, allowed, above=above))
    assert then == pytest.approx(now, rel=1e-6)


def test_wealth_by_hand() -> None:
    """Betting below 1/2 with shares evenly mixed: after one that was not over, twice the mean of 1 - p over p < 1/2, over 1/2."""
    assert math.exp(wealth(1, 0, 0.5, above=False)) == pytest.approx(float(Fraction(3, 2)))
    assert wealth(0, 0, 0.05, above=False) == pytest.approx(0.0)
    assert wealth(0, 0, 0.05, above=True) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("counts", "ends"),
    [
        (counted(mixed(2_000, 0.0)), True),
        (counted(mixed(2_000, 0.01)), True),
        (counted(mixed(2_000, 0.04)), False),
        (counted(mixed(2_000, 0.05)), False),
        (counted(mixed(2_000, 0.06)), False),
        (counted(mixed(2_000, 0.15)), True),
        (counted(mixed(150, 0.0)), False),
        (counted(mixed(5_000, 0.0), seconds=20.0), False),
        (counted(mixed(20, 1.0)), False),
        (Counts(), False),
        (counted(mixed(20, 0.0), throttled=1), True),
    ],
)
def test_a_run_ends_early_when_it_is_clear(counts: Counts, ends: bool) -> None:
    assert Watch([ONE]).decided({"GET /a": counts}, 60.0) == (DECIDED if ends else "")


def test_a_burst_ends_nothing() -> None:
    """As many over the limit as in a run that ends, but all in one stretch: that may happen once in a run that keeps its promise."""
    together = counted([900.0] * 300 + [20.0] * 1_700)
    assert Watch([ONE]).decided({"GET /a": together}, 60.0) == ""


def test_all_have_to_be_decided_at_the_same_look() -> None:
    watch = Watch([ONE, Promise(("GET /b",), 0.05), Promise(("GET /a", "GET /b"), 0.05)])
    clear, open_ = counted(mixed(2_000, 0.0)), counted(mixed(2_000, 0.05))
    assert watch.decided({"GET /a": clear, "GET /b": open_}, 60.0) == ""
    assert watch.decided({"GET /a": open_, "GET /b": clear}, 60.0) == ""
    assert watch.decided({"GET /a": clear}, 60.0) == ""
    assert watch.decided({"GET /a": clear, "GET /b": clear}, 60.0) == DECIDED
    assert Watch([]).decided({}, 60.0) == ""


def test_what_a_plan_promises() -> None:
    own = pressed("GET /own", own_target=True, quantile=0.99)
    told = [
        (each.operations, round(each.allowed, 6)) for each in promises(plan(pressed("GET /a"), pressed("GET /b"), own))
    ]
    assert told == [(("GET /a",), 0.05), (("GET /b",), 0.05), (("GET /own",), 0.01), (("GET /a", "GET /b"), 0.05)]
