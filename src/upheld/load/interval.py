"""Between which latencies a percentile lies: order statistics, standard library only. For the eye; verdicts come from counts."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

from upheld.load.binomial import beta_cdf
from upheld.load.histogram import Histogram
from upheld.verdict import Percentile

SHOWN = (0.5, 0.9, 0.95, 0.99, 0.999)
"""The percentiles that a report names."""
_ROUNDING = 1e-6
_POINTS = 48
_FINEST = 0.0001


@lru_cache(maxsize=1024)
def ranks(quantile: float, n: float, alpha: float = 0.05) -> tuple[float | None, float | None]:
    """The ranks, from 1, between which a quantile of ``n`` independent samples lies; each is ``1 - alpha`` sure.

    The share of the law below the sample of rank r is Beta(r, n - r + 1) distributed, whatever the law is (David and Nagaraja
    2003, "Order Statistics", 7.1). Solved for an r that need not be whole, since ``n`` may be an effective size: round the lower
    down and the upper up. None where even the first or the last sample is not sure.
    """

    def sure(rank: float) -> float:
        """How sure the sample of this rank is to be at most the quantile; falls as the rank rises."""
        return beta_cdf(quantile, rank, n - rank + 1)

    def crossing(level: float) -> float:
        low, high = 1.0, n + 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if sure(middle) > level else (low, middle)
        return (low + high) / 2

    if n < 1:
        return None, None
    lower = crossing(1 - alpha) if sure(1.0) >= 1 - alpha else None
    upper = crossing(alpha) if sure(n) <= alpha else None
    return lower, upper


def percentile_interval(
    histogram: Histogram, quantile: float, *, infinite: int = 0, shrink: float = 1.0, alpha: float = 0.05
) -> tuple[float | None, float | None]:
    """Bounds of a percentile in milliseconds, each ``1 - alpha`` sure; None where the samples give none.

    ``infinite`` requests had no good answer and count as slower than any. ``shrink`` samples are worth one independent one, as
    `upheld.load.share.share` found at the limit: so the upper bound is within the limit exactly where the share over the limit
    is surely small enough, and the lower one beyond it exactly where that share is surely too large.
    """
    lower, upper = ranks(quantile, (sum(histogram.values()) + infinite) / shrink, alpha)
    low, high = _Ordered(histogram).at([
        0 if lower is None else math.ceil((lower - 1) * shrink - _ROUNDING),
        0 if upper is None else math.ceil(upper * shrink - _ROUNDING),
    ])  # fmt: skip
    return low, high


class _Ordered:
    """The latencies of a histogram by rank."""

    def __init__(self, histogram: Histogram) -> None:
        self._edges = sorted(histogram)
        self._ranks = list(accumulate(histogram[edge] for edge in self._edges))

    def at(self, ranks: Sequence[int]) -> list[float | None]:
        """The latencies in milliseconds of these ranks, the fastest being 1; None for 0 and beyond the last."""
        places = [bisect_left(self._ranks, rank) for rank in ranks]
        return [
            self._edges[place] / 10 if rank > 0 and place < len(self._edges) else None
            for rank, place in zip(ranks, places, strict=True)
        ]


def percentiles(
    histogram: Histogram,
    *,
    infinite: int = 0,
    shrink: float = 1.0,
    alpha: float = 0.05,
    quantiles: Sequence[float] = SHOWN,
) -> tuple[Percentile, ...]:
    """Each quantile by the nearest rank, with its bounds; empty without samples."""
    total = sum(histogram.values()) + infinite
    if not total:
        return ()
    ordered = _Ordered(histogram)
    values = ordered.at([_rank(quantile, total) for quantile in quantiles])
    return tuple(
        Percentile(quantile=quantile, ms=value, low_ms=low, high_ms=high)
        for quantile, value in zip(quantiles, values, strict=True)
        for low, high in (percentile_interval(histogram, quantile, infinite=infinite, shrink=shrink, alpha=alpha),)
    )


def curve(histogram: Histogram, *, infinite: int = 0) -> tuple[tuple[float, float | None], ...]:
    """(share of the requests, latency in milliseconds that they did not exceed), for drawing: evenly over the logarithm of the
    share that is left, down to one request or 0.01 %. None from where requests had no good answer.
    """
    total = sum(histogram.values()) + infinite
    if not total:
        return ()
    least = max(_FINEST, 1 / total)
    shares = tuple(1 - least ** (point / _POINTS) for point in range(_POINTS + 1))
    return tuple(zip(shares, _Ordered(histogram).at([_rank(share, total) for share in shares]), strict=True))


def _rank(share: float, total: int) -> int:
    return max(1, math.ceil(round(share * total, 9)))
