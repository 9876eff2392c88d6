"""Exact intervals for a share, standard library only: what the verdict on a percentile rests on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

_TINY = 1e-300
_STEPS = 20_000


def beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b); continued fraction of DLMF 8.17.22 by Lentz's method."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        # The fraction converges fast only on this side of the mean (DLMF 8.17.4 is the mirror).
        return 1.0 - beta_cdf(1.0 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1.0 / _away(1.0 + even * d), _away(1.0 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1.0 / _away(1.0 + odd * d), _away(1.0 + odd / c)
        value *= d * c
        if abs(d * c - 1.0) < 1e-12:
            break
    return front * value / a


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _bisect(rises: Callable[[float], float], goal: float, low: float, high: float) -> float:
    for _ in range(80):
        middle = (low + high) / 2
        if rises(middle) < goal:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x at which I_x(a, b) = p."""
    return _bisect(lambda x: beta_cdf(x, a, b), p, 0.0, 1.0)


@lru_cache(maxsize=256)
def t_quantile(p: float, df: int) -> float:
    """Quantile ``p`` of Student's t with ``df`` degrees of freedom, 0.5 < p < 1."""
    return _bisect(lambda t: 1.0 - beta_cdf(df / (df + t * t), df / 2, 0.5) / 2, p, 0.0, 1e4)


Z95 = 1.6448536269514722
"""One-sided 95 % point of the normal distribution."""


def clopper_pearson(k: float, n: float, alpha: float = 0.05) -> tuple[float, float]:
    """Lower and upper one-sided ``1 - alpha`` bounds of a share seen as ``k`` of ``n`` (Clopper and Pearson 1934).

    ``k`` and ``n`` may be fractions of counts, as they are after a design effect was taken out.
    """
    low = 0.0 if k <= 0 else beta_quantile(alpha, k, n - k + 1)
    high = 1.0 if k >= n else beta_quantile(1 - alpha, k + 1, n - k)
    return low, high


BATCHES = 20
"""Stretches of time whose spread tells how correlated the samples are."""


def batches(windows: Sequence[tuple[int, int]], most: int = BATCHES) -> list[tuple[int, int]]:
    """Consecutive windows (n, hits) put together into at most ``most`` stretches of equal length (the last may be shorter)."""
    size = max(1, math.ceil(len(windows) / most))
    cut = (windows[start : start + size] for start in range(0, len(windows), size))
    return [(n, hits) for n, hits in ((sum(w[0] for w in part), sum(w[1] for w in part)) for part in cut) if n]


def design_effect(batches: Sequence[tuple[int, int]]) -> float:
    """How much less the samples tell than independent ones: variance between batches over binomial variance, at least 1.

    ``batches`` are (n, hits) of equal, consecutive stretches of time. Latencies of neighbours are alike (a queue, a pause
    of the garbage collector hits many at once), so that a test for independent samples is wrong most of the time.
    """
    count = len(batches)
    n = sum(size for size, _ in batches)
    hits = sum(hit for _, hit in batches)
    if count < 2 or not 0 < hits < n:
        return 1.0
    share = hits / n
    spread = sum((hit - share * size) ** 2 for size, hit in batches)
    return max(1.0, count / (count - 1) * spread / (n * share * (1 - share)))


@dataclass(frozen=True, slots=True)
class Share:
    """A share that was estimated: ``hits`` of ``n``, and between which bounds it lies, each bound 95 % sure."""

    n: int
    hits: int
    low: float
    high: float
    deff: float = 1.0
    shrink: float = 1.0
    """How many samples are worth one independent one."""

    def bounds(self, times: float = 1.0, hits: float | None = None) -> tuple[float, float]:
        """The bounds that ``times`` as many samples of the same kind would give, or this many with other ``hits``."""
        seen = self.hits if hits is None else hits
        return clopper_pearson(times * seen / self.shrink, times * self.n / self.shrink)

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else 0.0


def share(batches: Sequence[tuple[int, int]]) -> Share:
    """The share of hits with bounds that allow for correlated samples.

    Clopper-Pearson on the effective sample size, shrunk once more for the few degrees of freedom that the batches leave to
    the estimate of the variance (Korn and Graubard 1998, "Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data", Survey Methodology 24).
    """
    n = sum(size for size, _ in batches)
    hits = sum(hit for _, hit in batches)
    if not n:
        return Share(0, 0, 0.0, 1.0)
    deff = design_effect(batches)
    shrink = deff
    if len(batches) > 1 and 0 < hits < n:
        shrink *= (t_quantile(0.95, len(batches) - 1) / Z95) ** 2
    low, high = clopper_pearson(hits / shrink, n / shrink)
    return Share(n, hits, low, high, deff, shrink)
