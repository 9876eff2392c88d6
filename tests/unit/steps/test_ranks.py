"""The rank test against tables and against counting everything."""

from __future__ import annotations

from itertools import combinations

import pytest

from upheld.steps.ranks import tends_larger


def test_samples_that_do_not_overlap() -> None:
    # 1 of C(12, 6) = 924 and 1 of C(20, 10) = 184756 ways.
    assert tends_larger([7, 8, 9, 10, 11, 12], [1, 2, 3, 4, 5, 6]) == 1 / 924
    assert tends_larger(range(10, 20), range(10)) == 1 / 184756
    assert tends_larger([1, 2, 3], [4, 5, 6]) == 1.0


def test_all_alike_tells_nothing() -> None:
    assert tends_larger([5, 5, 5], [5, 5, 5]) == 1.0


@pytest.mark.parametrize(("size", "critical"), [(5, 1), (6, 3), (7, 6), (9, 14), (10, 19)])
def test_critical_values_of_the_published_table(size: int, critical: int) -> None:
    """One-sided, 0.01, equal sizes: the largest U that is still significant."""
    assert tends_larger(*_with_u(size, critical)) <= 0.01
    assert tends_larger(*_with_u(size, critical + 1)) > 0.01


def test_ties_by_counting_everything() -> None:
    these, those = [3.0, 3.0, 5.0, 9.0], [1.0, 3.0, 4.0, 5.0]
    pooled = [*these, *those]

    def midrank(value: float) -> float:
        below, equal = sum(v < value for v in pooled), pooled.count(value)
        return below + (equal + 1) / 2

    seen = sum(midrank(value) for value in these)
    sums = [sum(midrank(value) for value in chosen) for chosen in combinations(pooled, 4)]
    assert tends_larger(these, those) == pytest.approx(sum(total >= seen for total in sums) / len(sums))


def _with_u(size: int, u: int) -> tuple[list[float], list[float]]:
    """Two samples of which ``u`` pairs have the first one's value below the second one's."""
    these, those = [float(size + i) for i in range(size)], [float(i) for i in range(size)]
    moved, rest = divmod(u, size)
    for index in range(moved):
        these[index] = -1.0 - index
    if rest:
        these[moved] = size - rest - 0.5
    return these, those
