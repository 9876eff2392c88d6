"""May the run end before its time? Asked again and again, which a test for a fixed number of samples does not stand.

For each promise a wealth is kept that one who bets against its contrary would have: 1 at the start, and on average never more while
the contrary is true. The chance that it ever reaches 100 is then at most 1 % (Ville 1939), however often one looks. The bet is a
mixture of the likelihood ratios of all shares on the other side of what is allowed (Robbins 1970, "Statistical methods related to the
law of the iterated logarithm", Ann. Math. Statist. 41; Howard, Ramdas, McAuliffe and Sekhon 2021, "Time-uniform, nonparametric,
nonasymptotic confidence sequences", Ann. Statist. 49). That is a theorem for independent samples; for correlated ones their number is
divided by what they hang together, with a margin, and `benchmarks/verdict.py` shows by simulation that the 1 % holds.

Looking decides only when the run ends. What it says is decided by the test at the end (`upheld.load.verdict`), which has to agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from upheld.load.binomial import beta_cdf, surely_beyond, surely_within
from upheld.load.counts import WINDOW, Counts
from upheld.load.plan import Plan
from upheld.load.share import ALPHA, SATURATED, worth

LEVEL = 0.01
"""Chance of a wrong end, each way."""
MARGIN = 1.75
"""A pass is bet on with so many times fewer samples than they are worth: a run that looks good early underrates its bursts as well."""
FEWEST_PASS, FEWEST_FAIL = 130.0, 75.0
"""Effective samples before which nothing ends: from fewer nobody knows how they hang together."""
FEWEST_NEAR = 10
"""Samples near the limit below which nothing is known of that at all: a window is then one sample at most, so that a pass waits for a
minute or so. A service that stalls for half a second in every ten looks perfect until it stalls."""
DECIDED = "everything is decided"


@dataclass(frozen=True, slots=True)
class Promise:
    """What is decided together: operations of which ``allowed`` (0 to 1) of the requests may be over the limit."""

    operations: tuple[str, ...]
    allowed: float


def promises(plan: Plan) -> list[Promise]:
    """One of each operation, and of each class over its operations without a target of their own."""
    alone = [Promise((operation.name,), 1 - operation.quantile) for operation in plan.operations]
    together = [
        Promise(tuple(operation.name for operation in members), 1 - members[0].quantile)
        for members in plan.classes
        if len(members) > 1
    ]
    return alone + together


class Watch:
    """Looks at one run."""

    def __init__(self, promised: Iterable[Promise]) -> None:
        self._promises = list(promised)

    def decided(self, counts: Mapping[str, Counts], seconds: float) -> str:
        """Why the run may end, or nothing. ``counts`` of each operation hold what is certain of the first ``seconds`` that were
        measured (a request without an answer is not yet, unless it is over its limit already)."""
        settled = (max((max(mine.windows, default=-1) for mine in counts.values()), default=-1) + 1) * WINDOW
        for place, promise in enumerate(self._promises):
            mine = [counts[name] for name in promise.operations if name in counts]
            if not _decided(mine, promise.allowed, min(seconds, settled)):
                # The next look begins here: it is the likeliest to be undecided still, and one is enough.
                self._promises.insert(0, self._promises.pop(place))
                return ""
        return DECIDED if self._promises else ""


def _decided(parts: Sequence[Counts], allowed: float, seconds: float) -> bool:
    n, hits = sum(part.samples for part in parts), sum(part.over for part in parts)
    if any(part.throttled for part in parts):
        # Invalid, whatever comes.
        return True
    # What independent samples would not decide, correlated ones do not either; that is cheap to know.
    if not (_pays(n, hits, allowed, above=False) or _pays(n, hits, allowed, above=True)):
        return False
    timelines = [part.timeline(seconds) for part in parts]
    cells = [
        (sum(cell[0] for cell in at), sum(cell[1] for cell in at), sum(cell[2] for cell in at))
        for at in zip(*timelines, strict=True)
    ]
    deff, shrink = worth(cells, allowed)
    if hits < allowed * n:
        if sum(near for _, _, near in cells) < FEWEST_NEAR:
            shrink = max(shrink, n * WINDOW / seconds)
        n_worth, hits_worth = n / shrink, hits / shrink
        return (
            n_worth >= FEWEST_PASS * MARGIN
            and deff <= SATURATED
            and surely_within(hits_worth, n_worth, allowed, ALPHA)
            and _pays(n_worth / MARGIN, hits_worth / MARGIN, allowed, above=False)
        )
    n_worth, hits_worth = n / shrink, hits / shrink
    return (
        n_worth >= FEWEST_FAIL
        and surely_beyond(hits_worth, n_worth, allowed, ALPHA)
        and _pays(n_worth, hits_worth, allowed, above=True)
    )


def _pays(n: float, hits: float, allowed: float, *, above: bool) -> bool:
    return wealth(n, hits, allowed, above=above) >= -math.log(LEVEL)


def wealth(n: float, hits: float, allowed: float, *, above: bool) -> float:
    """Logarithm of what a bettor has after ``hits`` of ``n`` who bets that the share is above (below) what is allowed.

    Shares are mixed by a Beta distribution whose mean is what is allowed, cut off at the other side of it. The counts may be
    fractions.
    """
    a, b = 1.0, 1 / allowed - 1
    prior, posterior = beta_cdf(allowed, a, b), beta_cdf(allowed, hits + a, n - hits + b)
    if above:
        # 1 - F loses all digits where F is nearly 1; there nothing pays anyway.
        prior, posterior = 1 - prior, 1 - posterior
    if posterior <= 0:
        return -math.inf
    mixed = _log_beta(hits + a, n - hits + b) - _log_beta(a, b) + math.log(posterior) - math.log(prior)
    return mixed - hits * math.log(allowed) - (n - hits) * math.log1p(-allowed)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
