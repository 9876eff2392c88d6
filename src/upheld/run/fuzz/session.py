"""One fuzzing run from the parent's side: starts the engine, takes in what it tells, repeats failures, sums up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from upheld.errors import HarnessError
from upheld.exchange import Request
from upheld.run.addresses import Addresses
from upheld.run.fuzz import config, seeding
from upheld.run.fuzz.accusations import Accusations
from upheld.run.fuzz.job import job, own_ids
from upheld.run.fuzz.overlay import overlaid
from upheld.run.fuzz.process import HOOKS, Engine
from upheld.run.fuzz.repeat import Repeater
from upheld.run.fuzz.tally import Tally
from upheld.run.fuzz.values import OVER, FuzzRun
from upheld.run.fuzz.values import SPENT as SPENT
from upheld.steps import canary
from upheld.verdict import Listener, Progress

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.exchange import Exchange, Response, Session
    from upheld.run.pace import Pace

BODY_LIMIT = 64 * 1024
"""Octets of a body that are recorded."""
START_UP = 1.5
"""Seconds that the engine takes to be loaded, which its own clock does not count."""
GRACE = 4.0
"""Seconds that the engine has to end when it is asked to, before it is killed."""
LONGEST_AFTER = 15.0
"""Seconds past its time that repeating and reducing may take."""
INTERRUPTED = "interrupted"
COVERAGE_SHARE, FROM_SECONDS = 0.75, 20.0
"""How much of the time the phases that enumerate may take when one round was asked for, and from how many seconds on. The engine
shares time out evenly between operations and gives the repeatable phases as much as these; it is told of more time than there is,
because one operation that is slower than the others needs more. That the whole ends in time is our watch."""
_TICK = 0.2
_ABOUT_US = frozenset({"me", "self", "profile", "whoami", "current", "user", "account", "userinfo"})


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
        pace: Pace | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        self.contract = contract
        self.pace = pace
        self.only = only
        self.document = document
        parts = urlsplit(base_url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.sessions: dict[str, Session | None] = {"user": user, "admin": admin}
        self.seconds = seconds
        self.max_examples = max_examples
        self.wanted = config.phases_of(phases)
        self.seed = seed
        self.token = token
        self.listener = listener
        one_pass = max_examples is not None
        repeatable = len({"fuzzing", "stateful"} & set(self.wanted))
        is_generous = one_pass and seconds >= FROM_SECONDS
        plenty = max(1.0, COVERAGE_SHARE * (repeatable + 1)) if is_generous else 1.0
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
        self.tally = Tally(contract, self.sessions, self.accusations, on_exchange, only=only)
        self._shown = 0.0

    async def run(self) -> FuzzRun:
        """Raises `HarnessError` when the engine cannot run at all."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        with tempfile.TemporaryDirectory(prefix="upheld-fuzz-") as folder:
            await self._engine(Engine(Path(folder)), began + self.seconds)
        after = LONGEST_AFTER if self.pace is None else max(LONGEST_AFTER, *(r.window for r in self.pace.rules))
        left = max(began + self.seconds - loop.time(), min(self.seconds / 4, after))
        if self.tally.stopped == INTERRUPTED:
            left = 2.0
        try:
            await self.accusations.settle(loop.time() + left)
        except asyncio.CancelledError:
            if self.tally.stopped == INTERRUPTED:
                raise
            self.tally.stopped = INTERRUPTED
        return self.tally.summed(loop.time() - began, self.wanted, self.max_examples, self.origin)

    async def _introduce(self) -> None:
        """Ask the service who we are, so that no unsafe request names our own accounts, and make a few things to begin with."""
        send = self.accusations.repeater.send
        operation = canary(self.contract)
        if operation is not None and operation.path.rstrip("/").rsplit("/", 1)[-1] in _ABOUT_US:
            for session in filter(None, self.sessions.values()):
                request = Request(operation.method, operation.path, session=session, operation=operation.label)
                response = await send(request)
                if response is not None and response.ok:
                    self.job["protected"] = sorted({*self.job["protected"], *own_ids(response)})
        self.job["known"] = await seeding.members(self.contract, self.job, self.sessions, send)

    def _quotas(self) -> dict[str, Any] | None:
        """What the engine needs to keep within the quotas that our requests of these identities have used in part."""
        if self.pace is None:
            return None
        people = {who: self.pace.person(session) for who, session in self.sessions.items() if session is not None}
        rules = self.pace.known
        number = {rule: place for place, rule in enumerate(rules)}
        return {
            "rules": [asdict(rule) for rule in rules.values()],
            "prefix": self.contract.prefix,
            "people": people,
            "used": [[number[r], key, age] for key in people.values() for r, age in self.pace.ages(key) if r in number],
        }

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
            only=self.only,
        )
        try:
            await engine.start(overlaid(self.contract, self.document), text, {"fields": fields, "login": login})
            # While the engine is being loaded: a second or more.
            await self._introduce()
            grace = GRACE / 2 if self.max_examples is None else 0.0
            self.job["end"] = time.time() + deadline - asyncio.get_running_loop().time() + grace
            self.job["pace"] = self._quotas()
            engine.give(self.job)
            watchdog = asyncio.create_task(self._watchdog(engine, deadline))
            try:
                await self._listen(engine)
            except asyncio.CancelledError:
                # The first cancellation stops the engine and keeps what was found; a second one passes.
                self.tally.stopped = INTERRUPTED
                for stop in (engine.ask_to_stop, engine.interrupt):
                    stop()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._listen(engine), GRACE / 2)
                        break
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
        """The engine keeps to its time by itself, unless it hangs in one request."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, deadline + GRACE - loop.time()))
        self.tally.stopped = self.tally.stopped or OVER
        engine.interrupt()
        await asyncio.sleep(GRACE)
        self.tally.notes.append("fuzzing: the engine did not end when it was asked to, and was killed")
        engine.kill()

    def _ended(self, engine: Engine, status: int | None) -> None:
        if not self.tally.has_spoken and not self.tally.stopped:
            raise HarnessError(f"the fuzzing engine ended (status {status}) before it began:\n{engine.output}")
        if not self.tally.reason and not self.tally.stopped:
            self.tally.stopped = f"the engine ended early (status {status})"
            self.tally.defects.append(f"{self.tally.stopped}: {engine.output[-400:]}")

    async def _listen(self, engine: Engine) -> None:
        async for line in engine.lines():
            self.tally.take(line)
            self._show()
            # A pipe that is always full never lets anybody else run, the watchdog among them.
            await asyncio.sleep(0)

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown >= _TICK and self.tally.last:
            self._shown = now
            tally = self.tally
            left = max(0.0, tally.began + self.seconds - time.time())
            text = f"fuzzing: {tally.last}"
            self.listener(Progress("step", text, done=tally.cases, requests=tally.requests, seconds_left=left))


def _own_addresses(base_url: str, seed: int) -> list[str]:
    """Source addresses of our own, apart from those that the driver hands out; empty where none can be chosen."""
    addresses = Addresses(base_url, seed)
    if not addresses.available:
        return []
    start = 0x7F000000 | (215 + seed % 30) << 16 | os.getpid() % 200 << 8
    return [".".join(str(start + n >> shift & 255) for shift in (24, 16, 8, 0)) for n in range(2, 250)]
