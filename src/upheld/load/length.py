"""How long a run has to be for a verdict, said before it starts. Pure, standard library only.

What is not known beforehand is supposed and said: how far from its limit an operation is under load, and how much its requests hang
together. A run that turns out nearer to the limit says at its end how much longer would do (`upheld.load.verdict`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, median

from upheld.load.binomial import beta_cdf, surely_beyond, surely_within
from upheld.load.counts import WINDOW
from upheld.load.sequential import FEWEST_FAIL, FEWEST_PASS, LEVEL, MARGIN, wealth
from upheld.load.share import ALPHA

LIKELY = 0.9
SUPPOSED = 0.7
"""The p95 as a share of the limit, of an operation of which nothing is known."""
SPREAD = 0.6
"""Standard deviation of the logarithm of latencies; of services that answer from a database, roughly."""
SLOWER = 1.5
"""So many times slower than the quiet service: what a queue at a third of its capacity makes of it."""
TOGETHER = 3.5
"""Design effect of all requests together: that of a queue at a third of its capacity."""
CAUTION = 1.6
"""By how much the design effect is overrated, on the safe side, in nine of ten runs."""
HOPELESS = 64.0
"""So many times the length of the run nobody waits."""
_MOST = 2.0**24
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of an operation before the run."""

    name: str
    latency_class: str
    """The class that it is judged with; empty when it has a target of its own."""
    rate: float
    """Requests a second."""
    limit_ms: float
    quantile: float = 0.95
    quiet_ms: tuple[float, ...] = ()
    """Latencies on the quiet service; empty when it was not tried."""

    @property
    def over(self) -> float:
        """The share that will be over the limit, as far as one can know."""
        if self.quiet_ms:
            distance = math.log(self.limit_ms / (SLOWER * max(0.1, median(self.quiet_ms)))) / SPREAD
        else:
            distance = _NORMAL.inv_cdf(self.quantile) - math.log(SUPPOSED) / SPREAD
        return min(0.999, max(0.0001, 1 - _NORMAL.cdf(distance)))


@dataclass(frozen=True, slots=True)
class Needed:
    """Seconds after which a verdict is likely (90 %), by class and by operation; infinite where the limit is too near to tell."""

    classes: dict[str, float]
    operations: dict[str, float]


@lru_cache(maxsize=256)
def samples(over: float, quantile: float = 0.95) -> float:
    """Independent samples with which a verdict is likely when this share of them is over the limit; infinite beyond 16 million."""
    few, many = 1.0, 2.0
    while _chance(many, over, 1 - quantile) < LIKELY:
        few, many = many, 2 * many
        if many > _MOST:
            return math.inf
    while many - few > 0.01 * few:
        middle = (few + many) / 2
        few, many = (few, middle) if _chance(middle, over, 1 - quantile) >= LIKELY else (middle, many)
    return many


def _chance(n: float, over: float, allowed: float) -> float:
    """Of a verdict, the right one, on ``n`` independent samples, judged with `CAUTION`."""
    seen = n / CAUTION

    def judged(hits: float) -> bool:
        if over < allowed:
            return not surely_within(hits / CAUTION, seen, allowed, ALPHA)
        return surely_beyond(hits / CAUTION, seen, allowed, ALPHA)

    low, high = 0.0, n
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if judged(middle) else (middle, high)
    if over < allowed:
        return beta_cdf(1 - over, n - low, low + 1) if low > 0 or not judged(0.0) else 0.0
    return beta_cdf(over, high, n - high + 1) if judged(n) else 0.0


@lru_cache(maxsize=256)
def samples_watched(over: float, quantile: float = 0.95) -> float:
    """Independent samples with which a run that is watched is likely to have ended; infinite beyond 16 million."""
    allowed = 1 - quantile
    margin, n = (MARGIN, FEWEST_PASS * MARGIN) if over < allowed else (1.0, FEWEST_FAIL)
    # Even with as bad luck as one run in ten has.
    luck = _NORMAL.inv_cdf(LIKELY) * math.sqrt(over * (1 - over)) * (1 if over < allowed else -1)

    def ends(n: float) -> bool:
        hits = min(n, max(0.0, over * n + luck * math.sqrt(n)))
        return wealth(n / margin, hits / margin, allowed, above=over > allowed) >= -math.log(LEVEL)

    while not ends(n):
        n *= 1.05
        if n > _MOST:
            return math.inf
    return max(n * CAUTION, samples(over, quantile))


def needed(expected: Sequence[Expected], *, watched: bool = False) -> Needed:
    """How long a verdict takes on each class and operation. Operations without requests are left out.

    ``watched``: until a run that ends with its last verdict may end (`upheld.load.sequential`), which takes longer.
    """
    sent = [item for item in expected if item.rate > 0]
    whole = sum(item.rate for item in sent)
    classes: dict[str, list[Expected]] = {}
    for item in sent:
        if item.latency_class:
            classes.setdefault(item.latency_class, []).append(item)
    return Needed(
        {name: _seconds(members, whole, watched) for name, members in classes.items()},
        {item.name: _seconds([item], whole, watched) for item in sent},
    )


def _seconds(members: Sequence[Expected], whole: float, watched: bool) -> float:
    rate = sum(item.rate for item in members)
    over = sum(item.rate * item.over for item in members) / rate
    # What comes seldom is further apart than what it would hang together with.
    together = 1 + (TOGETHER - 1) * rate / whole
    quantile, over = members[0].quantile, round(over, 6)
    if not watched:
        return samples(over, quantile) * together / rate
    least = FEWEST_PASS * MARGIN * WINDOW if over < 1 - quantile else 0.0
    return max(least, samples_watched(over, quantile) * together / rate)


def forecast(expected: Sequence[Expected], seconds: float) -> str:
    """In a sentence or two, what a run of so many seconds will decide; empty when there is nothing to decide."""
    found = needed(expected)
    if not found.operations:
        return ""
    parts = [_part("class", found.classes, seconds)] if found.classes else []
    parts.append(_part("operation", found.operations, seconds))
    tried = all(item.quiet_ms for item in expected if item.rate > 0)
    known = f"{SLOWER:g} times as slow as the quiet service" if tried else f"a p95 at {SUPPOSED:.0%} of the limit"
    said = f"in {seconds:g} s a verdict is likely (90%) on {' and on '.join(parts)}, supposing {known}"
    near = [name for name, took in found.operations.items() if took > HOPELESS * seconds]
    others = {name: took for name, took in found.operations.items() if name not in near}
    if others and max(others.values()) > seconds:
        slow = max(others, key=lambda name: others[name])
        rate = next(item.rate for item in expected if item.name == slow)
        whom = "the others" if near else "all"
        said += f"; about {_rounded(others[slow]):g} s would do for {whom} ({slow} takes longest, at {rate:.2g}/s)"
    if near:
        said += f"; {', '.join(near[:3])}{' and others' if len(near) > 3 else ''} may be too near to the limit for any"
    return said


def _part(kind: str, took: dict[str, float], seconds: float) -> str:
    many = f"{kind}es" if kind.endswith("s") else f"{kind}s"
    likely, whole = sum(each <= seconds for each in took.values()), len(took)
    if whole == 1:
        return f"the one {kind}" if likely else f"no {kind}"
    return f"all {whole} {many}" if likely == whole else f"{likely or 'none'} of {whole} {many}"


def _rounded(seconds: float) -> float:
    """To two digits, upwards."""
    step = 10.0 ** max(0, math.floor(math.log10(max(1.0, seconds))) - 1)
    return math.ceil(seconds / step) * step
