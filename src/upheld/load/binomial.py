"""Exact intervals for a share, standard library only: what `upheld.load.share` rests on."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    for _ in range(52):
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
def t_quantile(p: float, df: float) -> float:
    """Quantile ``p`` of Student's t with ``df`` degrees of freedom, 0.5 < p < 1."""
    return _bisect(lambda t: 1.0 - beta_cdf(df / (df + t * t), df / 2, 0.5) / 2, p, 0.0, 1e4)


def clopper_pearson(k: float, n: float, alpha: float = 0.05) -> tuple[float, float]:
    """Lower and upper one-sided ``1 - alpha`` bounds of a share seen as ``k`` of ``n`` (Clopper and Pearson 1934).

    ``k`` and ``n`` may be fractions of counts, as they are after a design effect was taken out.
    """
    low = 0.0 if k <= 0 else beta_quantile(alpha, k, n - k + 1)
    high = 1.0 if k >= n else beta_quantile(1 - alpha, k + 1, n - k)
    return low, high


def surely_within(k: float, n: float, share: float, alpha: float = 0.05) -> bool:
    """Whether the upper bound of `clopper_pearson` is at most ``share``, without finding it."""
    return k < n and beta_cdf(share, k + 1, n - k) >= 1 - alpha


def surely_beyond(k: float, n: float, share: float, alpha: float = 0.05) -> bool:
    """Whether the lower bound of `clopper_pearson` is more than ``share``, without finding it."""
    return k > 0 and beta_cdf(share, k, n - k + 1) < alpha
