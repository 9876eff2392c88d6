"""Where the marks of the latency charts go, as fractions of their frame; the page draws them at any width."""

from __future__ import annotations

from dataclasses import dataclass

from upheld.verdict import LatencyRow

_COLUMNS = 120
"""More points than this are summed up: a phone has no more columns."""
_ROOM = 1.25
_CUT = 4.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One quantile: its name, its value and how far it reaches across the frame."""

    name: str
    value: float | None
    width: float
    judged: bool
    """It is the quantile that the limit is about."""
    over: bool
    cut: bool
    """It reaches beyond the frame."""


@dataclass(frozen=True, slots=True)
class Bars:
    """p50, p95 and p99 against the limit."""

    bars: tuple[Bar, ...]
    limit: float
    """Where the limit stands, as a fraction of the frame."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of answers over the limit, second by second."""

    path: str
    """Outline of the area in a frame of 1000 by 100, y downwards."""
    allowed: float
    """Height of the share that the quantile allows, 0 to 100, y downwards."""
    top: float
    """The share at the upper edge."""
    peak: float
    seconds: int
    total: float
    """The share over the whole run."""


def bars(row: LatencyRow) -> Bars:
    """Bars on a scale that the limit sets; what is far beyond is cut, so that the rest can be compared."""
    values = [(name, value) for name, value in (("p50", row.p50_ms), ("p95", row.p95_ms), ("p99", row.p99_ms))]
    limit = max(row.limit_ms, 1e-9)
    largest = max((value for _, value in values if value is not None), default=0.0)
    scale = min(max(limit * _ROOM, largest), limit * _CUT)
    judged = f"p{row.quantile * 100:g}"

    def bar(name: str, value: float | None) -> Bar:
        reach = (value or 0.0) / scale
        return Bar(name, value, min(1.0, reach), name == judged, value is not None and value > limit, reach > 1.0)

    return Bars(tuple(bar(name, value) for name, value in values), limit / scale)


def shares(row: LatencyRow) -> Shares | None:
    """The share over the limit over time; None when there is nothing to draw."""
    points = _binned(row.series)
    if not points:
        return None
    allowed = max(0.0, 1.0 - row.quantile)
    parts = [over / n if n else 0.0 for _, n, over in points]
    top = min(1.0, max(*parts, allowed * 2, 0.001) * 1.05)
    step = 1000 / len(parts)
    outline = ["M0,100"]
    for at, part in enumerate(parts):
        height = 100 - min(part, top) / top * 100
        outline.append(f"L{at * step:.1f},{height:.1f}L{(at + 1) * step:.1f},{height:.1f}")
    outline.append("L1000,100Z")
    answers, over = sum(n for _, n, _ in row.series), sum(over for *_, over in row.series)
    return Shares(
        "".join(outline),
        100 - allowed / top * 100,
        top,
        max(parts),
        row.series[-1][0] + 1,
        over / answers if answers else 0.0,
    )


def _binned(series: tuple[tuple[int, int, int], ...]) -> list[tuple[int, int, int]]:
    """By second, gaps included, and at most so many columns."""
    if not series:
        return []
    first, last = min(second for second, *_ in series), max(second for second, *_ in series)
    width = -(-(last - first + 1) // _COLUMNS)
    bins = [[first + at, 0, 0] for at in range(0, last - first + 1, width)]
    for second, n, over in series:
        cell = bins[(second - first) // width]
        cell[1] += n
        cell[2] += over
    return [(second, n, over) for second, n, over in bins]
