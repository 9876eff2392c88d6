"""When requests are due: an open model. Arrivals come by the clock whether or not earlier ones were answered, so that a
service that stalls meets the requests that its users would have sent meanwhile (Schroeder, Wierman and Harchol-Balter 2006,
"Open versus closed: a cautionary tale", NSDI).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence

from upheld.load.plan import Arrivals


def _one(rate: float, index: int, seconds: float, model: Arrivals, seed: str) -> Iterator[tuple[float, int]]:
    if rate <= 0:
        return
    chance = random.Random(f"{seed}/{index}")
    due = chance.random() / rate if model == "even" else chance.expovariate(rate)
    while due < seconds:
        yield due, index
        due += 1 / rate if model == "even" else chance.expovariate(rate)


def schedule(
    rates: Sequence[float], seconds: float, *, model: Arrivals = "poisson", seed: str = "0"
) -> Iterator[tuple[float, int]]:
    """(due second, index into ``rates``) in the order of time, for each arrival before ``seconds``. Rates are a second.

    ``poisson``: independent users, bursts included. ``even``: equal distances, for targets whose quota a burst would break.
    """
    return heapq.merge(*(_one(rate, index, seconds, model, seed) for index, rate in enumerate(rates)))
