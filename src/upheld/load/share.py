"""A share of correlated samples, with honest bounds: what the verdict on a percentile rests on. Pure, standard library only.

Latencies of neighbours are alike: a queue, a pause of the garbage collector, a cold cache hits many at once. A test for independent
samples is then wrong most of the time, so that their number is divided by what they hang together (the design effect).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from upheld.load.binomial import clopper_pearson, t_quantile

ALPHA = 0.03
"""Chance, by the formula, of a wrong bound. By simulation of queues (`benchmarks/verdict.py`) no more than 5 % of the runs whose share
is just what is allowed pass, and no more than 5 % fail, looks before the end included."""
STRETCHES = (10, 30)
"""Parts of the run whose spread is looked at: long ones see what hangs together for long, short ones are many."""
RARE = 6.0
"""Samples near the limit tell how those over it hang together, unless they are more than so many times as many as may be over it:
then they are no tail, and whatever moves them (a warmer cache, a slower clock) says nothing of it."""

Cell = tuple[int, int, int]
"""(samples, over, near) of one of many equal, consecutive stretches of time."""


def design_effect(cells: Sequence[tuple[int, int]], stretches: int) -> tuple[float, float]:
    """How many samples tell as much as one independent one, at least 1, and the degrees of freedom of that estimate.

    The variance of the number of hits in overlapping stretches of equal length, ``stretches`` of which make up the run, over that of
    independent samples (Meketon and Schmeiser 1984, "Overlapping batch means: something for nothing?", Winter Simulation
    Conference). ``cells`` are (samples, hits) of equal, consecutive parts of the run, empty ones too.
    """
    n, hits = sum(size for size, _ in cells), sum(hit for _, hit in cells)
    count = len(cells)
    if count < 2 or not 0 < hits < n:
        return 1.0, math.inf
    value = hits / n
    length = min(count - 1, max(1, round(count / stretches)))
    sums, seen = [0.0], 0.0
    for size, hit in cells:
        seen += hit - value * size
        sums.append(seen)
    squares = sum((later - earlier) ** 2 for earlier, later in zip(sums, sums[length:], strict=False))
    spread = squares / (count - length + 1) * count / length * count / (count - length)
    # Overlapping stretches are worth one and a half times as many as those that do not.
    return max(1.0, spread / (n * value * (1 - value))), 1.5 * (count / length - 1)


@dataclass(frozen=True, slots=True)
class Share:
    """A share that was estimated: ``hits`` of ``n``, and between which bounds it lies, each 95 % sure."""

    n: int
    hits: int
    low: float
    high: float
    deff: float = 1.0
    shrink: float = 1.0
    """How many samples are worth one independent one, on the safe side."""

    def bounds(self, times: float = 1.0, hits: float | None = None) -> tuple[float, float]:
        """The bounds that ``times`` as many samples of the same kind would give, or this many with other ``hits``."""
        seen = self.hits if hits is None else hits
        return clopper_pearson(times * seen / self.shrink, times * self.n / self.shrink, ALPHA)

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else 0.0


def share(cells: Sequence[Cell], allowed: float = 0.05) -> Share:
    """The share of samples over the limit with bounds that allow for correlated samples; ``allowed`` of them may be over it.

    Clopper-Pearson on the effective sample size, shrunk once more for the degrees of freedom that the estimate of the variance has
    (Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of positive counts estimated from
    survey data", Survey Methodology 24). The largest of several estimates is taken: a run that saw few bursts by luck underrates
    both how many there are and how long they last, and would pass for it.
    """
    n, hits, near = (sum(cell[kind] for cell in cells) for kind in range(3))
    if not n:
        return Share(0, 0, 0.0, 1.0)
    deff = shrink = 1.0
    if len(cells) < 2:
        # One stretch of time is one sample for all that is known.
        deff = shrink = float(n)
    kinds = (1, 2) if near <= RARE * allowed * n else (1,)
    for kind in kinds:
        counted = [(cell[0], cell[kind]) for cell in cells]
        for stretches in STRETCHES:
            effect, freedom = design_effect(counted, stretches)
            deff, shrink = max(deff, effect), max(shrink, effect * _few(freedom))
    low, high = clopper_pearson(hits / shrink, n / shrink, ALPHA)
    return Share(n, hits, low, high, deff, shrink)


def _few(freedom: float) -> float:
    """What a variance that has so many degrees of freedom costs."""
    if math.isinf(freedom):
        return 1.0
    sure = 1 - ALPHA
    return (t_quantile(sure, max(1.0, round(freedom, 1))) / NormalDist().inv_cdf(sure)) ** 2
