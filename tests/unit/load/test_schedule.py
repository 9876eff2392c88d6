"""The schedule: in order, at the asked rate, the same for the same seed."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.load.plan import Arrivals
from upheld.load.schedule import schedule

MODELS: tuple[Arrivals, ...] = ("poisson", "even")
RATES = st.lists(st.floats(0, 60), min_size=1, max_size=6)


@pytest.mark.parametrize("model", MODELS)
@given(rates=RATES, seconds=st.floats(0.1, 20), seed=st.text(max_size=5))
def test_arrivals_come_in_order_and_before_the_end(
    model: Arrivals, rates: list[float], seconds: float, seed: str
) -> None:
    made = list(schedule(rates, seconds, model=model, seed=seed))
    assert made == list(schedule(rates, seconds, model=model, seed=seed))
    assert all(earlier[0] <= later[0] for earlier, later in pairwise(made))
    assert all(0 <= due < seconds and rates[index] > 0 for due, index in made)
    for index, rate in enumerate(rates):
        number = sum(which == index for _, which in made)
        spread = 1.0 if model == "even" else 6 * math.sqrt(rate * seconds) + 6
        assert abs(number - rate * seconds) <= spread


def test_a_poisson_schedule_has_bursts_and_an_even_one_has_none() -> None:
    def gaps(model: Arrivals) -> list[float]:
        due = [when for when, _ in schedule([100.0], 60, model=model)]
        return [later - earlier for earlier, later in pairwise(due)]

    assert min(gaps("poisson")) < 0.001
    assert max(gaps("poisson")) > 0.04
    assert max(gaps("even")) - min(gaps("even")) < 1e-6


def test_another_seed_is_another_schedule() -> None:
    assert list(schedule([10.0], 5, seed="1")) != list(schedule([10.0], 5, seed="2"))
