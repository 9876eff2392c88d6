"""The share over the limit: correlation only widens its bounds, and luck is not taken for a short burst."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.load.binomial import clopper_pearson
from upheld.load.share import ALPHA, Cell, design_effect, share

CELLS = st.lists(
    st.integers(0, 50).flatmap(
        lambda n: st.tuples(st.integers(0, n), st.integers(0, n)).map(lambda two: (n, min(two), max(two)))
    ),
    min_size=1,
    max_size=60,
)


def test_a_run_cut_into_blocks_has_a_large_design_effect_and_an_even_one_none() -> None:
    blocks = [(20, 20 if index % 25 < 5 else 0) for index in range(100)]
    assert design_effect(blocks, 10)[0] > 20
    assert design_effect([(100, 5)] * 100, 10)[0] == 1.0
    assert [design_effect(empty, 10)[0] for empty in ([], [(10, 0)] * 9, [(10, 10)] * 9)] == [1.0] * 3


@pytest.mark.parametrize(("cells", "stretches", "freedom"), [(240, 30, 43.5), (240, 10, 13.5), (8, 30, 10.5)])
def test_degrees_of_freedom(cells: int, stretches: int, freedom: float) -> None:
    """Of 30 overlapping stretches as of 45 that do not overlap; fewer cells than stretches are what there is."""
    assert design_effect([(10, 1 + index % 2) for index in range(cells)], stretches)[1] == pytest.approx(freedom)


def test_stretches_of_one_cell_give_the_variance_of_the_cells() -> None:
    cells = [(10, 0), (10, 4), (10, 1), (10, 7)]
    mean = 3.0
    spread = sum((hit - mean) ** 2 for _, hit in cells) * 4 / 3
    assert design_effect(cells, 4)[0] == pytest.approx(spread / (40 * 0.3 * 0.7))


@given(CELLS)
def test_correlation_only_widens(cells: list[Cell]) -> None:
    seen = share(cells)
    n, hits = sum(cell[0] for cell in cells), sum(cell[1] for cell in cells)
    if n:
        low, high = clopper_pearson(hits, n, ALPHA)
        assert seen.low <= low + 1e-9
        assert seen.high >= high - 1e-9
    else:
        assert (seen.low, seen.high) == (0.0, 1.0)


def test_what_is_near_the_limit_tells_how_long_a_burst_lasts() -> None:
    """No sample over the limit, but those that come near it come all together: it is luck if none went over."""
    together: list[Cell] = [(10, 0, 5 if index % 40 < 4 else 0) for index in range(240)]
    apart: list[Cell] = [(10, 0, 1 if index % 2 else 0) for index in range(240)]
    assert share(apart).high < share(together).high
    assert share(apart).high < 0.002


def test_the_body_of_the_latencies_is_no_tail() -> None:
    """Half of all samples wander across half of the limit and none goes beyond: that says nothing of the tail."""
    wandering: list[Cell] = [(10, 0, 10 if index % 120 < 60 else 0) for index in range(240)]
    assert share(wandering).shrink == 1.0


def test_one_moment_is_one_sample() -> None:
    assert share([(5_000, 0, 0)]).high > 0.9


def test_more_samples_of_the_same_kind_decide() -> None:
    seen = share([(50, 2, 2), (50, 4, 4), (50, 1, 1), (50, 3, 3)])
    assert [seen.surely_within(0.1, times) for times in (1, 2, 4)] == [False, True, True]
    assert not any(seen.surely_within(0.05, times) or seen.surely_beyond(0.05, times) for times in (1, 4, 16, 64))
    assert not seen.surely_beyond(0.05, 64)
    assert seen.surely_beyond(0.05, 64, hits=20)
