"""Latencies as a plain dict of counts: merges exactly, in any order, without a library."""

from __future__ import annotations

import math
from collections.abc import Mapping

Histogram = Mapping[int, int]
"""Key (tenths of a millisecond) → count."""


def key(milliseconds: float) -> int:
    """The bin of a latency: its upper edge in tenths of a millisecond, steps of 0.1 ms to 100 ms, 1 ms to 1 s, then 10 ms.

    Upper edges, so that a latency over a limit that is an edge itself is never shown as within it.
    """
    tenths = max(0.0, milliseconds) * 10
    # Ten decimals: 0.1 * 3 * 10 is 3.0000000000000004 and belongs to bin 3.
    step = 1 if tenths <= 1_000 else 10 if tenths <= 10_000 else 100
    return math.ceil(round(tenths / step, 9)) * step


def percentile(histogram: Histogram, quantile: float, infinite: int = 0) -> float | None:
    """The smallest latency in milliseconds that at least ``quantile`` of all samples do not exceed (nearest rank).

    ``infinite`` samples never got an answer; None when the rank falls among them or there is no sample. For display only:
    verdicts come from counts.
    """
    total = sum(histogram.values()) + infinite
    rank = max(1, math.ceil(round(quantile * total, 9)))
    seen = 0
    for edge in sorted(histogram):
        seen += histogram[edge]
        if seen >= rank:
            return edge / 10
    return None


def over(histogram: Histogram, milliseconds: float) -> int:
    """How many samples lie in bins wholly above this latency."""
    edge = key(milliseconds)
    return sum(count for bin_, count in histogram.items() if bin_ > edge)
