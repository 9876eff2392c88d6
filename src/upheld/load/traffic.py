"""Which request of an operation comes next, and what becomes of the ids that answers bring. Pure; a generator asks it."""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from dataclasses import dataclass
from itertools import count
from typing import Any

from upheld.load.plan import ODD_EVERY, Plan, Template

MOST_FREE = 100_000
RECENT = 64
"""How many ids of each kind are remembered for reading."""
FOR_READING = 5
"""Every so many made things one is for reading, where others are used up: what is read must not be gone by then."""


@dataclass(frozen=True, slots=True)
class Next:
    """A request of an operation: its template, as whom, and the member whose id is spliced in."""

    template: Template
    identity: str
    member: str = ""


class Traffic:
    """The requests of one generator."""

    def __init__(self, plan: Plan, *, generator: int = 0) -> None:
        self._operations = plan.operations
        # Generators begin at different places.
        self._turns = [count(generator) for _ in plan.operations]
        takers = {operation.takes for operation in plan.operations if operation.takes}
        readers = {operation.reads for operation in plan.operations if operation.recent}
        self._free = {name: deque(plan.pools.get(name, ()), maxlen=MOST_FREE) for name in takers}
        self._recent: dict[str, deque[tuple[str, str]]] = {name: deque(maxlen=RECENT) for name in readers}
        self._made: Counter[str] = Counter()
        self._chance = random.Random(f"{plan.seed}/{generator}/recent")

    def next(self, index: int) -> Next | None:
        """The next request of the operation with this ``index``; None when nothing is left for it to use up."""
        operation, turn = self._operations[index], next(self._turns[index])
        if operation.takes:
            pool = self._free[operation.takes]
            if not pool:
                return None
            member, maker = pool.popleft()
            template = operation.templates[turn % len(operation.templates)]
            return Next(template, template.identity or maker, member)
        if operation.recent and turn % 2 and (recent := self._recent[operation.reads]):
            member, maker = self._chance.choice(recent)
            template = operation.recent[turn // 2 % len(operation.recent)]
            return Next(template, template.identity or maker, member)
        if operation.odd and turn % ODD_EVERY == ODD_EVERY - 2:
            template = operation.odd[turn // ODD_EVERY % len(operation.odd)]
        else:
            template = operation.templates[turn % len(operation.templates)]
        return Next(template, template.identity)

    def answered(self, index: int, body: bytes, identity: str) -> None:
        """A 2xx answer: where the operation makes things, its id is there to be used."""
        operation = self._operations[index]
        free, recent = self._free.get(operation.makes), self._recent.get(operation.makes)
        if free is None and recent is None:
            return
        made = _at(body, operation.id_pointer)
        if made is None:
            return
        number = self._made[operation.makes]
        self._made[operation.makes] += 1
        if recent is not None and (free is None or number % FOR_READING == 0):
            recent.append((made, identity))
        elif free is not None:
            free.append((made, identity))


def _at(body: bytes, pointer: str) -> str | None:
    try:
        value: Any = json.loads(body)
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            value = value[int(name)] if isinstance(value, list) else value[name]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
