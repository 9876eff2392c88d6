"""Which answered requests are kept with their answers, to be judged after the run: few, chosen without looking at them. Pure."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

AT_MOST = 40
"""Of an operation, every one with the same chance (Vitter's algorithm R)."""
FIRST = 5
"""Of each status of 400 and more of an operation, kept beside those."""
BODY = 64 * 1024
"""Octets of an answer that are kept."""
ALL_BODIES = 16 * 1024 * 1024
"""Octets of all that one generator keeps; what comes then is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer. Bodies are UTF-8, other octets as surrogates (PEP 383), so that they can be had back."""

    operation: str
    identity: str
    method: str
    path: str
    headers: Mapping[str, str]
    """Without the credentials."""
    body: str | None
    status: int
    answer_headers: tuple[tuple[str, str], ...]
    answer_body: str
    due: float
    """Seconds after the generator's start."""
    latency_ms: float


def text(octets: bytes) -> str:
    """Octets as JSON carries them."""
    return octets.decode("utf-8", "surrogateescape")


@dataclass(slots=True)
class _Operation:
    seen: int = 0
    chosen: list[Exchange] = field(default_factory=list)
    first: dict[int, list[Exchange]] = field(default_factory=lambda: defaultdict(list))


class Kept:
    """What one generator keeps. The caller asks `wants` before it makes an `Exchange`, which costs something."""

    def __init__(self, every: int, seed: str) -> None:
        self._every = every
        self._chance = random.Random(f"{seed}/kept")
        self._answered: dict[int, int] = defaultdict(int)
        self._operations: dict[int, _Operation] = defaultdict(_Operation)
        self._octets = 0
        self._place = -1

    def wants(self, operation: int, status: int) -> bool:
        """Whether this answer is to be given to `keep`."""
        if not self._every:
            return False
        number = self._answered[operation]
        self._answered[operation] = number + 1
        if status >= 400 and len(self._operations[operation].first[status]) < FIRST:
            self._place = -1
            return self._octets < ALL_BODIES
        if number % self._every or self._octets >= ALL_BODIES:
            return False
        mine = self._operations[operation]
        mine.seen += 1
        self._place = len(mine.chosen) if len(mine.chosen) < AT_MOST else self._chance.randrange(mine.seen)
        return self._place < AT_MOST

    def keep(self, operation: int, exchange: Exchange) -> None:
        """Keep what `wants` has just asked for."""
        self._octets += len(exchange.answer_body)
        mine = self._operations[operation]
        if self._place < 0:
            mine.first[exchange.status].append(exchange)
        elif self._place < len(mine.chosen):
            self._octets -= len(mine.chosen[self._place].answer_body)
            mine.chosen[self._place] = exchange
        else:
            mine.chosen.append(exchange)

    def to_json(self) -> list[dict[str, Any]]:
        """In the order in which they were due."""
        each = (mine for _, mine in sorted(self._operations.items()))
        everything = [
            item for mine in each for item in (*mine.chosen, *(e for some in mine.first.values() for e in some))
        ]
        return [asdict(item) for item in sorted(everything, key=lambda item: item.due)]


def merged(parts: Iterable[Iterable[Mapping[str, Any]]], seed: str) -> list[dict[str, Any]]:
    """What several generators kept, cut down to what one would have kept."""
    chance = random.Random(f"{seed}/merged")
    good: dict[str, list[dict[str, Any]]] = defaultdict(list)
    bad: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for item in (dict(item) for part in parts for item in part):
        if item["status"] >= 400:
            bad[item["operation"], item["status"]].append(item)
        else:
            good[item["operation"]].append(item)
    chosen = [
        item for some in good.values() for item in (some if len(some) <= AT_MOST else chance.sample(some, AT_MOST))
    ]
    for some in bad.values():
        chosen += sorted(some, key=lambda item: float(item["due"]))[: AT_MOST + FIRST]
    return sorted(chosen, key=lambda item: float(item["due"]))
