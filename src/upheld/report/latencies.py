"""What every report tells of a load run: its rows by class, and no figure without its number and its bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from upheld.report.digest import plural
from upheld.verdict import LatencyRow, LoadRun, Percentile, Result, Run

P95 = "latency/p95"
CLASS = "class "
LOST = "∞"
"""A percentile that falls among requests without a good answer."""


@dataclass(frozen=True, slots=True)
class Group:
    """The operations that have one target, and what they are together."""

    name: str
    whole: LatencyRow | None
    rows: tuple[LatencyRow, ...]

    @property
    def all(self) -> tuple[LatencyRow, ...]:
        """The class first, then its operations."""
        return (*((self.whole,) if self.whole else ()), *self.rows)


def groups(load: LoadRun) -> list[Group]:
    """By class and target, in the order in which they come; what is missed first within each."""
    found: dict[tuple[str, float, float], list[LatencyRow]] = {}
    for row in load.rows:
        found.setdefault((row.latency_class, row.limit_ms, row.quantile), []).append(row)
    return [
        Group(
            latency_class,
            next((row for row in rows if row.name.startswith(CLASS)), None),
            tuple(
                sorted((row for row in rows if not row.name.startswith(CLASS)), key=lambda row: _URGENT[row.verdict])
            ),
        )
        for (latency_class, *_), rows in found.items()
    ]


_URGENT = {"missed": 0, "invalid": 1, "not decided": 2, "met": 3}


def of(run: Run, result: Result) -> LatencyRow | None:
    """The row that decided this promise; None where none did."""
    if run.load is None or result.requirement != P95:
        return None
    return next((row for row in run.load.rows if row.name == result.subject), None)


def samples(row: LatencyRow) -> int:
    """What its percentiles are of: all requests but those that the limiter refused."""
    return row.sent - row.throttled


def percentile(row: LatencyRow, quantile: float) -> Percentile | None:
    """This percentile with its bounds; without them where the row holds none; None without samples."""
    if not samples(row):
        return None
    known = {0.5: row.p50_ms, 0.95: row.p95_ms, 0.99: row.p99_ms}
    named = next((one for one in row.percentiles if one.quantile == quantile), None)
    return named or (Percentile(quantile=quantile, ms=known[quantile]) if quantile in known else None)


def judged(row: LatencyRow) -> Percentile | None:
    """The percentile that the target is about."""
    return percentile(row, row.quantile)


# -- in words --------------------------------------------------------------------------------------------------------------


def number(milliseconds: float) -> str:
    """``1,830``, ``21``, ``4.2``: three figures are more than a percentile is worth."""
    return f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"


def value(one: Percentile | None) -> str:
    if one is None:
        return "–"
    return LOST if one.ms is None else number(one.ms)


def bounds(one: Percentile | None) -> str:
    """``120–171``, ``from 120``, ``to 171``; empty where there are none."""
    if one is None or (one.low_ms is None and one.high_ms is None):
        return ""
    if one.high_ms is None:
        return f"from {number(one.low_ms or 0.0)}"
    return f"to {number(one.high_ms)}" if one.low_ms is None else f"{number(one.low_ms)}–{number(one.high_ms)}"


def share(row: LatencyRow) -> str:
    """``0.8 %`` of the samples are over the limit."""
    return percent(row.over / samples(row)) if samples(row) else "–"


def share_bounds(row: LatencyRow) -> str:
    """``0.4–1.4``, in per cent."""
    if not samples(row) or row.share_over_low is None or row.share_over_high is None:
        return ""
    return f"{percent(row.share_over_low)[:-2]}–{percent(row.share_over_high)[:-2]}"


def percent(part: float) -> str:
    """``0.81 %``, ``5.3 %``, ``12 %``."""
    value = part * 100
    if value >= 9.95:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value >= 0.995 or not value else f"{value:.2f} %"


def target(row: LatencyRow) -> str:
    return f"p{row.quantile * 100:g} ≤ {row.limit_ms:,.0f} ms"


def failures(row: LatencyRow) -> str:
    """``3 x 500, 1 x ConnectionRefused, 2 without an answer``; empty where all was well."""
    kinds = [f"{count:,} x {kind}" for kind, count in row.failures[:4]]
    if (rest := row.errors - sum(count for _, count in row.failures[:4])) > 0:
        kinds.append(f"{rest:,} other errors" if kinds else f"{rest:,} {plural(rest, 'error')}")
    if row.unfinished:
        kinds.append(f"{row.unfinished:,} without an answer")
    return ", ".join(kinds)


def sentence(row: LatencyRow) -> str:
    """Everything about a row in one line."""
    if not samples(row):
        return f"{row.throttled:,} x 429 and no sample" if row.throttled else "no sample"
    told = [f"n {samples(row):,}"]
    for name, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        one = percentile(row, quantile)
        within = f" ({bounds(one)})" if bounds(one) else ""
        told.append(f"{name} {value(one)}{' ms' if one and one.ms is not None else ''}{within}")
    over = f"{share(row)} over {row.limit_ms:,.0f} ms"
    told.append(f"{over} ({share_bounds(row)} %)" if share_bounds(row) else over)
    told += [f"{row.throttled:,} x 429"] if row.throttled else []
    told += [failures(row)] if failures(row) else []
    return ", ".join(told)


def surroundings(load: LoadRun) -> Iterator[str]:
    """What is known of the generator and its machine, a sentence each."""
    if load.delay_ms is not None:
        contained = "; latencies contain that" if load.delay_ms > 5 else ""
        yield f"the generator was at most {number(load.delay_ms)} ms late itself for 99 of 100 requests{contained}"
    if load.noise_ms is not None:
        yield f"noise floor: 95 of 100 requests that do nothing took at most {number(load.noise_ms)} ms"
    if load.workers:
        total = sum(worker.sent for worker in load.workers)
        yield f"{len(load.workers)} generator processes sent {total:,} requests: {', '.join(_workers(load))}"


def _workers(load: LoadRun) -> Iterable[str]:
    for worker in load.workers:
        busy = f", {worker.cpu_seconds / worker.wall_seconds:.0%} of a processor" if worker.wall_seconds > 0 else ""
        yield f"{worker.name} sent {worker.sent:,} ({number(worker.delay_ms)} ms late{busy})"
