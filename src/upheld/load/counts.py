"""What the child counts, as integers: they add up exactly over operations and, later, over generators."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOW = 0.25
"""Seconds: the finest stretch of the measured part that is counted apart, so that a run may end at any of them."""
NEAR = 0.5
"""Share of the limit from which on a sample is near it: how those hang together tells how the few over the limit do."""


@dataclass(slots=True)
class Counts:
    """One operation, or several together. A request belongs to the moment at which it was due."""

    sent: int = 0
    ok: int = 0
    """Answered 2xx."""
    over: int = 0
    """Of all but the throttled: slower than the limit, failed or unfinished."""
    throttled: int = 0
    """Answered 429: says nothing about latency, so it is no sample."""
    unfinished: int = 0
    """Without an answer when the run's patience ended, and by then older than the limit."""
    errors: Counter[str] = field(default_factory=Counter)
    """``"500"`` or the name of the exception → how many."""
    histogram: Counter[int] = field(default_factory=Counter)
    """Latencies of the 2xx answers from the due time, keys of `upheld.load.histogram.key`."""
    windows: dict[int, list[int]] = field(default_factory=dict)
    """Number of the `WINDOW` since the measured part began → [samples, over, near]; near: slower than `NEAR` of the limit, or over."""

    @property
    def samples(self) -> int:
        return self.sent - self.throttled

    @property
    def failed(self) -> int:
        return self.errors.total()

    def sample(self, since: float, over: bool, near: bool = False) -> None:
        """Book one sample that was due ``since`` seconds after the measured part began; one that is over the limit is near it."""
        self.over += over
        window = self.windows.setdefault(int(since / WINDOW), [0, 0, 0])
        window[0] += 1
        window[1] += over
        window[2] += near or over

    def per_second(self) -> list[tuple[int, int, int]]:
        """(second, samples, over) of each second that has a sample."""
        seconds: dict[int, list[int]] = {}
        for number, (n, over, _) in self.windows.items():
            cell = seconds.setdefault(int(number * WINDOW), [0, 0])
            cell[0] += n
            cell[1] += over
        return [(second, n, over) for second, (n, over) in sorted(seconds.items())]

    def timeline(self, seconds: float, most: int = 240) -> list[tuple[int, int, int]]:
        """(samples, over, near) of equal stretches of the first ``seconds``, empty ones too: windows, put together where there are
        more than ``most``. What is due later belongs to the last.
        """
        windows = max(1, math.ceil(seconds / WINDOW - 1e-9))
        size = math.ceil(windows / most)
        last = (windows - 1) // size
        cells = [[0, 0, 0] for _ in range(last + 1)]
        for number, (n, over, near) in self.windows.items():
            cell = cells[min(number // size, last)]
            cell[0] += n
            cell[1] += over
            cell[2] += near
        return [(n, over, near) for n, over, near in cells]

    def problems(self) -> Iterable[str]:
        """Every way in which these numbers contradict each other; none in a sound run."""
        if self.sent != self.ok + self.failed + self.throttled + self.unfinished:
            yield (
                f"{self.sent} sent, but {self.ok} ok + {self.failed} errors + {self.throttled} throttled"
                f" + {self.unfinished} unfinished"
            )
        if self.histogram.total() != self.ok:
            yield f"{self.ok} ok, but {self.histogram.total()} latencies"
        total, over, near = (sum(cell[i] for cell in self.windows.values()) for i in range(3))
        if (total, over) != (self.samples, self.over):
            yield f"{self.samples} samples and {self.over} over, but the windows hold {total} and {over}"
        if not over <= near <= total:
            yield f"{near} near the limit, {over} over it, of {total} samples"
        if not self.failed + self.unfinished <= self.over <= self.samples:
            yield f"{self.over} over of {self.samples} samples with {self.failed} errors and {self.unfinished} unfinished"

    def to_json(self) -> dict[str, Any]:
        return {
            "sent": self.sent,
            "ok": self.ok,
            "over": self.over,
            "throttled": self.throttled,
            "unfinished": self.unfinished,
            "errors": dict(self.errors),
            "histogram": sorted(self.histogram.items()),
            "windows": [[number, *cell] for number, cell in sorted(self.windows.items())],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Counts:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError when the data is something else."""
        return cls(
            sent=int(data["sent"]),
            ok=int(data["ok"]),
            over=int(data["over"]),
            throttled=int(data["throttled"]),
            unfinished=int(data["unfinished"]),
            errors=Counter({str(kind): int(count) for kind, count in data["errors"].items()}),
            histogram=Counter({int(edge): int(count) for edge, count in data["histogram"]}),
            windows={int(number): [int(n), int(over), int(near)] for number, n, over, near in data["windows"]},
        )


def total(parts: Iterable[Counts]) -> Counts:
    """The sum, field by field."""
    whole = Counts()
    for part in parts:
        whole.sent += part.sent
        whole.ok += part.ok
        whole.over += part.over
        whole.throttled += part.throttled
        whole.unfinished += part.unfinished
        whole.errors.update(part.errors)
        whole.histogram.update(part.histogram)
        for number, (n, over, near) in part.windows.items():
            window = whole.windows.setdefault(number, [0, 0, 0])
            window[0] += n
            window[1] += over
            window[2] += near
    return whole
