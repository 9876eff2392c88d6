"""Plays dialogues concurrently, each in a lane of its own: identity, source address, connections."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from upheld.check import (
    Action,
    Burst,
    CannotProve,
    Check,
    Control,
    Deed,
    Finding,
    Lane,
    Move,
    NoAnswer,
    Outcome,
    Raw,
    Secret,
    Send,
    SignIn,
    Spread,
    SpreadAnswer,
    Subject,
    Unproven,
    Wait,
)
from upheld.errors import HarnessError, TargetDied
from upheld.exchange import Exchange, Request, Response, Session
from upheld.run.addresses import Addresses
from upheld.run.budget import Budget
from upheld.run.pace import Claim, Pace
from upheld.run.people import People
from upheld.run.transport import Refused, Transport, request_of
from upheld.run.watch import Watch

if TYPE_CHECKING:
    from upheld.contract import Contract

T = TypeVar("T")

LONGEST_RETRY_AFTER = 65.0
"""Seconds that are waited at most for one 429 or 503: a window of a minute and a little."""
SOONER = 0.1
"""Seconds that another address has to save. Time goes on between two looks at the book, so that each looks sooner by a little."""

TICK = 0.005
"""Seconds between two looks at how late we are ourselves, where latencies are compared."""

REMEMBERED = 40
"""Exchanges that are kept of a dialogue which ends with a finding: the last ones."""

_in_dialogue: ContextVar[bool] = ContextVar("in_dialogue", default=False)
"""Whether what is going on holds a place among the dialogues that are played at once, also while it signs somebody in."""


@dataclass
class Played:
    """One playing of a dialogue."""

    outcome: Outcome
    source: str
    seconds: float
    sessions: set[str] = field(default_factory=set)
    """Names of the shared identities that it used."""
    last: Exchange | None = None
    exchanges: tuple[Exchange, ...] = ()
    """The last `REMEMBERED` of a dialogue that ended with a finding."""


@dataclass
class _Stand:
    """Where one playing stands: its address and the people it has met."""

    source: str
    address: str | None
    studies_limits: bool
    spied: list[Exchange] | None = None
    """A replay's exchanges go here, and to no observer, so that nothing is counted twice."""
    moved_on: bool = False
    people: list[str] = field(default_factory=list)
    shared: set[str] = field(default_factory=set)
    last: Exchange | None = None
    heard: deque[Exchange] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


class Driver:
    """Sends for every dialogue of one target."""

    def __init__(
        self,
        contract: Contract,
        transport: Transport,
        addresses: Addresses,
        budget: Budget,
        watch: Watch,
        *,
        token: str,
        quota: int | None,
        concurrency: int = 8,
        alive: Callable[[], bool] = lambda: True,
        environment: Mapping[str, str] = os.environ,
        pace: Pace | None = None,
        control: Callable[[Deed], None] | None = None,
    ) -> None:
        self.contract = contract
        self.transport = transport
        self.addresses = addresses
        self.budget = budget
        self.watch = watch
        self.token = token
        self.pace = pace
        """Keeps what is sent within the quotas; None where the limits are raised."""
        self.people = People(contract, self.send_from, addresses.fresh, token, quota, environment)
        self.throttled = 0
        """429 and 503 answers that were waited out."""
        self._control = control
        self._slots = asyncio.Semaphore(concurrency)
        self._alive = alive
        self._lanes = 0
        self._silent: Counter[str] = Counter()
        self._silences = 0
        self._life = asyncio.Lock()
        self._seen_alive = 0.0
        self._drowned: set[str] = set()
        """What answered 429 to every try: asked again, it is not waited for."""
        self._unavailable: set[str] = set()
        """What answered 503 to every try: asked again, it is not waited for."""

    # -- dialogues -------------------------------------------------------------------------------------------------------

    async def play(self, check: Check, subject: Subject, *, spied: list[Exchange] | None = None) -> Played:
        """Play a dialogue to its end. A replay gives ``spied``, which receives its exchanges in place of the observers.

        Raises `TargetDied`; `HarnessError` when the dialogue itself is broken.
        """
        assert check.converse is not None
        self._lanes += 1
        lane = Lane(self.contract, subject, f"{self.token}{_base36(self._lanes)}")
        source = f"{check.id}[{subject.label}]#{self._lanes}"
        stand = _Stand(source, self.addresses.fresh(), check.requirement.profile == "shipped", spied)
        async with self._slots:
            began = time.monotonic()
            held = _in_dialogue.set(True)
            try:
                outcome = await self._converse(check, lane, stand)
            finally:
                _in_dialogue.reset(held)
        heard = tuple(stand.heard) if isinstance(outcome, Finding) else ()
        return Played(outcome, source, time.monotonic() - began, stand.shared, stand.last, heard)

    async def _converse(self, check: Check, lane: Lane, stand: _Stand) -> Outcome:
        assert check.converse is not None
        conversation = check.converse(lane)
        try:
            action = next(conversation)
            while True:
                try:
                    answer = await self._act(action, stand)
                except CannotProve as cannot:
                    action = conversation.throw(cannot)
                else:
                    action = conversation.send(answer)
        except StopIteration as end:
            return end.value if end.value is not None else Unproven("the dialogue ended without an outcome")
        except CannotProve as cannot:
            return cannot.outcome
        except (TargetDied, asyncio.CancelledError):
            raise
        except Exception as error:
            raise HarnessError(f"{stand.source}: {type(error).__name__}: {error}") from error
        finally:
            conversation.close()

    async def _act(self, action: Action, stand: _Stand) -> Any:
        match action:
            case Send(request, new_connection):
                return await self._exchange(request, stand, new_connection)
            case Burst(requests):
                return await self._burst(requests, stand)
            case Spread(timed):
                return await self._spread(timed, stand)
            case Raw():
                return await self._raw(action, stand)
            case Wait(seconds):
                await self._pause(seconds)
                return None
            case SignIn(role, fresh):
                return await self._introduce(role, fresh or stand.studies_limits, stand)
            case Secret(variable):
                return self.people.environment(variable)
            case Control(deed):
                if self._control is None:
                    raise CannotProve("the target is not ours to control")
                return await asyncio.to_thread(self._control, deed)
            case Move():
                stand.address = self.addresses.fresh()
                if stand.address is None:
                    why = f"another source address is needed, and {self.addresses.why_none}"
                    raise CannotProve(why, self.addresses.line)
                return None

    async def _introduce(self, role: str | None, fresh: bool, stand: _Stand) -> Session:
        # Whoever signs in somebody that is shared keeps a place while waiting: those who wait for that have all the others.
        held = _in_dialogue.set(fresh and _in_dialogue.get())
        try:
            session = await self.people.sign_in(role, fresh=fresh, not_these=stand.people)
        finally:
            _in_dialogue.reset(held)
        stand.people.append(session.name)
        if not fresh:
            stand.shared.add(session.name)
        return session

    async def _pause(self, seconds: float) -> None:
        """Wait without holding a place, so that waits overlap."""
        self.budget.allow(seconds)
        if not _in_dialogue.get():
            await asyncio.sleep(seconds)
            return
        self._slots.release()
        try:
            await asyncio.sleep(seconds)
        finally:
            await self._slots.acquire()

    async def _burst(self, requests: Sequence[Request], stand: _Stand) -> list[Response]:
        places = await self._admitted(requests, stand)
        stands = [
            replace(stand) for _ in requests
        ]  # one that is sent again from elsewhere does not take the others along
        answers = await asyncio.gather(
            *(self._exchange(*each) for each in zip(requests, stands, [True] * len(requests), places, strict=True))
        )
        stand.last = max((s.last for s in stands if s.last), key=lambda x: x.response.at, default=stand.last)
        return answers

    async def _spread(self, timed: Sequence[tuple[float, Request]], stand: _Stand) -> SpreadAnswer:
        requests = [request for _, request in timed]
        places = await self._admitted(requests, stand)
        lateness: list[float] = []

        async def tick() -> None:
            while True:
                due = time.perf_counter() + TICK
                await asyncio.sleep(TICK)
                lateness.append(time.perf_counter() - due)

        async def one(after: float, request: Request, claims: set[Claim]) -> Response:
            await asyncio.sleep(after)
            return await self._exchange(request, replace(stand), True, claims)

        ticking = asyncio.create_task(tick())
        try:
            answers = await asyncio.gather(
                *(one(after, request, claims) for (after, request), claims in zip(timed, places, strict=True))
            )
        finally:
            ticking.cancel()
        lateness.sort()
        late = lateness[len(lateness) * 95 // 100] if lateness else 0.0
        return SpreadAnswer(tuple(answers), late)

    async def _raw(self, action: Raw, stand: _Stand) -> Any:
        request = action.request or request_of(action.data)
        places = await self._admitted([request] * max(1, action.responses), stand) if request is not None else []
        try:
            self.budget.take()
            answer = await self._guarded(
                lambda: self.transport.raw(action, address=stand.address), request.operation if request else None
            )
        finally:
            for claims in places:
                self._left(claims)
        if action.request is not None:
            for response in answer.responses:
                self._told(action.request, response, stand)
        return answer

    # -- one exchange ----------------------------------------------------------------------------------------------------

    async def send_from(self, request: Request, address: str | None) -> Response:
        """Send outside a dialogue (sign-in, canary, clean re-send), backing off where told to."""
        # A source of its own: two registrations that show the same are two sightings, and can't be repeated with one body.
        self._lanes += 1
        stand = _Stand(f"sign-in #{self._lanes}", address, studies_limits=False)
        return await self._exchange(request, stand, False)

    async def ask(self, request: Request) -> Response:
        """Send once from a fresh address; any answer is one, also 429."""
        stand = _Stand("canary", self.addresses.fresh(), studies_limits=True)
        return await self._exchange(request, stand, False)

    async def resend(self, request: Request) -> Response:
        """Send on an idle connection from a fresh address, unobserved: for replays."""
        stand = _Stand("replay", self.addresses.fresh(), studies_limits=False, spied=[])
        return await self._exchange(request, stand, True)

    async def _admitted(self, requests: Sequence[Request], stand: _Stand) -> list[set[Claim]]:
        """Wait until the quotas have room for all of these, or go on from an address that has. The places that each takes."""
        if self.pace is None:
            return [set() for _ in requests]
        while True:
            places = [self.pace.of(request, stand.address) for request in requests]
            seconds = 0.0 if stand.studies_limits else self.pace.delay(_counted(places))
            if not seconds:
                break
            elsewhere = self.addresses.fresh()
            there = self.pace.delay(_counted([self.pace.of(request, elsewhere) for request in requests]))
            if there < seconds - SOONER:
                stand.address = elsewhere
                continue
            with self.pace.waiting(seconds):
                await self._pause(seconds)
        for claims in places:
            self.pace.enter(claims)
        return places

    def _left(self, claims: set[Claim]) -> None:
        if self.pace is not None:
            self.pace.leave(claims)

    async def _exchange(
        self, request: Request, stand: _Stand, new_connection: bool, places: set[Claim] | None = None
    ) -> Response:
        label = request.operation
        if label is not None and self._silent[label] >= 2:
            self._left(places or set())
            raise NoAnswer("silent", f"{label} gave no answer twice before and is not called any more")
        waited = 0.0
        for attempt in range(8):
            claims = places if places is not None else (await self._admitted([request], stand))[0]
            places = None
            try:
                response = await self._once(request, stand, new_connection)
            finally:
                self._left(claims)
            if self.pace is not None:
                self.pace.answered(claims, request, stand.address, response)
            self._told(request, response, stand)
            if stand.studies_limits or (seconds := self._back_off(request, response, attempt)) is None:
                return response
            self.throttled += 1
            waited += seconds
            if not stand.moved_on and self.addresses.available:
                stand.moved_on = True  # a limit keyed by address has not seen this one
                stand.address = self.addresses.fresh()
            elif (
                seconds > LONGEST_RETRY_AFTER
                or waited > 2 * LONGEST_RETRY_AFTER
                or (label or request.path) in self._drowned
            ):
                break
            else:
                await self._pause(seconds)
        self._drowned.add(label or request.path)
        raise CannotProve(
            f"{label or request.path} answered {response.status} to every try", "target: {start: …} with raised limits"
        )

    async def _once(self, request: Request, stand: _Stand, new_connection: bool) -> Response:
        async def go(new: bool) -> Response:
            self.budget.take()
            return await self._guarded(
                lambda: self.transport.send(request, address=stand.address, new_connection=new), request.operation
            )

        try:
            return await go(new_connection)
        except NoAnswer as none:
            # A peer may close an idle connection in the moment that it is used (RFC 9112 §9.3.1).
            if new_connection or none.how != "closed" or request.method not in ("GET", "HEAD"):
                raise
            return await go(True)

    def _back_off(self, request: Request, response: Response, attempt: int) -> float | None:
        """How long to wait before the same request is sent again; None when the response is an answer."""
        name = request.operation or request.path
        seconds = _back_off(response, attempt)
        if response.status != 503:
            self._unavailable.discard(name)
        elif seconds is None or name in self._unavailable:
            self._unavailable.add(name)
            return None
        return seconds

    def _told(self, request: Request, response: Response, stand: _Stand) -> None:
        exchange = Exchange(request, response, source=stand.source)
        stand.last = exchange
        stand.heard.append(exchange)
        self.people.note(request, response, stand.source)
        if stand.spied is None:
            self.watch.feed(exchange)
        else:
            stand.spied.append(exchange)

    async def _guarded(self, call: Callable[[], Awaitable[T]], label: str | None) -> T:
        """Tell a silent operation from a dead target."""
        for attempt in range(4):
            try:
                async with self.budget.within():
                    answer = await call()
            except Refused as refused:
                if attempt == 3 or not await self._is_alive():
                    raise TargetDied(f"the target does not answer any more: {refused}") from refused
                await asyncio.sleep(0.2 * (attempt + 1))
            except NoAnswer as silent:
                if not await self._is_alive():
                    raise TargetDied(f"the target does not answer any more: {silent}") from silent
                if silent.how == "silent":
                    self._silences += 1
                    if label:
                        self._silent[label] += 1
                    if self._silences >= 12:
                        raise TargetDied(f"12 requests in a row got no answer; the last: {silent}") from silent
                raise
            else:
                self._silences = 0
                return answer
        raise AssertionError("unreachable")

    async def _is_alive(self) -> bool:
        """Asks the target, in a thread: who waits for it must not keep the others' answers waiting."""
        async with self._life:
            if time.monotonic() - self._seen_alive < 1.0:
                return True
            alive = await asyncio.to_thread(self._alive)
            if alive:
                self._seen_alive = time.monotonic()
            return alive


def _counted(places: Sequence[set[Claim]]) -> Counter[Claim]:
    return Counter(claim for claims in places for claim in claims)


def retry_after(response: Response) -> float | None:
    """Seconds that Retry-After asks for (RFC 9110 §10.2.3: a number or an HTTP-date); None when absent or malformed."""
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,12}", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _back_off(response: Response, attempt: int) -> float | None:
    if response.status == 429:
        asked = retry_after(response)
        return asked + 0.05 if asked is not None else min(LONGEST_RETRY_AFTER, 2.0**attempt)
    if response.status == 503 and attempt < 2:
        asked = retry_after(response)
        return min(10.0, asked if asked is not None else 1.0)
    return None


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = digits[digit] + text
    return text or "0"
