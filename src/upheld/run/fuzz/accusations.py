"""Failures of the engine on their way to findings: gathered by what is wrong, repeated, made smaller, told once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from upheld.errors import UpheldError
from upheld.exchange import Request
from upheld.run.fuzz import events, judge, words
from upheld.run.fuzz.events import Failure, Sent
from upheld.run.fuzz.renew import parsed
from upheld.run.fuzz.repeat import Repeater
from upheld.run.fuzz.values import EngineFinding
from upheld.steps import made_below, reached

if TYPE_CHECKING:
    from upheld.contract import Contract

WITNESSES = 3
"""Exchanges of one failure that are kept for repetition: the first may have failed by chance."""
MOST_OF_ONE_KIND = 12
"""Findings of one code on one operation; what comes after is only counted."""
_OF_ANY_ROUTE = frozenset({"ST101", "ST102", "ST204", "ST205"})
"""A crash and a wrong 405 are faults wherever the request led; the others hold an answer against the operation's own document."""


@dataclass
class Accusation:
    """One failure, from the exchanges that showed it."""

    witnesses: list[tuple[Failure, Sent, tuple[Sent, ...]]] = field(default_factory=list)
    """(failure, exchange, what led to it); the best first."""
    seen: int = 0
    repeated: bool = False
    request: Request | None = None
    minimal: bool = False

    @property
    def shown(self) -> tuple[Failure, Sent]:
        """What is told: the witness that repeated, else the best one."""
        return self.witnesses[0][:2]


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
        if failure.code not in _OF_ANY_ROUTE and not _is_its_answer(sent, self.contract):
            return False
        if failure.code == "ST103" and status in self.contract.policy.implicit_statuses:
            return False
        if failure.code == "ST204" and status == 404 and "{" in sent.label:
            # Who looks a member up before the method refuses the id, whatever the method.
            return False
        if failure.code in ("ST201", "ST202") and status == 412:
            # RFC 9110 §15.5.13: a condition in the request's header fields was false, so what it asks for was not tried.
            return False
        if failure.code == "ST202" and not sent.known:
            # Refused because of an id that nobody made, as far as we can tell: no accusation.
            self._unknown_ids += 1
            return False
        return True

    def _accuse(self, failure: Failure, sent: Sent) -> None:
        key = self._key(failure, sent)
        accusation = self._all.get(key)
        if accusation is None:
            kind = (key[0], failure.code)
            if self._kinds[kind] >= MOST_OF_ONE_KIND:
                self._too_many += 1
                return
            self._kinds[kind] += 1
            accusation = self._all[key] = Accusation()
        accusation.seen += 1
        witness = (failure, sent, tuple(self._chain(failure, sent)))
        # A request that is valid by the contract says more than one that was broken on purpose, unless that is the point.
        is_better = sent.exchange.intent == "valid" and failure.code != "ST201"
        best = accusation.witnesses[0][1].exchange.intent if accusation.witnesses else None
        if is_better and best == "invalid":
            accusation.witnesses = [witness, *accusation.witnesses[: WITNESSES - 1]]
        elif len(accusation.witnesses) < WITNESSES:
            accusation.witnesses.append(witness)

    def _key(self, failure: Failure, sent: Sent) -> tuple[str, str, str, str]:
        key = events.key(failure, sent)
        if failure.code != "ST201":
            return key
        # One constraint that is ignored is one finding, however the engine came to break it.
        request = sent.exchange.request
        broken = judge.body_breaks(sent.label, request, parsed(request.body), self.contract)
        return (*key[:3], ", ".join(sorted(broken)) or key[3])

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

    async def settle(self, deadline: float) -> None:
        """Repeat every failure, then make the first one of each kind smaller, until the deadline.

        After the engine has ended: requests of ours in between would change what it sees, and the seed would not repeat the run.
        """
        loop = asyncio.get_running_loop()
        left = len(self._all)
        for accusation in self._all.values():
            if loop.time() >= deadline:
                self.notes.append(f"fuzzing: there was no time to repeat {left} failures; they are told as flaky")
                return
            left -= 1
            if not await self._guarded(self._repeat(accusation), "repeating a failure"):
                return
        done: set[tuple[str, str]] = set()
        for (label, _, code, _), accusation in self._all.items():
            if accusation.repeated and (label, code) not in done and loop.time() < deadline:
                done.add((label, code))
                if not await self._guarded(self._reduce(accusation, deadline), "making a failure smaller"):
                    return

    async def _guarded(self, work: Awaitable[None], what: str) -> bool:
        """False when the service is not there any more. A mistake of ours is told and stops nothing."""
        try:
            await work
        except UpheldError as error:
            self.notes.append(f"fuzzing: {what}: {error}")
            return False
        except Exception as error:
            self.defects.append(f"{what}: {type(error).__name__}: {error}")
        return True

    async def _repeat(self, accusation: Accusation) -> None:
        for witness in tuple(accusation.witnesses):
            failure, sent, chain = witness
            verdict, request = await self.repeater.again(failure, sent, chain, self._made.get)
            if verdict:
                accusation.repeated = True
                accusation.request = request
                accusation.witnesses = [witness]
                return

    async def _reduce(self, accusation: Accusation, deadline: float) -> None:
        failure, sent = accusation.shown
        smaller = await self.repeater.smallest(failure, sent, deadline)
        if smaller is not None:
            accusation.request, accusation.minimal = smaller, True

    # -- telling ---------------------------------------------------------------------------------------------------------

    def findings(self) -> Iterator[EngineFinding]:
        """Every accusation as one finding, those that repeated first."""
        if self._unknown_ids:
            self.notes.append(
                f"fuzzing: {self._unknown_ids} refusals of valid requests name ids that nobody made, and are not held against it"
            )
        if self._too_many:
            self.notes.append(f"fuzzing: {self._too_many} more failures of kinds that are told already")
        for (label, _, _, _), accusation in sorted(self._all.items(), key=lambda item: not item[1].repeated):
            failure, sent = accusation.shown
            finding = words.finding(failure, sent.exchange, self.contract.operation(label))
            promised = judge.promised_by(failure, sent, self.contract)
            is_policy = promised == "policy"
            required = words.required_by_policy(failure.code, sent.exchange) if is_policy else ""
            request = accusation.request or finding.request
            finding = replace(finding, request=request, minimal=accusation.minimal, required=required)
            yield EngineFinding(
                engine_check=failure.check,
                code=failure.code,
                operation=label,
                finding=finding,
                flaky=not accusation.repeated,
                exchange=sent.exchange,
                seen=accusation.seen,
                promised_by=promised,
            )


def _is_its_answer(sent: Sent, contract: Contract) -> bool:
    """The operation, or the framework on its behalf, made the answer: not another route, and not the HTTP server below."""
    return reached(sent.exchange, contract) is not None and not made_below(sent.exchange.response)
