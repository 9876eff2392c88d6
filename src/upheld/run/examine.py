"""One run from end to end: targets, identities, dialogues, fuzzing, replays, verdicts."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import random
import re
import signal
import traceback
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from upheld.check import CannotProve, Check, Kept, Outcome, Unproven
from upheld.errors import HarnessError, TargetDied, UpheldError
from upheld.exchange import Exchange, Session
from upheld.report.mask import Masker
from upheld.run.addresses import Addresses
from upheld.run.budget import Budget
from upheld.run.conclude import conclude
from upheld.run.confirm import Confirmation
from upheld.run.control import Controls, play_alone, store_of
from upheld.run.drive import Driver, Played
from upheld.run.judge import Case, Judge
from upheld.run.pace import Pace, user_quota
from upheld.run.people import NEVER_LINE, Person
from upheld.run.plan import Plan, Promise, plan
from upheld.run.reach import reach, reached, together
from upheld.run.transport import HttpTransport
from upheld.run.watch import Watch
from upheld.verdict import Listener, LoadRun, Progress, Run, silent

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.run.fuzz import FuzzRun
    from upheld.run.since import Since
    from upheld.targets import Running

REQUESTS = 20_000
SECONDS = 900.0
PACED_SECONDS = 3600.0
"""Where the quotas of the contract have to be kept, most of a run is waiting."""


@dataclass(frozen=True)
class Options:
    """How to run. ``again`` is the upheld command that starts this run, for the last line of a breach; ``since`` narrows it."""

    quick: bool = False
    fuzz: bool = True
    load_seconds: float | Literal["auto"] = 0.0
    """Length of the load run; 0 for none."""
    load_rate: float | None = None
    load_how: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `upheld.load.run.run_load`: workers, closed_users and the like."""
    save_plan: Path | None = None
    """Write the plan of the load for plain Locust here, and press on nothing."""
    seed: int | None = None
    requests: int | None = None
    seconds: float | None = None
    since: Since | None = None
    again: str = "upheld check"
    target_name: str = ""

    @property
    def pressing(self) -> str:
        """The upheld command that presses on the service as this run does."""
        rate = f" --rate {self.load_rate:g}" if self.load_rate else ""
        seconds = self.load_seconds if self.load_seconds == "auto" else f"{self.load_seconds:g}"
        return f"{self.again.replace('upheld check', 'upheld load', 1)} --seconds {seconds}{rate}"


@dataclass
class Part:
    """One running target with what drives it."""

    running: Running
    driver: Driver
    transport: HttpTransport
    controls: Controls


@dataclass
class Examination:
    """The state of one run; what is in it when a run is cut short is what the report says."""

    contract: Contract
    options: Options
    listener: Listener
    plan: Plan
    watch: Watch
    budget: Budget
    seed: int
    token: str
    started: datetime.datetime
    played: dict[tuple[str, str], tuple[Promise, Played]] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    fuzzed: FuzzRun | None = None
    load: LoadRun | None = None
    notes: list[str] = field(default_factory=list)
    phases: list[tuple[str, float, int]] = field(default_factory=list)
    stopped: str = ""
    fault: UpheldError | None = None
    refused: CannotProve | None = None
    """Why an identity that the contract names could not sign in."""
    defects: list[str] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    _shown: tuple[str, int, int] = ("", 0, 0)
    _work: tuple[float, int, int] = (0.0, 0, 0)
    """Of the dialogues: when they began, and how many requests they take, about, of how many in all."""

    # -- parts -----------------------------------------------------------------------------------------------------------

    @property
    def raised(self) -> Part:
        return self.parts["raised"]

    def part_of(self, check: Check) -> Part:
        """The target that a check is played against."""
        return self.parts.get(check.requirement.profile, self.raised)

    @property
    def sent(self) -> int:
        """Requests of the run, those of the load too."""
        return self.budget.sent + (self.load.sent if self.load else 0)

    @contextlib.contextmanager
    def phase(self, name: str, total: int = 0) -> Iterator[None]:
        """Tell that a phase begins, and account for it when it ends."""
        began, sent = self.budget.elapsed, self.sent
        self.listener(Progress("phase", name, 0, total, self.sent))
        try:
            yield
        finally:
            self.step(name, total, total)
            self.phases.append((name, round(self.budget.elapsed - began, 2), self.sent - sent))

    def step(self, text: str, done: int, total: int) -> None:
        self._shown = (text, done, total)
        self.listener(Progress("step", text, done, total, self.sent))

    async def tell_waits(self) -> None:
        """While it waits for quotas, tell each second for how long, and how long all that is played will take."""
        while True:
            await asyncio.sleep(1.0)
            told = next((part.driver.pace.told for part in self.parts.values() if part.driver.pace is not None), "")
            if told and self._shown[2]:
                _, done, total = self._shown
                left = self._time_left()
                self.listener(Progress("step", told, done, total, self.sent, seconds_left=left))

    def _time_left(self) -> float | None:
        """As long again for each request as until now; None as long as that says little."""
        began, done, total = self._work
        if done * 10 >= total > 0:
            return (self.budget.elapsed - began) * (total - done) / done
        return None

    # -- the run ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Everything in order. Whatever ends it early is kept in `stopped` and `fault`."""
        await self._kept(self._examine)

    async def press(self) -> None:
        """Set-up and load, nothing else."""

        async def work() -> None:
            with self.phase("set-up"):
                await self.set_up()
            with self.phase("load"):
                await self._load()

        await self._kept(work)

    async def _kept(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except asyncio.CancelledError:
            self.stopped = "interrupted"
        except TargetDied as died:
            self.stopped, self.fault = str(died), died
        except UpheldError as error:
            self.stopped, self.fault = str(error), error
        except Exception as error:  # ours: what was found until now is worth a report all the same
            self.fault = HarnessError(f"{type(error).__name__}: {error}")
            self.stopped = f"a defect of Upheld: {self.fault}"
            self.defects.append("".join(traceback.format_exception(error)[-3:]).strip())
        if not self.stopped and self.budget.refused:
            self.stopped = self.budget.refused

    def note(self, text: str) -> None:
        """Tell something that a reader has to know, now and in the report, once."""
        if text not in self.notes:
            self.notes.append(text)
            self.listener(Progress("note", self.judge().masker(text)))

    async def _examine(self) -> None:
        with self.phase("set-up"):
            await self.set_up()
        alone = [p for p in self.plan.dialogues if p.check.requirement.alone]
        played = [p for p in self.plan.dialogues if not p.check.requirement.alone]
        shipped = [p for p in played if p.check.requirement.profile == "shipped"]
        others = [p for p in played if p.check.requirement.profile != "shipped"]
        # The limits first: their keys are drained at once, and their waits pass while everything else runs. Where nothing waits,
        # they keep those cores busy that fuzzing, one request after the other, leaves idle.
        later = self.options.quick and self.options.fuzz and "shipped" in self.parts
        limits = None if later else asyncio.create_task(self._play_all(shipped, "limits"))
        try:
            with self.phase("dialogues", len(others)):
                await self._play_all(others, "dialogues")
                reached(self.watch.coverage, self.raised.running.url)
                await self._renew_lost()
            limits = limits or asyncio.create_task(self._play_all(shipped, "limits"))
            if self.options.fuzz:
                with self.phase("fuzzing"):
                    await self._fuzz()
            with self.phase("limits", len(shipped)):
                await limits
        except BaseException:
            if limits is not None:
                limits.cancel()
                with contextlib.suppress(BaseException):
                    await limits
            raise
        with self.phase("replays"):
            await self._judge()
        if self.options.load_seconds:
            with self.phase("load"):
                await self._load()
        if alone:
            with self.phase("one at a time", len(alone)):
                # No observer sees it: what is answered without a store says nothing about a service that has one.
                controls = [part.controls for part in self.parts.values()]
                self.cases += await play_alone(alone, lambda p: self._played(p, []), self.judge(), controls)

    async def set_up(self) -> None:
        """Is this the service that the contract describes, and do the credentials work?"""
        await reach(self.contract, self.raised.driver, self.raised.running.url)
        # Whoever studies limits signs in anew each time, so the other target needs nobody before.
        for refused in await self.raised.driver.people.first():
            self.note(str(refused))
            self.refused = self.refused or refused

    async def _play_all(self, promises: Sequence[Promise], name: str) -> None:
        done, sent, cost = 0, 0, sum(promise.weight for promise in promises)
        began = self.budget.elapsed

        async def one(promise: Promise) -> None:
            nonlocal done, sent
            self.played[promise.key] = (promise, await self._played(promise))
            done, sent = done + 1, sent + promise.weight
            self._work = (began, sent, cost)
            self.step(name, done, len(promises))

        await together(one(promise) for promise in promises)

    async def _renew_lost(self) -> None:
        """A credential that died on the way makes what used it worthless: tell it, renew it, play that again."""
        people = self.raised.driver.people
        for person in await people.muster():
            self.note(person.lost)
            again = self._rested_on(person)
            try:
                await people.renew(person)
            except CannotProve as cannot:
                if person.declared:
                    self.note(f"{person.session.name} could not be signed in again: {cannot}")
            await self._play_all(again, "again, with a new credential")
        for person in await people.muster():
            self.note(f"{person.lost} again")
            for promise in self._rested_on(person):
                played = self.played[promise.key][1]
                if not isinstance(played.outcome, Kept):
                    played.outcome = Unproven(f"{person.lost}, when it was played again too", NEVER_LINE)

    async def _played(self, promise: Promise, spied: list[Exchange] | None = None) -> Played:
        """One playing. A dialogue that is broken is a defect of ours, and does not keep the others from being played."""
        try:
            return await self.part_of(promise.check).driver.play(promise.check, promise.subject, spied=spied)
        except HarnessError as defect:
            self.defects.append(str(defect))
            return Played(Unproven(f"a defect of Upheld: {defect}"), "", 0.0)

    def _rested_on(self, person: Person) -> list[Promise]:
        """The promises whose dialogues used this credential."""
        return [
            promise
            for promise, played in self.played.values()
            if person.session.name in played.sessions and played.source in person.used_by
        ]

    # -- fuzzing ---------------------------------------------------------------------------------------------------------

    async def _fuzz(self) -> None:
        from upheld.run.fuzz.phase import FuzzPhase

        only = self.options.since.operations if self.options.since else None
        phase = FuzzPhase(self.contract, self.raised.driver, self.raised.running.url, self.note, self.listener, only)
        try:
            await phase.run(quick=self.options.quick, seed=self.seed, token=self.token)
        finally:
            self.fuzzed = phase.outcome
            if self.fuzzed is not None:
                self.notes.extend(self.fuzzed.notes)
                self.defects.extend(f"fuzzing: {defect}" for defect in self.fuzzed.defects)
        await self._renew_lost()

    # -- judging ---------------------------------------------------------------------------------------------------------

    def judge(self) -> Judge:
        secrets = {value for part in self.parts.values() for value in part.driver.people.secrets}
        secrets |= {value for part in self.parts.values() for value in part.running.env.values()}
        secrets |= {os.environ[name] for _, name in self.contract.policy.environment_names() if name in os.environ}
        masker = Masker({*secrets, *self.contract.given.values()}, self.contract.policy.secret_fields())
        url = self.raised.running.url if self.parts else ""
        pressing = self.options.pressing
        return Judge(self.contract, masker, url, self.options.again, fuzzed=self.fuzzed is not None, pressing=pressing)

    async def _judge(self) -> None:
        judge = self.judge()

        async def again(promise: Promise) -> list[Exchange]:
            exchanges: list[Exchange] = []
            await self._played(promise, exchanges)
            return exchanges

        dialogues = {played.source: promise for promise, played in self.played.values()}
        confirmed = await Confirmation(self.watch, dialogues, again, self.raised.driver.resend).all()
        cases = judge.observed(self.plan, self.watch, confirmed)

        async def replay(promise: Promise) -> Outcome:
            return (await self._played(promise, [])).outcome

        cases += await together(
            judge.played(promise, played.outcome, played.seconds, replay) for promise, played in self.played.values()
        )
        if self.fuzzed is not None:
            judge.engine(cases, (p.check for p in self.plan.promises), self.fuzzed.findings, self.watch)
        self.cases = cases

    async def sessions(self) -> list[Session]:
        """Somebody of every role that can be signed in, as many as upheld.yaml names."""
        from upheld.run.pressing import signed_in

        return await signed_in(self.contract, self.raised.driver.people)

    async def _load(self) -> None:
        from upheld.checks import select
        from upheld.run.pressing import press_on, unusual, write_plan
        from upheld.run.under_load import UnderLoad

        alone = all(promise.check.measure is not None for promise in self.plan.promises)
        checks = select(skip=self.contract.policy.checks.skip).values() if alone else self.plan.observers
        under = UnderLoad(self.contract, checks, self.watch)

        def found(load: LoadRun) -> None:
            self.load, self.cases = load, under.into(self.cases)
            self.notes += [under.note] if under.note else []
            self.watch.broken.update(under.broken)
            under.count_into(self.watch.coverage)

        options, at = self.options, (self.contract, self.raised.running, await self.sessions())
        self.step("load: making unusual requests", 0, 0)
        cases = await unusual(self.contract, options.seed or 0, self.note)
        how: dict[str, Any] = {"seconds": options.load_seconds, "rate": options.load_rate, "seed": self.seed}
        how |= {"corpus": cases, "hear": under.hear}
        if options.save_plan is not None:
            self.notes.append(await asyncio.to_thread(write_plan, options.save_plan, *at, **how))
        else:
            await press_on(*at, self.listener, found, **{**how, **options.load_how})


def examine(
    contract: Contract,
    checks: Sequence[Check],
    running: dict[str, Running],
    options: Options,
    listener: Listener = silent,
) -> Run:
    """Hold the contract against the running targets (``raised`` and, where there are two, ``shipped``).

    Never raises for what the target does: the report says how the run ended.
    """
    only = options.since.includes if options.since else None
    made = plan(contract, checks, quick=options.quick, load=bool(options.load_seconds), only=only)
    examination = prepared(contract, made, options, listener, paced=is_paced(contract, running))
    if options.since:
        examination.note(options.since.told(contract))
    asyncio.run(within(examination, running, examination.run))
    return conclude(examination)


def press(contract: Contract, running: dict[str, Running], options: Options, listener: Listener = silent) -> Run:
    """Only the load run, with identities made for it."""
    from upheld.checks import select

    checks = select(skip=contract.policy.checks.skip).values()
    made = plan(contract, (check for check in checks if check.measure is not None), load=True)
    examination = prepared(contract, made, options, listener)
    asyncio.run(within(examination, running, examination.press))
    return conclude(examination)


def signed_in(
    contract: Contract, running: Running, options: Options, listener: Listener = silent
) -> tuple[list[Session], Masker]:
    """Sessions for loads that are played outside of a run, and what takes their secrets out of a text. Raises `TargetError`."""
    examination = prepared(contract, Plan(()), options, listener)
    sessions: list[Session] = []

    async def work() -> None:
        await examination.set_up()
        sessions.extend(await examination.sessions())

    asyncio.run(within(examination, {"raised": running}, work))
    return sessions, examination.judge().masker


def is_paced(contract: Contract, running: Mapping[str, Running]) -> bool:
    """Whether the target has its limits on, as far as we know: it can't be started with raised ones."""
    return bool(contract.rate_rules) and "profile" not in running["raised"].can


def prepared(
    contract: Contract, made: Plan, options: Options, listener: Listener, *, paced: bool = False
) -> Examination:
    """A run that has not begun."""
    stated = options.seed if options.seed is not None else contract.policy.fuzz.seed
    seed = stated if stated is not None else random.SystemRandom().randrange(1 << 31)
    policy = contract.policy.checks
    seconds = options.seconds or policy.seconds or (PACED_SECONDS if paced else SECONDS)
    return Examination(
        contract,
        options,
        listener,
        made,
        Watch(contract, made.observers),
        Budget(options.requests or policy.requests or REQUESTS, seconds),
        seed,
        token=_token(seed),
        started=datetime.datetime.now().astimezone(),
        notes=[f"{name} can't be signed in: {why}" for name, why in contract.unusable.items()],
    )


async def within(examination: Examination, running: dict[str, Running], work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work`` with everything that drives the running targets."""
    contract = examination.contract
    paced = is_paced(contract, running)
    quota = user_quota(contract) if paced else None
    store = store_of(contract)
    for number, (profile, target) in enumerate(running.items()):
        marker = examination.token + "rst"[number]  # one for each, who may share a database
        steps = (contract.auth.login, contract.auth.register, *contract.logins.values())
        hashing = (step.operation.label for step in steps if step)
        transport = HttpTransport(target.url, marker=marker, slow=hashing)
        controls = Controls(target, target.store or store)
        driver = Driver(
            contract,
            transport,
            Addresses(target.url, zlib.crc32(examination.token.encode()) + 97 * number, seen=target.sees_addresses),
            examination.budget,
            examination.watch,
            token=marker,
            quota=quota,
            concurrency=8 if profile == "raised" else 16,
            alive=target.alive,
            environment={**os.environ, **target.env},
            pace=Pace(contract) if paced else None,
            control=controls.do,
        )
        examination.parts[profile] = Part(target, driver, transport, controls)
    task = asyncio.current_task()
    assert task is not None
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread, or no signals here
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    telling = asyncio.create_task(examination.tell_waits()) if paced else None
    try:
        await work()
    finally:
        if telling is not None:
            telling.cancel()
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            if loop.remove_signal_handler(signal.SIGTERM):
                signal.signal(signal.SIGTERM, before)
        for part in examination.parts.values():
            await part.transport.close()


def _token(seed: int) -> str:
    """Short, different from run to run: two runs with one seed must not meet each other's names."""
    return re.sub(r"[^a-z0-9]", "", f"{seed % 46656:x}{random.SystemRandom().randrange(1 << 20):x}")
