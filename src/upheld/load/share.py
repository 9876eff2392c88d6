"""A share of correlated samples, with honest bounds: what the verdict on a percentile rests on. Pure, standard library only.

Latencies of neighbours are alike: a queue, a pause of the garbage collector, a cold cache hits many at once. A test for independent
samples is then wrong most of the time, so that their number is divided by what they hang together (the design effect).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from upheld.load.binomial import clopper_pearson, surely_beyond, surely_within, t_quantile

ALPHA = 0.03
"""Chance, by the formula, of a wrong bound. By simulation of queues (`benchmarks/verdict.py`) no more than 5 % of the runs whose share
is just what is allowed pass, and no more than 5 % fail, looks before the end included."""
STRETCHES = (10, 30)
"""Parts of the run whose spread is looked at: long ones see what hangs together for long, short ones are many."""
RARE = 6.0
"""Samples near the limit tell how those over it hang together, unless they are more than so many times as many as may be over it:
then they are no tail, and whatever moves them (a warmer cache, a slower clock) says nothing of it."""

SATURATED = 50.0
"""Design effect beyond which a pass is no longer honest: the queue hardly ever empties, and the run is a handful of samples."""

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

    def surely_within(self, allowed: float, times: float = 1.0) -> bool:
        """Whether no more than ``allowed`` are over, with so many ``times`` as many samples of the same kind."""
        return surely_within(times * self.hits / self.shrink, times * self.n / self.shrink, allowed, ALPHA)

    def surely_beyond(self, allowed: float, times: float = 1.0, hits: int | None = None) -> bool:
        """Whether more than ``allowed`` are over; ``hits`` where other than those seen are meant."""
        seen = self.hits if hits is None else hits
        return surely_beyond(times * seen / self.shrink, times * self.n / self.shrink, allowed, ALPHA)

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else 0.0


def share(cells: Sequence[Cell], allowed: float = 0.05) -> Share:
    """The share of samples over the limit with bounds that allow for correlated samples; ``allowed`` of them may be over it.

    Clopper-Pearson on the effective sample size.
    """
    n, hits = (sum(cell[kind] for cell in cells) for kind in range(2))
    if not n:
        return Share(0, 0, 0.0, 1.0)
    deff, shrink = worth(cells, allowed)
    low, high = clopper_pearson(hits / shrink, n / shrink, ALPHA)
    return Share(n, hits, low, high, deff, shrink)


def worth(cells: Sequence[Cell], allowed: float = 0.05) -> tuple[float, float]:
    """How many samples are worth one independent one: as estimated, and on the safe side.

    The latter is shrunk once more for the degrees of freedom that the estimate has (Korn and Graubard 1998, "Confidence intervals
    for proportions with small expected number of positive counts estimated from survey data", Survey Methodology 24). The largest
    of several estimates is taken: a run that saw few bursts by luck underrates both how many there are and how long they last, and
    would pass for it.
    """
    n, near = (sum(cell[kind] for cell in cells) for kind in (0, 2))
    deff = shrink = 1.0
    if len(cells) < 2:
        # One stretch of time is one sample for all that is known.
        deff = shrink = max(1.0, n)
    kinds = (1, 2) if near <= RARE * allowed * n else (1,)
    for kind in kinds:
        counted = [(cell[0], cell[kind]) for cell in cells]
        for stretches in STRETCHES:
            effect, freedom = design_effect(counted, stretches)
            deff, shrink = max(deff, effect), max(shrink, effect * _few(freedom))
    return deff, shrink


def _few(freedom: float) -> float:
    """What a variance that has so many degrees of freedom costs."""
    return 1.0 if math.isinf(freedom) else (t_quantile(1 - ALPHA, max(1.0, round(freedom, 1))) / _NORMAL) ** 2


_NORMAL = NormalDist().inv_cdf(1 - ALPHA)
