"""Where the marks of the latency charts go, as fractions of their frame; the page draws them at any width."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from upheld.report import latencies
from upheld.verdict import LatencyRow

_COLUMNS = 120
"""More points than this are summed up: a phone has no more columns."""
_LEAST, _MOST = 0.05, 4.0
"""The scale of gauges reaches from a twentieth of the target to four times it."""
_TAILS = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A row's percentiles against its target, on a logarithmic scale that rows of every target share. Places are 0 to 1."""

    at: float | None
    """The percentile that is judged; None where no latency can be named."""
    low: float
    high: float
    """Its bounds; the edges of the frame where there are none."""
    closed: tuple[bool, bool]
    """Whether the bounds are drawn with an end: there is one, and it is within the frame."""
    others: tuple[float, ...]
    """p50 and p99."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A label beside the frame."""

    at: float
    label: str


TARGET = -math.log(_LEAST) / math.log(_MOST / _LEAST)
"""Where every gauge has its target."""


def _place(multiple: float) -> float:
    return min(1.0, max(0.0, math.log(max(multiple, _LEAST) / _LEAST) / math.log(_MOST / _LEAST)))


SCALE = tuple(Tick(_place(at), label) for at, label in ((0.1, "⅒"), (0.5, "½"), (1, "1"), (2, "2")))
"""The labels over a column of gauges, in multiples of the target."""


def gauge(row: LatencyRow) -> Gauge | None:
    """None where there is no sample."""
    judged = latencies.judged(row)
    if judged is None:
        return None

    def place(milliseconds: float | None, otherwise: float) -> float:
        return otherwise if milliseconds is None else _place(milliseconds / max(row.limit_ms, 1e-9))

    low, high = place(judged.low_ms, 0.0), place(judged.high_ms, 1.0)
    others = (latencies.percentile(row, quantile) for quantile in (0.5, 0.99))
    return Gauge(
        None if judged.ms is None else place(judged.ms, 1.0),
        low,
        high,
        (judged.low_ms is not None and low > 0, judged.high_ms is not None and high < 1),
        tuple(place(one.ms, 1.0) for one in others if one is not None and one.ms is not None),
    )


# -- the share over the limit over time ----------------------------------------------------------------------------------


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


# -- the curve of percentiles ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Curve:
    """Latency by the share of the requests that did not exceed it, in a frame of 1000 by 100, y downwards.

    Both axes are logarithmic: to the right the share that is left is divided by ten as often as it is far, so that the slowest
    requests, whom a promise is about, have room.
    """

    path: str
    faint: tuple[str, ...]
    """The same of the operations of a class."""
    lost: float | None
    """From here to the right edge requests had no good answer."""
    limit: float
    """Height of the limit."""
    quantile: float
    """Where the share that is promised is."""
    bounds: tuple[tuple[float, float, float], ...]
    """(x, upper y, lower y): between which latencies a percentile lies."""
    shares: tuple[Tick, ...]
    values: tuple[Tick, ...]
    """Labels, per cent and milliseconds; ``at`` is a fraction of the frame, from the left or from the top."""


def curve(row: LatencyRow, others: Sequence[LatencyRow] = ()) -> Curve | None:
    """The curve of a row, and faintly those of ``others``; None when there is nothing to draw."""
    if not any(ms is not None for _, ms in row.curve):
        return None
    drawn = [row, *(other for other in others if other.curve)]
    named = [ms for one in drawn for _, ms in one.curve if ms is not None]
    low = _round_down(min(*named, row.limit_ms))
    high = _round_up(max(*named, row.limit_ms), low)
    longest = max(max(share for share, _ in one.curve) for one in drawn)
    reach = max(_tail(longest), _tail(row.quantile) * 1.2)

    def x(share: float) -> float:
        return min(1000.0, _tail(share) / reach * 1000)

    def y(milliseconds: float) -> float:
        inside = min(high, max(low, milliseconds))
        return 100 - math.log(inside / low) / math.log(high / low) * 100

    def path(one: LatencyRow) -> str:
        known = [(x(share), y(ms)) for share, ms in one.curve if ms is not None]
        return "M" + "L".join(f"{across:.1f},{down:.1f}" for across, down in known)

    answered = [share for share, ms in row.curve if ms is not None]
    return Curve(
        path(row),
        tuple(path(other) for other in drawn[1:] if any(ms is not None for _, ms in other.curve)),
        None if len(answered) == len(row.curve) else x(answered[-1]),
        y(row.limit_ms),
        x(row.quantile),
        tuple(
            (x(one.quantile), y(one.high_ms), y(one.low_ms))
            for one in row.percentiles
            if one.low_ms is not None and one.high_ms is not None and _tail(one.quantile) <= reach
        ),
        tuple(Tick(x(share) / 1000, f"{share * 100:g}") for share in _TAILS if _tail(share) <= reach),
        tuple(Tick(y(ms) / 100, _label(ms)) for ms in _decades(low, high)),
    )


def _tail(share: float) -> float:
    """0 for all requests, 1 for the slowest tenth, 2 for the slowest hundredth."""
    return max(0.0, -math.log10(max(1e-9, 1 - share)))


def _round_down(milliseconds: float) -> float:
    return max(step for step in _steps() if step <= max(milliseconds, 0.1))


def _round_up(milliseconds: float, above: float) -> float:
    return min(step for step in _steps() if step > above and step >= min(milliseconds, 1e7) * 1.05)


def _steps() -> Iterable[float]:
    """0.1, 0.2, 0.5, 1 … milliseconds."""
    return (digit * 10.0**power for power in range(-1, 9) for digit in (1, 2, 5))


def _decades(low: float, high: float) -> list[float]:
    """The edges, and the whole powers of ten between them that are not too near to an edge."""
    powers = [10.0**power for power in range(-1, 9)]
    return [low, *(power for power in powers if power >= low * 3 and power <= high / 3), high]


def _label(milliseconds: float) -> str:
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"
