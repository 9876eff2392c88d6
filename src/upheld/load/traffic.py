"""Which request of an operation comes next, and what becomes of the ids that answers bring. Pure; a generator asks it."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from typing import Any

from upheld.load.plan import MAKER, ODD_EVERY, Plan, Template

MOST_FREE = 100_000
RECENT = 32
"""How many ids of each kind are remembered for reading; as many again rest then, until no read of them can be on its way."""
SURPLUS = 32
"""How many made things may lie about before the next creation's turn goes to what uses them up: services bound such things."""
MOST_LEFT = 1_000
"""Ids of each kind that are told at the end."""
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

    def __init__(self, plan: Plan, *, generator: int = 0, generators: int = 1) -> None:
        self._operations = plan.operations
        # Generators begin at different places. Each kind of request goes by turns of its own, so that identities are used evenly.
        self._turns = [tuple(count(generator) for _ in range(4)) for _ in plan.operations]
        takers = {operation.takes for operation in plan.operations if operation.takes}
        readers = {operation.reads for operation in plan.operations if operation.recent}
        self._free = {name: deque(plan.pools.get(name, ())[generator::generators], maxlen=MOST_FREE) for name in takers}
        self._recent: dict[str, deque[tuple[str, str]]] = {name: deque() for name in readers}
        self._resting: dict[str, deque[tuple[str, str]]] = {name: deque() for name in readers}
        self._acted_on: dict[str, deque[tuple[str, str]]] = {name: deque(maxlen=MOST_LEFT) for name in takers}
        """What was used up and is there all the same: cancelled, published."""
        self._made: Counter[str] = Counter()
        self._pairs = {pool: _Pair(plan, pool) for pool in plan.balanced}

    def instead(self, index: int) -> int:
        """The operation that is called in place of this one, mostly itself: nothing is left to use up, or too much lies about."""
        operation = self._operations[index]
        if operation.takes in self._pairs and not self._free[operation.takes]:
            return next(self._pairs[operation.takes].makers)
        if operation.makes in self._pairs and len(self._free[operation.makes]) >= SURPLUS:
            return next(self._pairs[operation.makes].takers)
        return index

    def next(self, index: int) -> Next | None:
        """The next request of the operation with this ``index``; None when nothing is left for it to use up."""
        operation, (turns, usual, recent, odd) = self._operations[index], self._turns[index]
        if operation.takes:
            pool = self._free[operation.takes]
            if not pool:
                return None
            member, maker = pool.popleft()
            if operation.method != "DELETE":
                self._acted_on[operation.takes].append((member, maker))
            return _of(_by_turns(operation.templates, usual), member, maker)
        turn = next(turns)
        if operation.recent and turn % 2 and (made := self._recent[operation.reads]):
            number = next(recent)
            member, maker = made[number % len(made)]
            return _of(operation.recent[number % len(operation.recent)], member, maker)
        if operation.odd and turn % ODD_EVERY == ODD_EVERY - 2:
            return _of(_by_turns(operation.odd, odd))
        return _of(_by_turns(operation.templates, usual))

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
            if len(recent) > RECENT:
                self._rest(operation.makes, recent.popleft())
        elif free is not None:
            free.append((made, identity))

    def _rest(self, pool: str, read: tuple[str, str]) -> None:
        resting = self._resting[pool]
        resting.append(read)
        if len(resting) > RECENT:
            rested = resting.popleft()
            if pool in self._free:
                self._free[pool].append(rested)

    def left(self) -> dict[str, list[tuple[str, str]]]:
        """Pool → (id, identity that made it) of what was made and not deleted, the newest of it."""
        whole: dict[str, list[tuple[str, str]]] = {}
        for pools in (self._acted_on, self._free, self._resting, self._recent):
            for name, members in pools.items():
                whole.setdefault(name, []).extend(members)
        return {name: members[-MOST_LEFT:] for name, members in whole.items() if members}


class _Pair:
    """What makes the things of one kind and what uses them up: indices of operations, by turns."""

    def __init__(self, plan: Plan, pool: str) -> None:
        self.makers = cycle([index for index, one in enumerate(plan.operations) if one.makes == pool])
        self.takers = cycle([index for index, one in enumerate(plan.operations) if one.takes == pool])


def _by_turns(templates: Sequence[Template], turns: Iterator[int]) -> Template:
    return templates[next(turns) % len(templates)]


def _of(template: Template, member: str = "", maker: str = "") -> Next:
    return Next(template, maker if template.identity == MAKER else template.identity, member)


def _at(body: bytes, pointer: str) -> str | None:
    try:
        value: Any = json.loads(body)
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            value = value[int(name)] if isinstance(value, list) else value[name]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
