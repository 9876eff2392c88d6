"""What a master and its workers tell each other, and how the counts of many become those of one. Pure.

A run goes: each worker says READY; who lacks the plan is sent the PLAN and says READY again; once all are, all are told to BEGIN;
each tells where it is once a second (INTERIM); all may be told to END at a certain second; each sends its RESULT. Whoever
renews a token tells it (SECRETS), and the master passes it on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from upheld.load import kept
from upheld.load.counts import WINDOW, Counts, total
from upheld.load.plan import Plan

READY, PLAN, BEGIN, INTERIM, END, RESULT, SECRETS = (
    f"upheld-{name}" for name in ("ready", "plan", "begin", "interim", "end", "result", "secrets")
)
TO_MASTER = (READY, INTERIM, RESULT, SECRETS)
TO_WORKER = (PLAN, BEGIN, END, SECRETS)
PIECE = 256 * 1024
"""Characters a message: heartbeats go the same way and must not wait behind a large one."""


def pieces(value: Any) -> Iterator[dict[str, Any]]:
    """The value as JSON in messages of a bounded size."""
    text = json.dumps(value)
    count = max(1, -(-len(text) // PIECE))
    for number in range(count):
        yield {"piece": number, "of": count, "text": text[number * PIECE : (number + 1) * PIECE]}


class Assembly:
    """Puts the pieces of one value together again."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, piece: Mapping[str, Any]) -> Any:
        """The value with its last piece, until then None. Raises ValueError when a piece is missing or the text damaged."""
        if piece["piece"] == 0:
            self._texts = []
        if piece["piece"] != len(self._texts):
            raise ValueError(f"piece {piece['piece']} came after {len(self._texts)}")
        self._texts.append(str(piece["text"]))
        return json.loads("".join(self._texts)) if len(self._texts) == piece["of"] else None


@dataclass(slots=True)
class Interim:
    """Counts as they stand, told by one side and put together by the other; windows that can't change any more are told once."""

    counts: dict[str, Counts] = field(default_factory=dict)
    late: dict[str, list[int]] = field(default_factory=dict)
    """Operation → windows of its unanswered requests that are over their limit already; each as often as it has such."""
    before: int = 0
    """First window in which something is undecided."""
    _told: int = 0

    def tell(
        self, counts: Mapping[str, Counts], late: Mapping[str, list[int]], before: int, oldest: float
    ) -> dict[str, Any]:
        """What changed since the last time; ``oldest`` is the second at which the oldest unanswered request was due."""
        told = {name: _since(mine, self._told) for name, mine in counts.items()}
        self._told = max(self._told, int(oldest / WINDOW))
        return {"counts": told, "late": dict(late), "before": before}

    def hear(self, told: Mapping[str, Any]) -> None:
        """The other side of `tell`. Raises KeyError, TypeError or ValueError when it is something else."""
        for name, data in told["counts"].items():
            new, known = Counts.from_json(data), self.counts.get(name)
            if known is not None:
                known.windows.update(new.windows)
                new.windows = known.windows
            self.counts[name] = new
        self.late = {str(name): [int(window) for window in windows] for name, windows in told["late"].items()}
        self.before = int(told["before"])


def settled(parts: Sequence[Interim]) -> dict[str, Counts]:
    """Operation → what is certain of all generators together, for a decision before the end.

    Counts as they stand flatter: what is slow is not answered yet. So the windows in which something is undecided are left out,
    and what is unanswered in the others, and therefore over its limit, is counted.
    """
    before = min((part.before for part in parts), default=0)
    whole = added(part.counts for part in parts)
    for name, counts in whole.items():
        counts.windows = {number: cell for number, cell in counts.windows.items() if number < before}
        for number in (number for part in parts for number in part.late.get(name, ()) if number < before):
            cell = counts.windows.setdefault(number, [0, 0, 0])
            for kind in range(3):
                cell[kind] += 1
        cells = counts.windows.values()
        counts.sent = sum(n for n, _, _ in cells) + counts.throttled
        counts.over = sum(over for _, over, _ in cells)
    return whole


def _since(counts: Counts, first: int) -> dict[str, Any]:
    windows = {number: cell for number, cell in counts.windows.items() if number >= first}
    return Counts(
        counts.sent,
        counts.ok,
        counts.over,
        counts.throttled,
        counts.unfinished,
        counts.errors,
        counts.histogram,
        windows,
    ).to_json()


def added(parts: Iterable[Mapping[str, Counts]]) -> dict[str, Counts]:
    """Operation → sum over the generators."""
    by_name: dict[str, list[Counts]] = {}
    for part in parts:
        for name, counts in part.items():
            by_name.setdefault(name, []).append(counts)
    return {name: total(counts) for name, counts in by_name.items()}


def merged(plan: Plan, parts: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """The results of the workers, by number from 1, as the result of one generator. Raises KeyError, TypeError or ValueError
    when one of them is no result of this plan."""
    if not parts:
        raise ValueError("there is no result")
    results = [part for _, part in sorted(parts.items())]
    if strange := [part["plan"] for part in results if part["plan"] != plan.digest]:
        raise ValueError(f"the counts of {strange[0]} are of another plan")
    busiest = max(results, key=lambda part: float(part["cpu_seconds"]) / max(float(part["wall_seconds"]), 1e-9))
    noise = [float(part["noise_ms"]) for part in results if part.get("noise_ms") is not None]
    operations = added({name: Counts.from_json(data) for name, data in part["operations"].items()} for part in results)
    return {
        "plan": plan.digest,
        # They end at the same second unless something cut them short; what one has not measured is not measured.
        "measured": min(float(part["measured"]) for part in results),
        "stopped": next((part["stopped"] for part in results if part["stopped"]), ""),
        "delay_ms": max(float(part["delay_ms"]) for part in results),
        "noise_ms": max(noise, default=None),
        # Of the busiest: a sum over processes says nothing about any of them.
        "cpu_seconds": busiest["cpu_seconds"],
        "wall_seconds": busiest["wall_seconds"],
        "most_in_flight": sum(int(part["most_in_flight"]) for part in results),
        "starved": dict(sum((Counter(part["starved"]) for part in results), Counter())),
        "renewals": _renewals(part.get("renewals", {}) for part in results),
        "kept": kept.merged((part.get("kept", ()) for part in results), plan.digest),
        "left": _left(part.get("left", {}) for part in results),
        "warmup": total(Counts.from_json(part["warmup"]) for part in results).to_json(),
        "operations": {name: counts.to_json() for name, counts in operations.items()},
        "workers": {str(number): _worker(part) for number, part in sorted(parts.items())},
    }


def _worker(part: Mapping[str, Any]) -> dict[str, Any]:
    sent = sum(int(counts["sent"]) for counts in (part["warmup"], *part["operations"].values()))
    return {"sent": sent, **{name: part[name] for name in ("cpu_seconds", "wall_seconds", "delay_ms", "noise_ms")}}


def _left(parts: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    whole: dict[str, list[Any]] = {}
    for part in parts:
        for pool, members in part.items():
            whole.setdefault(pool, []).extend(members)
    return whole


def _renewals(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    asked, renewed, refused = 0, Counter[str](), {}
    for part in parts:
        asked += int(part.get("asked", 0))
        renewed.update(part.get("renewed", {}))
        refused.update(part.get("refused", {}))
    return {"asked": asked, "renewed": dict(renewed), "refused": refused}
