"""One fuzzing run from the parent's side: starts the engine, takes in what it tells, repeats failures, sums up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from upheld.errors import HarnessError
from upheld.run.addresses import Addresses
from upheld.run.fuzz import config, events, gates
from upheld.run.fuzz.accusations import Accusations
from upheld.run.fuzz.job import VERSION, job
from upheld.run.fuzz.overlay import overlaid
from upheld.run.fuzz.process import HOOKS, Engine
from upheld.run.fuzz.repeat import Repeater
from upheld.run.fuzz.values import FuzzRun, PhaseRun
from upheld.verdict import Listener, Progress

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.exchange import Exchange, Request, Response, Session

BODY_LIMIT = 64 * 1024
"""Octets of a body that are recorded."""
START_UP = 1.5
"""Seconds that the engine takes to be loaded, which its own clock does not count."""
GRACE = 4.0
"""Seconds that the engine has to end when it is asked to, before it is killed."""
LONGEST_AFTER = 15.0
"""Seconds past its time that repeating and reducing may take."""
INTERRUPTED = "interrupted"
SPENT = "its requests were spent"
PLENTY, PLENTY_FROM = 1.5, 20.0
"""How much more time the engine believes to have when one round was asked for, and from how many seconds on. It shares its time
out evenly between operations, and one that is slower than the others needs more; that the whole ends in time is our watch."""
_TICK = 0.2


class Fuzzing:
    """The state of one run."""

    def __init__(
        self,
        contract: Contract,
        document: Mapping[str, Any],
        base_url: str,
        *,
        user: Session | None,
        admin: Session | None,
        resend: Callable[[Request], Awaitable[Response]],
        on_exchange: Callable[[Exchange], None],
        seconds: float,
        max_examples: int | None,
        phases: tuple[str, ...] | None,
        seed: int,
        token: str,
        listener: Listener,
        known: Mapping[str, Sequence[str]],
        protected: Collection[str],
        addresses: Sequence[str] | None,
        requests: int | None = None,
    ) -> None:
        self.contract = contract
        self.document = document
        parts = urlsplit(base_url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.sessions: dict[str, Session | None] = {"user": user, "admin": admin}
        self.on_exchange = on_exchange
        self.seconds = seconds
        self.max_examples = max_examples
        self.wanted = config.phases_of(phases)
        self.seed = seed
        self.token = token
        self.listener = listener
        one_pass = max_examples is not None
        plenty = PLENTY if one_pass and seconds >= PLENTY_FROM else 1.0
        self.engine_seconds = max(1, int((seconds - START_UP) * plenty))
        self.job = job(
            contract,
            user=user,
            admin=admin,
            known=known,
            protected=protected,
            token=token,
            one_pass=one_pass,
            phases=self.wanted,
            engine_seconds=self.engine_seconds,
            body_limit=BODY_LIMIT,
            addresses=_own_addresses(base_url, seed) if addresses is None else addresses,
            wait_budget=seconds / 4,
            requests=requests,
        )
        self.accusations = Accusations(contract, Repeater(contract, resend, self.job), self.job)
        self.reached: dict[str, Counter[int]] = defaultdict(Counter)
        self.errors: dict[str, list[str]] = defaultdict(list)
        self.silences: Counter[str] = Counter()
        self.cut_short: set[str] = set()
        self.notes: list[str] = []
        self.defects: list[str] = []
        self.phases: dict[str, _Phase] = {}
        self.cases = self.requests = self.throttled = self.given_up = self.dropped = 0
        self.reason = ""
        self.stopped = ""
        self._began = time.time()
        self._shown = 0.0
        self._spoken = False

    async def run(self) -> FuzzRun:
        """Raises `HarnessError` when the engine cannot run at all."""
        self._began = time.time()
        loop = asyncio.get_running_loop()
        began = loop.time()
        with tempfile.TemporaryDirectory(prefix="upheld-fuzz-") as folder:
            await self._engine(Engine(Path(folder)), began + self.seconds)
        left = max(began + self.seconds - loop.time(), min(self.seconds / 4, LONGEST_AFTER))
        if self.stopped == INTERRUPTED:
            left = 2.0
        try:
            await self.accusations.settle(loop.time() + left)
        except asyncio.CancelledError:
            if self.stopped == INTERRUPTED:
                raise
            self.stopped = INTERRUPTED
        return self._summed(loop.time() - began)

    # -- the engine ------------------------------------------------------------------------------------------------------

    async def _engine(self, engine: Engine, deadline: float) -> None:
        fields = {who: session.headers for who, session in self.sessions.items() if session is not None}
        user = self.sessions["user"]
        login = {"$user": user.user, "$password": user.password} if user is not None and user.password else {}
        text = config.engine_config(
            self.contract,
            origin=self.origin,
            hooks=HOOKS,
            seconds=self.engine_seconds,
            max_examples=self.max_examples,
            phases=self.wanted,
            seed=self.seed,
            marker=self.token,
            # Ten seconds are the engine's own; a short run cannot spend them on one operation that hangs.
            request_timeout=round(min(10.0, max(2.0, self.seconds / 10)), 1),
        )
        try:
            await engine.start(
                overlaid(self.contract, self.document), text, self.job, {"fields": fields, "login": login}
            )
            watchdog = asyncio.create_task(self._watchdog(engine, deadline))
            try:
                await self._listen(engine)
            except asyncio.CancelledError:
                # The first cancellation stops the engine and keeps what was found; a second one passes.
                self.stopped = INTERRUPTED
                engine.interrupt()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._listen(engine), GRACE)
                engine.kill()
            finally:
                watchdog.cancel()
        except BaseException:
            engine.kill()
            raise
        finally:
            status = await engine.close()
        self._ended(engine, status)

    async def _watchdog(self, engine: Engine, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        grace = GRACE if self.max_examples is None else 0.0
        await asyncio.sleep(max(0.0, deadline + grace - loop.time()))
        self.stopped = self.stopped or "its time was over"
        engine.interrupt()
        await asyncio.sleep(GRACE)
        self.notes.append("fuzzing: the engine did not end when it was asked to, and was killed")
        engine.kill()

    def _ended(self, engine: Engine, status: int | None) -> None:
        if not self._spoken:
            raise HarnessError(f"the fuzzing engine ended (status {status}) before it began:\n{engine.output}")
        if not self.reason and not self.stopped:
            self.stopped = f"the engine ended early (status {status})"
            self.defects.append(f"{self.stopped}: {engine.output[-400:]}")

    async def _listen(self, engine: Engine) -> None:
        async for line in engine.lines():
            self._spoken = True
            handler = getattr(self, "_on_" + line["t"].replace("-", "_"), None)
            if handler is not None:
                handler(line)
            if line["t"] in ("x", "scenario"):
                # Observers take their time; a repetition waits for its turn between two lines.
                await asyncio.sleep(0)

    # -- lines -----------------------------------------------------------------------------------------------------------

    def _on_hello(self, line: Mapping[str, Any]) -> None:
        if line["version"] != VERSION:
            raise HarnessError(f"the engine's hooks speak version {line['version']}, not {VERSION}")

    def _on_x(self, line: Mapping[str, Any]) -> None:
        sent = events.sent(line, self.sessions, self._began)
        self.requests += 1
        if not sent.is_probe:
            self.cases += 1
            self._phase(sent.phase).cases += 1
            if sent.is_own_method:
                self.reached[sent.label][sent.exchange.response.status] += 1
        self.on_exchange(sent.exchange)
        self.accusations.take(sent)
        self._show(f"{sent.phase} {sent.label}")

    def _on_silence(self, line: Mapping[str, Any]) -> None:
        self.requests += 1
        self.silences[line["op"]] += 1

    def _on_scenario(self, line: Mapping[str, Any]) -> None:
        phase = self._phase(line["phase"])
        self.dropped += line["dropped"]
        self.accusations.scenario_over()
        if line["phase"] == "stateful":
            phase.scenarios += 1
            phase.followed.update(line["links"])
        elif line["cut"] or line["status"] == "interrupted":
            self.cut_short.add(line["op"])

    def _on_phase(self, line: Mapping[str, Any]) -> None:
        phase = self._phase(line["phase"])
        phase.began = time.monotonic()
        phase.status = "unfinished"
        phase.links = max(phase.links, line["links"])

    def _on_phase_end(self, line: Mapping[str, Any]) -> None:
        phase = self._phase(line["phase"])
        # A later round that had nothing to do does not unmake the first.
        if phase.cases and line["status"] == "skip":
            line = {**line, "status": "success", "skipped": ""}
        phase.status, phase.skipped = line["status"], line["skipped"]
        phase.seconds += time.monotonic() - phase.began

    def _on_error(self, line: Mapping[str, Any]) -> None:
        is_network = line["title"] == "Network Error"
        sentence = _first_line(line["text"] if is_network else f"engine error: {line['title']}: {line['text']}")
        if line["op"]:
            self.errors[line["op"]].append(sentence)
        else:
            # What follows are the engine's own curl lines, credentials and all.
            self.notes.append(f"fuzzing, {line['phase'] or 'run'}: {sentence.partition(' Last request')[0]}")
        if line["title"] in ("Runtime Error", "Hook Error", "Configuration Error"):
            self.defects.append(f"{line['op'] or line['phase'] or 'run'}: {sentence}")

    def _on_fatal(self, line: Mapping[str, Any]) -> None:
        self.stopped = "the engine could not go on"
        self.defects.append(_first_line(line["text"]))

    def _on_defect(self, line: Mapping[str, Any]) -> None:
        self.defects.append(line["text"])

    def _on_warning(self, line: Mapping[str, Any]) -> None:
        self.notes.append(f"fuzzing: {_first_line(line['text'])}")

    def _on_end(self, line: Mapping[str, Any]) -> None:
        self.reason = line["reason"]

    def _on_bye(self, line: Mapping[str, Any]) -> None:
        self.throttled, self.given_up = line["throttled"], line["given_up"]
        if line.get("spent"):
            self.stopped = self.stopped or SPENT

    def _phase(self, name: str) -> _Phase:
        return self.phases.setdefault(name, _Phase())

    def _show(self, text: str) -> None:
        now = time.monotonic()
        if now - self._shown >= _TICK:
            self._shown = now
            left = max(0.0, self._began + self.seconds - time.time())
            self.listener(
                Progress("step", f"fuzzing: {text}", done=self.cases, requests=self.requests, seconds_left=left)
            )

    # -- the sum ---------------------------------------------------------------------------------------------------------

    def _summed(self, seconds: float) -> FuzzRun:
        findings = tuple(self.accusations.findings())
        labels = [operation.label for operation in self.contract.operations]
        phases = tuple(phase.frozen(name) for name in self.wanted if (phase := self.phases.get(name)) is not None)
        if self.reason == "server_unavailable":
            self.stopped = self.stopped or "the service did not answer any more"
        notes = [*self.notes, *gates.phase_notes(self.wanted, phases, self.max_examples or 1)]
        if self.given_up:
            notes.append(
                f"fuzzing: {self.given_up} answers were 429 or 503 although they were waited for; those cases tell nothing"
            )
        if self.dropped:
            notes.append(f"fuzzing: {self.dropped} failures were dropped because the answer was a 429 or 503")
        if gates.is_foreign(self.reached):
            # A set-up error, not a report: what the wrong service does is nobody's finding.
            findings = ()
            self.stopped = f"nearly every answer was 404; is {self.origin} the service that the contract describes?"
            notes = [f"fuzzing: {self.stopped}"]
        notes += self.accusations.notes
        self.defects += self.accusations.defects
        throttled = self.given_up > self.requests * gates.MOST_THROTTLED
        unfinished = any(phase.status == "unfinished" for phase in phases)
        return FuzzRun(
            cases=self.cases,
            seconds=round(seconds, 3),
            findings=findings,
            reached={label: dict(counts) for label, counts in self.reached.items()},
            lost=tuple(
                gates.lost_operations(
                    labels, self.contract.dangerous, self.reached, self.errors, self.silences, self.cut_short
                )
            ),
            notes=tuple(dict.fromkeys(notes)),
            complete=not (self.stopped or unfinished or self.defects or self.cut_short or throttled),
            phases=phases,
            requests=self.requests + self.accusations.repeater.requests,
            throttled=self.throttled,
            stopped=self.stopped,
            defects=tuple(dict.fromkeys(self.defects)),
            counts=dict(self.accusations.counts),
        )


class _Phase:
    def __init__(self) -> None:
        self.status = "unfinished"
        self.skipped = ""
        self.cases = self.scenarios = self.links = 0
        self.seconds = 0.0
        self.began = time.monotonic()
        self.followed: set[str] = set()

    def frozen(self, name: str) -> PhaseRun:
        links = (len(self.followed), self.links)
        return PhaseRun(name, self.status, self.cases, round(self.seconds, 3), self.skipped, self.scenarios, links)


def _first_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _own_addresses(base_url: str, seed: int) -> list[str]:
    """Source addresses of our own, apart from those that the driver hands out; empty where none can be chosen."""
    addresses = Addresses(base_url, seed)
    if not addresses.available:
        return []
    start = 0x7F000000 | (215 + seed % 30) << 16 | os.getpid() % 200 << 8
    return [".".join(str(start + n >> shift & 255) for shift in (24, 16, 8, 0)) for n in range(2, 250)]
