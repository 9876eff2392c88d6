"""Does a quantity rise or fall over the stretches of a long run? Pure, standard library only.

By ranks alone (Mann 1945, "Nonparametric tests against trend", Econometrica 13; Kendall), so that one stretch that was spoilt by
something else is one stretch; the slope is the median of the slopes between any two of them, with the bounds that belong to the test
(Theil 1950; Sen 1968, "Estimates of the regression coefficient based on Kendall's tau", JASA 63). Neighbouring stretches share the
moods of their machine: the variance of the test is enlarged by what those that remain beside the trend hang together (Hamed and Rao
1998, "A modified Mann-Kendall trend test for autocorrelated data", Journal of Hydrology 204; here by the first lag alone, corrected
for its bias in so short a series).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import NormalDist, fmean, median

FEWEST = 4
"""Values below which there is no trend to speak of."""
MOST_ALIKE = 0.9
"""Greatest correlation of neighbours that is believed: beyond it the series is one long mood."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A trend, in the unit of the values: from the first time to the last, with ``1 - alpha`` certainty between ``low`` and ``high``."""

    level: float
    """Median of the values."""
    change: float
    low: float
    """Minus infinity when the values are too few for a bound."""
    high: float
    alike: float
    """Correlation of neighbours beside the trend."""

    @property
    def rises(self) -> bool:
        return self.low > 0

    @property
    def falls(self) -> bool:
        return self.high < 0


def drift(values: Sequence[float], times: Sequence[float] | None = None, *, alpha: float = 0.05) -> Drift | None:
    """The trend of values at these rising times (0, 1, 2 ... when None). None from fewer than `FEWEST`.

    Raises ValueError when the times are not as many or do not rise.
    """
    moments = list(times) if times is not None else [float(index) for index in range(len(values))]
    if len(moments) != len(values) or any(later <= earlier for earlier, later in pairwise(moments)):
        raise ValueError("every value needs a time of its own, later than the one before")
    count = len(values)
    if count < FEWEST:
        return None
    points = list(zip(moments, values, strict=True))
    slopes = sorted((after - before) / (then - now) for (now, before), (then, after) in combinations(points, 2))
    slope = median(slopes)
    alike = _alike([value - slope * moment for moment, value in points])
    ties = sum(same * (same - 1) * (2 * same + 5) for same in Counter(values).values())
    variance = (count * (count - 1) * (2 * count + 5) - ties) / 18 * (1 + alike) / (1 - alike)
    # One more: the ranks are whole, the normal distribution is not.
    width = NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(variance) + 1
    outside = math.floor((len(slopes) - width) / 2)
    low, high = (slopes[outside], slopes[-outside - 1]) if outside >= 0 else (-math.inf, math.inf)
    span = moments[-1] - moments[0]
    return Drift(median(values), slope * span, low * span, high * span, alike)


def _alike(left: Sequence[float]) -> float:
    """Correlation of neighbours among what is left beside the trend, by ranks, at least 0."""
    ordered = sorted(left)
    first = {value: ordered.index(value) for value in set(left)}
    ties = Counter(left)
    ranks = [first[value] + (ties[value] - 1) / 2 for value in left]
    mean = fmean(ranks)
    spread = sum((rank - mean) ** 2 for rank in ranks)
    if not spread:
        return 0.0
    seen = sum((one - mean) * (other - mean) for one, other in pairwise(ranks)) / spread
    # A line fitted to the series takes about (2 + 4r) / n off its correlation (Marriott and Pope 1954, Biometrika 41, with a trend).
    unbiased = (seen * len(left) + 2) / (len(left) - 4) if len(left) > 4 else seen
    # Underrated as often as overrated, and only the former accuses: one standard error more.
    surely = unbiased + math.sqrt(max(0.0, 1 - unbiased**2) / len(left)) if unbiased > 0 else 0.0
    return min(MOST_ALIKE, surely)
