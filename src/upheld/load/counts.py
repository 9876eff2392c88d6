"""What the child counts, as integers: they add up exactly over operations and, later, over generators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

BATCHES = 20
"""Equal stretches of the measured part whose spread tells how correlated the samples are (see `upheld.load.binomial`)."""


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
    seconds: dict[int, list[int]] = field(default_factory=dict)
    """Second of the measured part → [samples, over]."""
    batches: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in range(BATCHES)])
    """[samples, over] in each of `BATCHES` equal stretches."""

    @property
    def samples(self) -> int:
        return self.sent - self.throttled

    @property
    def failed(self) -> int:
        return self.errors.total()

    def sample(self, share: float, second: int, over: bool) -> None:
        """Book one sample that was due at ``share`` (0 to 1) of the measured part, in its ``second``."""
        self.over += over
        window = self.seconds.setdefault(second, [0, 0])
        batch = self.batches[min(BATCHES - 1, int(share * BATCHES))]
        for cell in (window, batch):
            cell[0] += 1
            cell[1] += over

    def problems(self) -> Iterable[str]:
        """Every way in which these numbers contradict each other; none in a sound run."""
        if self.sent != self.ok + self.failed + self.throttled + self.unfinished:
            yield (
                f"{self.sent} sent, but {self.ok} ok + {self.failed} errors + {self.throttled} throttled"
                f" + {self.unfinished} unfinished"
            )
        if self.histogram.total() != self.ok:
            yield f"{self.ok} ok, but {self.histogram.total()} latencies"
        for name, cells in (("seconds", list(self.seconds.values())), ("batches", self.batches)):
            total, over = sum(cell[0] for cell in cells), sum(cell[1] for cell in cells)
            if (total, over) != (self.samples, self.over):
                yield f"{self.samples} samples and {self.over} over, but the {name} hold {total} and {over}"
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
            "seconds": [[second, *cell] for second, cell in sorted(self.seconds.items())],
            "batches": self.batches,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Counts:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError when the data is something else."""
        batches = [[int(n), int(over)] for n, over in data["batches"]]
        if len(batches) != BATCHES:
            raise ValueError(f"{len(batches)} batches instead of {BATCHES}")
        return cls(
            sent=int(data["sent"]),
            ok=int(data["ok"]),
            over=int(data["over"]),
            throttled=int(data["throttled"]),
            unfinished=int(data["unfinished"]),
            errors=Counter({str(kind): int(count) for kind, count in data["errors"].items()}),
            histogram=Counter({int(edge): int(count) for edge, count in data["histogram"]}),
            seconds={int(second): [int(n), int(over)] for second, n, over in data["seconds"]},
            batches=batches,
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
        for second, (n, over) in part.seconds.items():
            window = whole.seconds.setdefault(second, [0, 0])
            window[0] += n
            window[1] += over
        for mine, theirs in zip(whole.batches, part.batches, strict=True):
            mine[0] += theirs[0]
            mine[1] += theirs[1]
    return whole
