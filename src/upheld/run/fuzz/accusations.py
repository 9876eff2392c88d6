"""Failures of the engine on their way to findings: gathered by what is wrong, repeated, made smaller, told once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from upheld.errors import UpheldError
from upheld.exchange import Request
from upheld.run.fuzz import events, judge, words
from upheld.run.fuzz.events import Failure, Sent
from upheld.run.fuzz.repeat import Repeater
from upheld.run.fuzz.values import EngineFinding

if TYPE_CHECKING:
    from upheld.contract import Contract

CANDIDATES = 3
"""Exchanges of one failure that are kept for repetition: the first may have failed by chance."""
MOST_OF_ONE_KIND = 12
"""Findings of one code on one operation; what comes after is only counted."""


@dataclass
class Accusation:
    """One failure, from the exchanges that showed it."""

    failure: Failure
    candidates: list[tuple[Failure, Sent, tuple[Sent, ...]]] = field(default_factory=list)
    offered: int = 0
    seen: int = 0
    repeated: bool | None = None
    """Whether it failed again; None while nothing is known."""
    shown: tuple[Failure, Sent] | None = None
    request: Request | None = None
    minimal: bool = False
    wants_valid: bool = False
    """It was shown by a request that was broken on purpose; one that is valid would say more."""


class Accusations:
    """Everything that the engine accuses the service of in one run."""

    def __init__(self, contract: Contract, repeater: Repeater, job: Mapping[str, Any]) -> None:
        self.contract = contract
        self.repeater = repeater
        self.notes: list[str] = []
        self.defects: list[str] = []
        self.counts: Counter[str] = Counter()
        self._makers: Mapping[str, list[str]] = job["makers"]
        self._made: dict[str, Sent] = {}
        self._all: dict[tuple[str, str, str, str], Accusation] = {}
        self._kinds: Counter[tuple[str, str]] = Counter()
        self._scenario: dict[str, Sent] = {}
        self._queue: asyncio.Queue[Accusation] = asyncio.Queue()
        self._unknown_ids = 0
        self._too_many = 0

    # -- gathering -------------------------------------------------------------------------------------------------------

    def take(self, sent: Sent) -> None:
        """One exchange of the run with its failures."""
        if sent.phase == "stateful":
            self._scenario[sent.id] = sent
        maker = self._makers.get(sent.label)
        if maker is not None and sent.is_own_method and sent.exchange.response.ok and not sent.is_probe:
            self._made[maker[0]] = sent
        for failure in sent.failures:
            self.counts[failure.code] += 1
            if self._is_believed(failure, sent):
                self._accuse(failure, sent)

    def scenario_over(self) -> None:
        self._scenario.clear()

    def _is_believed(self, failure: Failure, sent: Sent) -> bool:
        status = sent.exchange.response.status
        if failure.code == "ST103" and status in self.contract.policy.implicit_statuses:
            return False
        if failure.code == "ST202" and not sent.known:
            # Refused because of an id that nobody made, as far as we can tell: no accusation.
            self._unknown_ids += 1
            return False
        return True

    def _accuse(self, failure: Failure, sent: Sent) -> None:
        key = events.key(failure, sent)
        accusation = self._all.get(key)
        if accusation is None:
            kind = (key[0], failure.code)
            if self._kinds[kind] >= MOST_OF_ONE_KIND:
                self._too_many += 1
                return
            self._kinds[kind] += 1
            accusation = self._all[key] = Accusation(failure)
        accusation.seen += 1
        better = accusation.wants_valid and sent.exchange.intent == "valid"
        if better or (accusation.repeated is not True and accusation.offered < CANDIDATES):
            accusation.wants_valid = False if better else accusation.wants_valid
            accusation.offered += 1
            accusation.candidates.append((failure, sent, tuple(self._chain(failure, sent))))
            self._queue.put_nowait(accusation)

    def _chain(self, failure: Failure, sent: Sent) -> Iterator[Sent]:
        """The exchanges of the scenario that led to this one, in order, itself last."""
        wanted = {sent.id}
        for start in (sent.parent, str(failure.data.get("deleted_case_id") or "")):
            while start in self._scenario and start not in wanted:
                wanted.add(start)
                start = self._scenario[start].parent
        yield from (other for id_, other in self._scenario.items() if id_ in wanted and id_ != sent.id)
        yield sent

    # -- repeating -------------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Repeat accusations as they come, until cancelled."""
        while True:
            accusation = await self._queue.get()
            try:
                await self._repeat(accusation)
            except UpheldError as error:
                self.notes.append(f"fuzzing: a failure could not be repeated: {error}")
            except Exception as error:
                # One that ended this task would leave the rest unrepeated, and nobody would know.
                self.defects.append(f"repeating a failure: {type(error).__name__}: {error}")
            finally:
                self._queue.task_done()

    async def settle(self, deadline: float) -> None:
        """Repeat what is left, then make the first failure of each kind smaller, until the deadline."""
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(self._queue.join(), max(0.1, deadline - loop.time()))
        except TimeoutError:
            left = self._queue.qsize()
            self.notes.append(f"fuzzing: there was no time to repeat {left} failures; they are told as flaky")
            return
        done: set[tuple[str, str]] = set()
        for (label, _, code, _), accusation in self._all.items():
            if (label, code) in done or accusation.repeated is not True or accusation.shown is None:
                continue
            if loop.time() >= deadline:
                break
            done.add((label, code))
            failure, sent = accusation.shown
            try:
                smaller = await self.repeater.smallest(failure, sent, deadline)
            except UpheldError as error:
                self.notes.append(f"fuzzing: a failure could not be made smaller: {error}")
                return
            except Exception as error:
                self.defects.append(f"making a failure smaller: {type(error).__name__}: {error}")
                continue
            if smaller is not None:
                accusation.request, accusation.minimal = smaller, True

    async def _repeat(self, accusation: Accusation) -> None:
        if not accusation.candidates:
            return
        failure, sent, chain = accusation.candidates.pop(0)
        accusation.shown = accusation.shown or (failure, sent)
        verdict, request, _ = await self.repeater.again(failure, sent, chain, self._made.get)
        if verdict is not False:
            if accusation.repeated is not True:
                accusation.wants_valid = failure.code != "ST201" and sent.exchange.intent == "invalid"
            accusation.repeated = True
            accusation.shown = (failure, sent)
            accusation.request = request
            accusation.candidates.clear()
        elif accusation.repeated is None:
            accusation.repeated = False

    # -- telling ---------------------------------------------------------------------------------------------------------

    def findings(self) -> Iterator[EngineFinding]:
        """Every accusation as one finding, those that repeated first."""
        if self._unknown_ids:
            self.notes.append(
                f"fuzzing: {self._unknown_ids} refusals of valid requests name ids that nobody made, and are not held against it"
            )
        if self._too_many:
            self.notes.append(f"fuzzing: {self._too_many} more failures of kinds that are told already")
        for (label, _, _, _), accusation in sorted(self._all.items(), key=lambda item: item[1].repeated is not True):
            failure, sent = accusation.shown or accusation.candidates[0][:2]
            finding = words.finding(failure.code, failure.data, sent.exchange, self.contract.operation(label))
            promised = judge.promised_by(failure, sent, self.contract)
            finding = replace(
                finding,
                request=accusation.request or finding.request,
                minimal=accusation.minimal,
                required=f"{finding.required} (upheld.yaml)"
                if promised == "policy" and finding.required
                else finding.required,
            )
            yield EngineFinding(
                engine_check=failure.check,
                code=failure.code,
                operation=label,
                finding=finding,
                flaky=accusation.repeated is not True,
                exchange=sent.exchange,
                seen=accusation.seen,
                promised_by=promised,
            )
