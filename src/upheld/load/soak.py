"""Does a service get slower, or hold more memory, the longer it runs? Stretches of load one after the other, and a test for drift. Pure.

Each stretch is a load run of its own, so that each has its percentiles and tokens of its own, and a spoilt one spoils no other; between
two of them the service rests for a few seconds. The first tenth is not judged: caches fill and pools grow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from upheld.errors import TargetError
from upheld.load.drift import drift
from upheld.load.rounds import spoilt
from upheld.load.verdict import MISSED
from upheld.verdict import LoadRun

SCHEMA = "upheld.load-soak/1"
STRETCHES = 30
UNJUDGED = 0.1
"""Share of the stretches, from the first on, that are not judged."""
ALPHA = 0.05
"""Chance of a false "drifting" of all series together, where nothing drifts."""
LATENCY_MAY = MEMORY_MAY = 0.1
"""A growth over the whole time that is surely within this share of the level is steady."""
SHARE_MAY = 0.01
"""The same of the share over the limit, in itself."""


class Trend(StrEnum):
    """How one series went."""

    STEADY = "steady"
    DRIFTING = "drifting"
    NOT_DECIDED = "not decided"


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of load, and what the service's processes held in memory after it."""

    number: int
    run: LoadRun
    memory: int | None
    """Octets; None when they are not ours to look at."""
    problem: str = ""
    """Why it does not count."""


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity over the stretches. Change and bounds are from the first judged stretch to the last."""

    name: str
    """``median crud``, ``over crud``, ``memory``."""
    unit: str
    level: float
    """Its median."""
    change: float
    low: float
    """Above zero it drifts: so sure that with all series together at most one soak in twenty is falsely accused."""
    high: float
    """Within ``may`` it is steady: 95 % sure. To call all steady each has to be, which no number of series makes easier by chance."""
    may: float
    """The growth that counts as steady."""
    points: tuple[tuple[int, float], ...]
    """(stretch, value)."""
    trend: Trend


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """What the stretches showed."""

    series: tuple[Series, ...]
    stretches: tuple[Stretch, ...]
    trend: Trend
    notes: tuple[str, ...] = ()
    stopped: str = ""

    @property
    def missed(self) -> tuple[str, ...]:
        """Classes that missed their target in some stretch."""
        rows = [row for stretch in self.stretches if not stretch.problem for row in stretch.run.classes]
        return tuple(dict.fromkeys(row.name for row in rows if row.verdict == MISSED))

    @property
    def told(self) -> str:
        """The verdict in a sentence."""
        drifting = [f"{series.name} {shown(series)}" for series in self.series if series.trend is Trend.DRIFTING]
        if drifting:
            return f"drifting: {'; '.join(drifting)}"
        if not self.series:
            return f"{self.trend}: too few valid stretches"
        if self.trend is Trend.NOT_DECIDED:
            names = [series.name for series in self.series if series.trend is Trend.NOT_DECIDED]
            return f"not decided: {', '.join(names)}; a longer soak, or more stretches, would tell"
        return str(self.trend)

    def to_json(self) -> dict[str, Any]:
        """Everything, in members whose meaning does not change within `SCHEMA`."""
        stretches = [
            {
                "number": stretch.number,
                "problem": stretch.problem,
                "memory": stretch.memory,
                "classes": {
                    row.latency_class: {"p50_ms": row.p50_ms, "p95_ms": row.p95_ms, "sent": row.sent, "over": row.over}
                    for row in stretch.run.classes
                },
            }
            for stretch in self.stretches
        ]
        series = [
            {**asdict(item), **{name: _finite(getattr(item, name)) for name in ("low", "high")}} for item in self.series
        ]
        told = {"trend": str(self.trend), "told": self.told, "missed": list(self.missed), "stopped": self.stopped}
        return {"schema": SCHEMA, **told, "notes": list(self.notes), "series": series, "stretches": stretches}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def shown(series: Series) -> str:
    """``12.1 ms, +3.4 (+1.9 to +5.2) over the time``"""
    if series.unit == "MiB":
        parts = [f"{part / 2**20:+.1f}" for part in (series.change, series.low, series.high)]
        level = f"{series.level / 2**20:.1f} MiB"
    elif series.unit == "%":
        parts = [f"{100 * part:+.2f}" for part in (series.change, series.low, series.high)]
        level = f"{100 * series.level:.2f} %"
    else:
        parts = [f"{part:+.1f}" for part in (series.change, series.low, series.high)]
        level = f"{series.level:.1f} ms"
    bounds = f"({parts[1]} to {parts[2]})" if math.isfinite(series.low) else "(no bounds yet)"
    return f"{level}, {parts[0]} {bounds} over the time"


def soak(
    play: Callable[[int], LoadRun],
    memory: Callable[[], int | None],
    *,
    stretches: int = STRETCHES,
    told: Callable[[Stretch], object] = lambda stretch: None,
) -> Soak:
    """Play so many stretches; ``play`` gets their numbers, and ``told`` hears each.

    An interruption ends it, and so does a target that is lost after the first stretch: what was played until then is judged.
    Raises what ``play`` raises.
    """
    played: list[Stretch] = []
    stopped = ""
    try:
        for number in range(stretches):
            run = play(number)
            played.append(Stretch(number, run, memory(), spoilt(run)))
            told(played[-1])
            if run.interrupted:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        stopped = "interrupted"
    except TargetError as error:
        if not played:
            raise
        stopped = f"the target was lost: {error}"
    return concluded(played, stopped=stopped)


def concluded(played: Sequence[Stretch], *, stopped: str = "") -> Soak:
    """The verdict on stretches that were played."""
    skipped = math.ceil(UNJUDGED * len(played))
    judged = [stretch for stretch in played[skipped:] if not stretch.problem]
    wanted = list(_quantities(judged))
    series = [
        found
        for name, unit, points in wanted
        if (found := _series(name, unit, points, ALPHA / len(wanted))) is not None
    ]
    trends = {item.trend for item in series}
    order = (Trend.DRIFTING, Trend.NOT_DECIDED, Trend.STEADY)
    bad = [stretch for stretch in played if stretch.problem and not stretch.run.interrupted]
    return Soak(
        series=tuple(series),
        stretches=tuple(played),
        trend=next((trend for trend in order if trend in trends), Trend.NOT_DECIDED),
        notes=tuple(f"stretch {stretch.number + 1} does not count: {stretch.problem}" for stretch in bad),
        stopped=stopped,
    )


def _quantities(judged: Sequence[Stretch]) -> Iterable[tuple[str, str, list[tuple[int, float]]]]:
    """(name, unit, points) of everything that is watched."""
    for name in dict.fromkeys(row.latency_class for stretch in judged for row in stretch.run.classes):
        rows = [(s.number, row) for s in judged for row in s.run.classes if row.latency_class == name]
        yield f"median {name}", "ms", [(number, row.p50_ms) for number, row in rows if row.p50_ms is not None]
        yield f"over {name}", "%", [(number, row.over / row.sent) for number, row in rows if row.sent]
    if held := [(stretch.number, float(stretch.memory)) for stretch in judged if stretch.memory is not None]:
        yield "memory", "MiB", held


def _series(name: str, unit: str, points: list[tuple[int, float]], alpha: float) -> Series | None:
    values = [value for _, value in points]
    found, all_steady = drift(values, alpha=alpha), drift(values, alpha=2 * ALPHA)
    if found is None or all_steady is None:
        return None
    may = SHARE_MAY if unit == "%" else found.level * (MEMORY_MAY if unit == "MiB" else LATENCY_MAY)
    trend = Trend.STEADY if all_steady.high <= may else Trend.DRIFTING if found.low > 0 else Trend.NOT_DECIDED
    return Series(name, unit, found.level, found.change, found.low, all_steady.high, may, tuple(points), trend)
