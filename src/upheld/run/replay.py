"""A conversation that showed a breach is had again: does the service still break that promise?"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from upheld.check import CannotProve, Check, Finding, Kept, Outcome, Subject, Unproven
from upheld.checks import catalogue
from upheld.errors import UsageError
from upheld.exchange import Exchange, Headers, Intent, Request
from upheld.run.drive import REMEMBERED
from upheld.run.examine import Examination, Options, is_paced, prepared, within
from upheld.run.fuzz.renew import Renewer
from upheld.run.plan import Plan, Promise, plan
from upheld.run.record import said
from upheld.verdict import Listener, Recording, Result, Said, silent

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.targets import Running

OTHER_GROUND = frozenset({401, 403, 404, 409, 410, 412, 428, 429, 503})
"""An answer with one of these, where another was recorded, was to other circumstances: it acquits nobody."""
INTENTS: Mapping[str, Intent] = {"valid": "valid", "invalid": "invalid"}


@dataclass(frozen=True, slots=True)
class Replayed:
    """The verdict now, and what was said this time, masked."""

    result: Result
    exchanges: tuple[Said, ...] = ()


@dataclass
class _Replay:
    examination: Examination
    promise: Promise
    recording: Recording
    played: list[Exchange] = field(default_factory=list)

    async def outcome(self) -> Outcome:
        """What one more playing shows. The first one's exchanges are kept."""
        try:
            outcome, exchanges = await self._once()
        except CannotProve as cannot:
            return cannot.outcome
        self.played = self.played or exchanges
        return outcome

    async def _once(self) -> tuple[Outcome, list[Exchange]]:
        check, subject = self.promise.check, self.promise.subject
        if check.converse is not None:
            return await self._dialogue(check, subject)
        if self.recording.dialogue:
            other = promise_of(self.examination.contract, self.recording.dialogue)
            if other.settled is not None:
                return other.settled, []
            _, exchanges = await self._dialogue(other.check, other.subject)
            return self._observed(exchanges, f"{other.id} shows nothing of the kind any more")
        return await self._request()

    async def _dialogue(self, check: Check, subject: Subject) -> tuple[Outcome, list[Exchange]]:
        exchanges: list[Exchange] = []
        played = await self.examination.part_of(check).driver.play(check, subject, spied=exchanges)
        return played.outcome, exchanges

    async def _request(self) -> tuple[Outcome, list[Exchange]]:
        """The recorded request alone."""
        examination, old = self.examination, self.recording.exchanges[0]
        if old.masked:
            return Unproven("the request held a secret, which is not kept"), []
        driver = examination.raised.driver
        session = await driver.people.sign_in(old.role, fresh=True) if old.role else None
        request = _request_of(old).as_(session)
        renewer = Renewer(examination.contract, f"r{secrets.token_hex(4)}")
        response = await driver.resend(renewer.renewed(request.operation, request))
        exchange = Exchange(request, response, old.phase, "replay", INTENTS.get(old.intent), old.broken)
        outcome, _ = self._observed([exchange], "the answer shows nothing that the check could judge")
        if isinstance(outcome, Kept) and response.status != old.status and response.status in OTHER_GROUND:
            why = f"it is answered with {response.status} now, and {old.status} was recorded: that is another case"
            return Unproven(why), [exchange]
        if isinstance(outcome, Kept) and self.recording.engine:
            return Unproven("Schemathesis found it, and only generated requests can say that it is gone"), [exchange]
        return outcome, [exchange]

    def _observed(self, exchanges: list[Exchange], nothing: str) -> tuple[Outcome, list[Exchange]]:
        """What the check says of these answers, as far as they are about the promise's subject, and of which it says so."""
        check, subject = self.promise.check, self.promise.subject
        about = [e for e in exchanges if subject.operation is None or e.operation == subject.label]
        told = [(outcome, e) for e in about if (outcome := self.examination.watch.ask(check, e)) is not None]
        for kind in (Finding, Kept, Unproven):
            for outcome, exchange in told:
                if isinstance(outcome, kind):
                    return outcome, [exchange]
        return Unproven(nothing), about[:1]


def promise_of(contract: Contract, id: str) -> Promise:
    """The promise of this id, ``http/allow[/items]``. Raises `UsageError` where nothing of the kind is promised."""
    requirement, _, label = id.removesuffix("]").partition("[")
    check = catalogue().get(requirement)
    if check is None:
        raise UsageError(f"no requirement is called {requirement!r} any more")
    made = plan(contract, [check], load=True)
    for promise in made.promises:
        if promise.subject.label == label:
            return promise
    operation = contract.operation(label)
    if check.observe is None or operation is None:
        raise UsageError(f"{contract.name} does not promise {id} any more")
    return Promise(check, Subject(label, operation=operation))


def replay(
    contract: Contract,
    id: str,
    recording: Recording,
    running: dict[str, Running],
    options: Options,
    listener: Listener = silent,
) -> Replayed:
    """Have the conversation again with the running targets. Raises `UsageError`, `TargetError`, `HarnessError`."""
    promise = promise_of(contract, id)
    paced = is_paced(contract, running)
    examination = prepared(contract, Plan((promise,), narrowed=True), options, listener, paced=paced)
    again = _Replay(examination, promise, recording)
    results: list[Result] = []

    async def work() -> None:
        judge = examination.judge()
        outcome: Outcome | None = promise.settled
        await examination.set_up()
        if outcome is None:
            outcome = await again.outcome()
        try:
            case = await judge.played(promise, outcome, 0.0, lambda _: again.outcome())
        finally:
            if promise.check.requirement.alone:
                for part in examination.parts.values():
                    await asyncio.to_thread(part.controls.restore)
        # Whom it has signed in by now has secrets too.
        results.append(examination.judge().result(case))

    asyncio.run(within(examination, running, work))
    masker = examination.judge().masker
    return Replayed(results[0], tuple(said(exchange, masker) for exchange in again.played[-REMEMBERED:]))


def _request_of(old: Said) -> Request:
    path, _, query = old.target.partition("?")
    return Request(
        old.method,
        path,
        tuple(parse_qsl(query, keep_blank_values=True)),
        Headers(old.headers),
        None if old.body is None else old.body.encode("utf-8", "surrogateescape"),
        operation=old.operation or None,
    )
