"""Met, missed, not decided or invalid: decided from exact counts, never from a percentile. Pure, standard library only.

"The p95 is within L" says the same as "at most 5 % of the requests take longer than L". So two integers decide, samples and
samples over the limit, with bounds that allow for correlated samples (`upheld.load.share`):

* **met** when the share is at most 5 % with 95 % certainty; that takes 69 samples at the least,
* **missed** when it is more than 5 % with 95 % certainty, or when the service failed more often than the contract allows,
* **not decided** when neither is certain, with how much longer would do,
* **invalid** when something else than the service was measured: the limiter, refused requests, our own delay, nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from upheld.load import histogram
from upheld.load.counts import Counts
from upheld.load.interval import SHOWN, curve, percentiles
from upheld.load.share import ALPHA, SATURATED, Share, share
from upheld.verdict import LatencyRow

MET, MISSED, NOT_DECIDED, INVALID = "met", "missed", "not decided", "invalid"
LONGEST_FACTOR = 64.0
BUSY_SHARE = 0.1
"""Share of a limit by which a generator beside the service may be late."""
LEAST_DELAY_MS = 10.0
"""What any machine may be late by, whatever the limit."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is promised of an operation or class: ``quantile`` of the requests within ``limit_ms``."""

    name: str
    latency_class: str
    limit_ms: float
    quantile: float = 0.95


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the verdict needs to know of the run."""

    seconds: float
    """Length of the measured part that was done."""
    max_error_rate: float
    delay_ms: float = 0.0
    """99th percentile of how late the generator itself was."""
    noise_ms: float = 0.0
    """95th percentile of what it takes to ask, from here, a service that does nothing."""
    crowded: str = ""
    """Why the service may have been kept from working by others on its machine; empty where it was not."""
    shared: bool = False
    """The service runs on the generator's machine, so that what delays one delays the other."""
    invalid: str = ""
    """Why nothing of this run counts; empty when it does."""


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: str
    reason: str
    share: Share
    more_seconds: int | None = None
    """What is not decided would be, after about so many more of the same; None where not even many times as many would do."""


def judge(counts: Counts, target: Target, circumstances: Circumstances) -> Judgement:
    """The verdict on one operation or class."""
    allowed = 1 - target.quantile
    seen = share(counts.timeline(circumstances.seconds), allowed)
    verdict, reason = _judge(counts, target, circumstances, seen)
    if verdict != NOT_DECIDED or seen.surely_within(allowed):
        return Judgement(verdict, reason, seen)
    more = _more(seen, allowed, circumstances.seconds)
    never = f"a share so near to it is not decided in {LONGEST_FACTOR:g} times as long either"
    return Judgement(verdict, f"{reason}; {never if more is None else f'about {more} s more would decide'}", seen, more)


def _judge(counts: Counts, target: Target, circumstances: Circumstances, seen: Share) -> tuple[str, str]:
    allowed = 1 - target.quantile
    if circumstances.invalid:
        return INVALID, circumstances.invalid
    if counts.throttled:
        return INVALID, (
            f"{counts.throttled} of {counts.sent} answers were 429: the rate limiter was measured, not the service; "
            "lower load.rate, add identities, or start the target with raised limits"
        )
    if counts.samples <= 0:
        return INVALID, "no sample"
    if refused := counts.errors["401"]:
        return INVALID, f"{refused} of {counts.sent} answers were 401: the credentials did not last"
    if problem := _errors(counts, circumstances):
        return problem
    told = f"{seen.value:.2%} of {seen.n} over {target.limit_ms:g} ms, {seen.low:.2%} to {seen.high:.2%} with 95% certainty"
    if seen.surely_beyond(allowed):
        return _missed(counts, target, circumstances, seen, told)
    if seen.surely_within(allowed):
        if seen.deff <= SATURATED:
            return MET, ""
        return NOT_DECIDED, f"{told}; the requests hang together too much for a pass: the service is near saturation"
    return NOT_DECIDED, f"{told}; {allowed:.0%} may be"


def _errors(counts: Counts, circumstances: Circumstances) -> tuple[str, str] | None:
    """Too many errors, of the service (5xx, broken connections) or of our requests (the rest); None when there are few."""
    ours = {kind: count for kind, count in counts.errors.items() if kind[:1] in "1234"}
    for verdict, errors, means in (
        (MISSED, counts.errors - Counter(ours), ""),
        (INVALID, Counter(ours), ": our requests were refused, which tells nothing about latency"),
    ):
        rate = errors.total() / counts.samples
        if rate > circumstances.max_error_rate:
            kinds = ", ".join(f"{count} x {kind}" for kind, count in errors.most_common(3))
            may = f"{100 * circumstances.max_error_rate:g}%"
            return verdict, f"{rate:.2%} of {counts.samples} were errors ({kinds}), {may} may be{means}"
    return None


def _missed(counts: Counts, target: Target, circumstances: Circumstances, seen: Share, told: str) -> tuple[str, str]:
    """Missed, unless the machine could be the reason.

    Our own lateness lengthens a latency on the way out and back, as it does that of a service that does nothing. Where the service shares the machine it is starved as we are,
    and queues behind that; how much nobody can subtract, so that there a busy machine excuses any miss (never a pass).
    """
    if circumstances.crowded:
        return INVALID, f"{told}, but {circumstances.crowded}"
    allowed, delay, noise = 1 - target.quantile, circumstances.delay_ms, circumstances.noise_ms
    late = f"the generator was itself {delay:.0f} ms late for one request in a hundred"
    if noise > 2 * delay:
        late = f"this machine itself takes {noise:.0f} ms for one in twenty requests to a service that does nothing"
    if circumstances.shared and max(delay, noise) > max(LEAST_DELAY_MS, BUSY_SHARE * target.limit_ms):
        return INVALID, f"{told}, but this machine is too busy for the service and the generator together: {late}"
    surely = histogram.over(counts.histogram, target.limit_ms + max(2 * delay, noise))
    surely += counts.failed + counts.unfinished
    if surely < counts.over and not seen.surely_beyond(allowed, hits=surely):
        return INVALID, f"{told}, but {late}, which may be the reason; free its processor or generate elsewhere"
    return MISSED, f"{told}; {allowed:.0%} may be"


def _more(seen: Share, allowed: float, seconds: float) -> int | None:
    """How many more seconds of the same would decide."""

    def decides(times: float) -> bool:
        return seen.surely_beyond(allowed, times) or seen.surely_within(allowed, times)

    if not decides(LONGEST_FACTOR):
        return None
    low, high = 1.0, LONGEST_FACTOR
    while high - low > 0.005 * low:
        middle = (low + high) / 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return max(1, math.ceil((high - 1) * seconds))


def row(counts: Counts, target: Target, circumstances: Circumstances) -> LatencyRow:
    """The verdict with everything that a report shows of it."""
    judgement = judge(counts, target, circumstances)
    lost = counts.failed + counts.unfinished

    def shown(quantile: float) -> float | None:
        return histogram.percentile(counts.histogram, quantile, lost)

    return LatencyRow(
        name=target.name,
        latency_class=target.latency_class,
        limit_ms=target.limit_ms,
        quantile=target.quantile,
        sent=counts.sent,
        ok=counts.ok,
        over=counts.over,
        errors=counts.failed,
        throttled=counts.throttled,
        unfinished=counts.unfinished,
        p50_ms=shown(0.5),
        p95_ms=shown(0.95),
        p99_ms=shown(0.99),
        verdict=judgement.verdict,
        reason=judgement.reason,
        series=tuple(counts.per_second()),
        share_over_low=judgement.share.low if counts.samples else None,
        share_over_high=judgement.share.high if counts.samples else None,
        percentiles=percentiles(
            counts.histogram,
            infinite=lost,
            shrink=judgement.share.shrink,
            quantiles=sorted({*SHOWN, target.quantile}),
            alpha=ALPHA,
        ),
        curve=curve(counts.histogram, infinite=lost),
        more_seconds=judgement.more_seconds,
        design_effect=judgement.share.shrink if counts.samples else None,
        failures=tuple(counts.errors.most_common()),
    )
