"""How a percentile of one service compares with another's, from rounds played by turns on one machine. Pure, standard library only.

The round is what is repeated, so that nothing is assumed of the requests within it. If both are the same service, the logarithm of
candidate over base is as likely to be above zero as below by as much, whatever the noise of the machine: the signed-rank test of
Wilcoxon is then exact, and the bounds are those ratios that it does not reject (Hodges and Lehmann 1963, "Estimates of location
based on rank tests", Ann. Math. Statist. 34; Hollander, Wolfe and Chicken 2014, "Nonparametric Statistical Methods", 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

MOST_PAIRS = 200
"""The null distribution is counted exactly up to here; nobody plays more rounds."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Candidate over base: the estimate, and the bounds between which it lies with ``1 - alpha`` certainty."""

    value: float
    low: float
    """0 when the pairs are too few for a bound (`fewest_pairs`)."""
    high: float
    """Infinite when they are too few."""
    base: float
    candidate: float
    """Medians over the rounds, as they were given."""
    pairs: int


@lru_cache(maxsize=64)
def _cut(pairs: int, alpha: float) -> int:
    """How many of the ordered averages lie outside the bounds at each end: the most for which the chance, under no difference, of a
    sum of positive ranks below it is at most ``alpha / 2``. 0 when there are too few pairs.
    """
    ways = [1]
    for rank in range(1, pairs + 1):
        ways = [
            (ways[total] if total < len(ways) else 0) + (ways[total - rank] if total >= rank else 0)
            for total in range(len(ways) + rank)
        ]
    allowed, seen, cut = alpha / 2 * 2**pairs, 0, 0
    for count in ways:
        seen += count
        if seen > allowed:
            break
        cut += 1
    return cut


def fewest_pairs(alpha: float) -> int:
    """Pairs of rounds below which there are no bounds at all: both signs alike in all of them have the chance ``2 / 2**pairs``."""
    return max(2, math.ceil(math.log2(2 / alpha) - 1e-9))


def ratio(base: Sequence[float], candidate: Sequence[float], *, alpha: float = 0.05) -> Ratio | None:
    """Compare the same percentile of rounds ``base[i]`` and ``candidate[i]`` that were neighbours in time, all above zero.

    None without a pair. Raises ValueError when the two are not equally many, more than `MOST_PAIRS`, or not above zero.
    """
    if len(base) != len(candidate) or len(base) > MOST_PAIRS:
        raise ValueError(
            f"{len(base)} rounds of the base and {len(candidate)} of the candidate are no pairs to compare"
        )
    if min((*base, *candidate), default=1.0) <= 0:
        raise ValueError("a latency of zero has no ratio")
    if not base:
        return None
    logs = [math.log(mine / theirs) for mine, theirs in zip(candidate, base, strict=True)]
    averages = sorted((one + other) / 2 for index, one in enumerate(logs) for other in logs[index:])
    cut = _cut(len(logs), alpha)
    low, high = (math.exp(averages[cut - 1]), math.exp(averages[-cut])) if cut else (0.0, math.inf)
    return Ratio(math.exp(median(averages)), low, high, median(base), median(candidate), len(logs))
