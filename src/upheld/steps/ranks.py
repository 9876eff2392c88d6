"""Whether one handful of measurements tends to be larger than another, by their ranks alone: no assumption about how they scatter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import comb


def tends_larger(these: Sequence[float], those: Sequence[float]) -> float:
    """One-sided p-value of the test of Mann and Whitney (1947) that ``these`` are not larger than ``those``.

    Exact, ties included: of all ways to deal out the same mid-ranks, the share whose sum is at least the one seen (Lehmann,
    Nonparametrics, §1.2 and §1.4). For samples of a few dozen; the work grows with the fourth power of their size.
    """
    pooled = sorted([*these, *those])
    # Twice the mid-rank of each value, so that all sums are whole numbers.
    doubled = {value: pooled.index(value) * 2 + pooled.count(value) + 1 for value in set(pooled)}
    seen = sum(doubled[value] for value in these)
    ways: list[defaultdict[int, int]] = [defaultdict(int) for _ in range(len(these) + 1)]
    ways[0][0] = 1
    for value in pooled:
        for size in range(len(these), 0, -1):
            for total, number in ways[size - 1].items():
                ways[size][total + doubled[value]] += number
    extreme = sum(number for total, number in ways[-1].items() if total >= seen)
    return extreme / comb(len(pooled), len(these))
