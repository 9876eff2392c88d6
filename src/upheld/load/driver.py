"""Sends a plan by its schedule and counts. Runs in the child process only: it needs gevent.

Each arrival is sent when it is due by the monotonic clock, and its latency counts from that moment: a request that had to wait
because the service (or a connection) was busy has waited. Players take the arrivals by turns, each the next one that nobody has
taken, and another player joins whenever none is free for what is soon due. In the closed model a request is due when
its user has time for it, so that a service that stalls is asked less: the figures are those of its users, not of arrivals.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, count
from typing import Any
from urllib.parse import quote

import gevent

from upheld.load import histogram, kept
from upheld.load.counts import NEAR, WINDOW, Counts
from upheld.load.kept import Kept
from upheld.load.metrics import Moment
from upheld.load.plan import MEMBER, UNIQUE, UNIQUE_UPPER, Plan, Pressed, Renewal, Secrets, Text, render
from upheld.load.renewal import Credentials
from upheld.load.schedule import schedule
from upheld.load.traffic import Next, Traffic

CANARY_PAUSE = 0.05
NULL_PAUSE = 0.25
"""Mean seconds between two requests that do nothing."""
LOOKS_UP_EVERY = 0.2
"""Seconds after which a pause between two arrivals notices that the run was shortened."""
BEGINS_IN = 0.05
STEP = 0.02
"""Seconds between two looks whether what is soon due has a player."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class Answer:
    """``status`` is 0 and ``error`` the exception's name when there was no complete answer."""

    status: int
    error: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Send = Callable[[str, str, Mapping[str, str], bytes | None, str], Answer]
"""method, path, headers, body, label → answer. May raise."""
Request = tuple[str, str, dict[str, str], bytes | None]
"""method, path, headers, body"""
MASK = "***"
SECRET = 4
"""Characters from which on a spliced text is masked in what is kept; shorter ones would garble the rest."""


@dataclass(slots=True, eq=False)
class _Arrival:
    operation: int
    due: float


def _filled(text: Text, values: Mapping[str, str]) -> str:
    # Most texts have no splice at all.
    return text[0] if len(text) == 1 else render(text, values)


class Driver:
    """One run of one plan, or of this generator's part of it."""

    def __init__(
        self,
        plan: Plan,
        secrets: Secrets,
        send: Send,
        *,
        generator: int = 0,
        generators: int = 1,
        namespace: str,
        null: Callable[[], object] | None = None,
    ) -> None:
        """``null`` asks, by the same way, somebody who answers at once: what that takes is noise of ours and of the machine."""
        self.plan = plan
        self.counts = [Counts() for _ in plan.operations]
        self.warm = Counts()
        self.starved: Counter[str] = Counter()
        """Arrivals that could not be sent because no member was left for them to use up."""
        self.stopped = ""
        self.most_in_flight = 0
        self._send = send
        self._null = null
        self._generator, self._generators = generator, generators
        self._seed = f"{plan.seed}/{generator}"
        self._namespace = namespace
        self._unique = count()
        self._traffic = Traffic(plan, generator=generator, generators=generators)
        self._kept = Kept(plan.keep, self._seed)
        self.credentials = Credentials(plan, secrets)
        self._renews = generator == 0
        self.tell: Callable[[str, Mapping[str, Any]], None] = lambda identity, known: None
        """Told of renewed secrets, for the other generators' `Credentials.take_over`."""
        self._in_flight: set[_Arrival] = set()
        self._players: list[gevent.Greenlet] = []
        self._arrivals: Iterator[tuple[float, int]] = iter(())
        self._upcoming: _Arrival | None = None
        """The next arrival, which nobody has taken yet."""
        self._taken: set[_Arrival] = set()
        """Arrivals whose players wait until they are due."""
        self._lateness: Counter[int] = Counter()
        self._noise: Counter[int] = Counter()
        self._zero = 0.0
        self._until = plan.warmup + plan.longest
        """Second of the run at which arrivals end."""
        self._closed = False
        self._cpu = 0.0

    # -- running ---------------------------------------------------------------------------------------------------------

    def run(self, begins_in: float = BEGINS_IN) -> None:
        """Warm up, measure, drain. May be killed at any moment: `result` then tells what was measured until then."""
        # gevent's loop keeps a clock of its own, which has stood still since the imports; timers would end early by as much.
        gevent.get_hub().loop.update_now()
        self._zero = time.monotonic() + begins_in
        self._cpu = time.process_time()
        beside = [gevent.spawn(self._watch_lateness)]
        if self._null is not None:
            beside.append(gevent.spawn(self._watch_noise, self._null))
        beside += [gevent.spawn(self._renew, renewal) for renewal in self.plan.renewals if self._renews]
        try:
            if self.plan.model == "open":
                self._play_arrivals()
            else:
                self._play_users()
            self._wait_until(self._zero + self._until, shortened=True)
            gevent.joinall(self._players, timeout=self.plan.drain)
        except BaseException:
            self.stopped = "interrupted"
            raise
        finally:
            gevent.killall(beside, block=False)
            self._close()

    def end(self, reason: str, at: float) -> None:
        """End the arrivals at this second of the run; what was due before is waited for as ever. Later than planned is ignored."""
        if at < self._until and not self._closed:
            self._until, self.stopped = at, reason

    def _play_arrivals(self) -> None:
        rates = [operation.rate / self._generators for operation in self.plan.operations]
        self._arrivals = schedule(rates, self._until, model=self.plan.arrivals, seed=self._seed)
        self._take()
        while self._upcoming is not None and self._upcoming.due < self._until:
            if self._upcoming.due < self.elapsed + 2 * STEP:
                self._players.append(gevent.spawn(self._take_turns, self._take()))
            else:
                self._wait_until(time.monotonic() + STEP)

    def _take(self) -> _Arrival | None:
        """The next arrival that nobody has taken."""
        taken, following = self._upcoming, next(self._arrivals, None)
        self._upcoming = None if following is None else _Arrival(following[1], following[0])
        if taken is not None:
            self._taken.add(taken)
        return taken

    def _take_turns(self, arrival: _Arrival | None) -> None:
        while arrival is not None:
            self._wait_until(self._zero + arrival.due, shortened=True)
            self._taken.discard(arrival)
            if self._closed or arrival.due >= self._until:
                return
            self._late(time.monotonic() - self._zero - arrival.due)
            arrival.operation = self._traffic.instead(arrival.operation)
            self._count(arrival)
            self._play(arrival)
            arrival = self._take()

    def _play_users(self) -> None:
        mine = range(self._generator, self.plan.users, self._generators)
        self._players = [gevent.spawn(self._be_a_user, number) for number in mine]

    def _be_a_user(self, number: int) -> None:
        chance = random.Random(f"{self.plan.seed}/user {number}")
        weights = list(accumulate(operation.rate for operation in self.plan.operations))
        every = self.plan.users / self.plan.rate
        due = chance.random() * every
        while True:
            self._wait_until(self._zero + due, shortened=True)
            now = time.monotonic() - self._zero
            if max(due, now) >= self._until:
                return
            (operation,) = chance.choices(range(len(weights)), cum_weights=weights)
            arrival = _Arrival(self._traffic.instead(operation), now)
            self._count(arrival)
            self._play(arrival)
            due = max(due + every, time.monotonic() - self._zero)

    def _wait_until(self, moment: float, *, shortened: bool = False) -> None:
        """``shortened``: or until the end of the arrivals, which may come nearer meanwhile."""
        # Again and again: a timer that starts while the loop's clock is behind ends early.
        while (left := moment - time.monotonic()) > 0:
            if shortened:
                if moment - left >= self._zero + self._until:
                    return
                left = min(left, LOOKS_UP_EVERY)
            gevent.sleep(left)

    def _count(self, arrival: _Arrival) -> None:
        self._book_into(arrival).sent += 1
        self._in_flight.add(arrival)
        self.most_in_flight = max(self.most_in_flight, len(self._in_flight))

    def _watch_lateness(self) -> None:
        while True:
            due = time.monotonic() + CANARY_PAUSE
            self._wait_until(due)
            self._late(time.monotonic() - due)

    def _watch_noise(self, null: Callable[[], object]) -> None:
        chance = random.Random(f"{self._seed}/null")
        while True:
            due = time.monotonic() + chance.uniform(0.5, 1.5) * NULL_PAUSE
            self._wait_until(due)
            null()
            self._noise[histogram.key((time.monotonic() - due) * 1000)] += 1

    def _late(self, seconds: float) -> None:
        if time.monotonic() - self._zero >= self.plan.warmup:
            self._lateness[histogram.key(seconds * 1000)] += 1

    def _close(self) -> None:
        """Book what has no answer: older than its limit is over for certain; younger tells nothing and was never sent."""
        now = time.monotonic()
        self._closed = True
        self._until = min(self._until, now - self._zero)
        for arrival in (*self._in_flight, *self._taken):
            counts, begun = self._book_into(arrival), arrival in self._in_flight
            if (now - self._zero - arrival.due) * 1000 > self.plan.operations[arrival.operation].limit_ms:
                counts.sent += not begun
                counts.unfinished += 1
                self._sample(counts, arrival, True)
            else:
                counts.sent -= begun
        self._in_flight.clear()
        gevent.killall(self._players, block=False)

    # -- one request -----------------------------------------------------------------------------------------------------

    def _play(self, arrival: _Arrival) -> None:
        operation = self.plan.operations[arrival.operation]
        asked = self._traffic.next(arrival.operation)
        if asked is None:
            self.starved[operation.name] += arrival.due >= self.plan.warmup
            self._in_flight.discard(arrival)
            self._book_into(arrival).sent -= 1
            return
        try:
            request = self._render(operation, asked)
            answer = self._send(*request, operation.name)
        except Exception as error:  # a greenlet that dies would leave its request without an outcome
            request, answer = None, Answer(0, type(error).__name__)
        latency = (time.monotonic() - self._zero - arrival.due) * 1000
        if arrival not in self._in_flight:
            return
        self._in_flight.discard(arrival)
        self._book(arrival, answer, latency)
        if 200 <= answer.status < 300:
            self._traffic.answered(arrival.operation, answer.body, asked.identity)
        if request and answer.status and self._kept.wants(arrival.operation, answer.status):
            self._keep(arrival, asked, request, answer, latency)

    def _keep(self, arrival: _Arrival, asked: Next, request: Request, answer: Answer, latency: float) -> None:
        method, path, headers, body = request
        secret = dict(self.credentials.headers(asked.identity))
        sent = None if body is None else kept.text(body)
        for text in self.credentials.texts(asked.template.person).values():
            if len(text) >= SECRET:
                sent = sent and sent.replace(text, MASK)
        exchange = kept.Exchange(
            operation=self.plan.operations[arrival.operation].name,
            identity=asked.identity,
            method=method,
            path=path,
            headers={name: value for name, value in headers.items() if name not in secret},
            body=sent,
            status=answer.status,
            answer_headers=tuple(answer.headers.items()),
            answer_body=kept.text(answer.body[: kept.BODY]),
            due=arrival.due,
            latency_ms=latency,
        )
        self._kept.keep(arrival.operation, exchange)

    def _render(self, operation: Pressed, asked: Next) -> Request:
        template, unique = asked.template, self._next_unique()
        values = {
            **self.credentials.texts(template.person),
            UNIQUE: unique,
            UNIQUE_UPPER: unique.upper(),
            MEMBER: quote(asked.member, safe="") if asked.member else "",
        }
        headers = {name: _filled(text, values) for name, text in template.headers}
        headers.update(self.credentials.headers(asked.identity))
        body = None if template.body is None else _filled(template.body, values).encode()
        return operation.method, _filled(template.path, values), headers, body

    def _next_unique(self) -> str:
        number, text = next(self._unique), ""
        for _ in range(6):
            number, digit = divmod(number, 36)
            text = _DIGITS[digit] + text
        return self._namespace + text

    def _renew(self, renewal: Renewal) -> None:
        # By the clocks of two machines; one that is behind renews a little later than it might.
        waited = max(0.0, time.time() - self.plan.made) if self.plan.made else 0.0
        moment: float | None = max(0.0, renewal.first - waited)
        while moment is not None:
            self._wait_until(self._zero + moment)
            try:
                request = self.credentials.request(renewal, self._next_unique())
                answer = self._send(*request, f"{renewal.operation} (renewal)")
            except Exception as error:  # a token that is not renewed is told, and no reason to end the load
                answer = Answer(0, type(error).__name__)
            pause = self.credentials.book(renewal, answer.status, answer.headers, answer.body)
            moment = None if pause is None else time.monotonic() - self._zero + pause
            if renewal.identity not in self.credentials.refused:
                self.tell(renewal.identity, self.credentials.of(renewal.identity))

    # -- booking ---------------------------------------------------------------------------------------------------------

    def _book_into(self, arrival: _Arrival) -> Counts:
        return self.warm if arrival.due < self.plan.warmup else self.counts[arrival.operation]

    def _sample(self, counts: Counts, arrival: _Arrival, over: bool, near: bool = False) -> None:
        counts.sample(arrival.due if counts is self.warm else arrival.due - self.plan.warmup, over, near)

    def _book(self, arrival: _Arrival, answer: Answer, latency: float) -> None:
        counts = self._book_into(arrival)
        if answer.status == 429:
            counts.throttled += 1
            return
        good = not answer.error and 200 <= answer.status < 300
        if good:
            counts.ok += 1
            counts.histogram[histogram.key(latency)] += 1
        else:
            counts.errors[answer.error or str(answer.status)] += 1
        limit = self.plan.operations[arrival.operation].limit_ms
        self._sample(counts, arrival, not good or latency > limit, latency > NEAR * limit)

    # -- telling ---------------------------------------------------------------------------------------------------------

    @property
    def measured(self) -> float:
        """Seconds of the measured part that are done."""
        now = time.monotonic() - self._zero
        return max(0.0, min(self._until, now) - self.plan.warmup) if self._zero else 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the warm-up began."""
        return time.monotonic() - self._zero if self._zero else 0.0

    def interim(self) -> tuple[dict[str, Counts], dict[str, list[int]], int, float]:
        """What `upheld.load.workers.Interim` tells."""
        slowest = max((operation.limit_ms for operation in self.plan.operations), default=0.0) / 1000
        # What is due and has not begun, because the generator is late, is as open as what is unanswered.
        waiting = (arrival.due for arrival in (*self._taken, self._upcoming) if arrival is not None)
        oldest = min((self.elapsed, *waiting))
        before = int(max(0.0, min(oldest, self._until, self.elapsed - slowest) - self.plan.warmup) / WINDOW)
        late: dict[str, list[int]] = {}
        for arrival in self._in_flight:
            oldest = min(oldest, arrival.due)
            window = int((arrival.due - self.plan.warmup) / WINDOW)
            if self.plan.warmup <= arrival.due and window < before:
                late.setdefault(self.plan.operations[arrival.operation].name, []).append(window)
        return self.by_name(), late, before, max(0.0, oldest - self.plan.warmup)

    @property
    def delay_ms(self) -> float:
        """99th percentile of how late this generator was."""
        return histogram.percentile(self._lateness, 0.99) or 0.0

    @property
    def noise_ms(self) -> float | None:
        """95th percentile of a request that does nothing; None when none was asked."""
        return histogram.percentile(self._noise, 0.95)

    def by_name(self) -> dict[str, Counts]:
        """Operation → its counts until now."""
        return {operation.name: counts for operation, counts in zip(self.plan.operations, self.counts, strict=True)}

    def moment(self) -> Moment:
        """For the exposition."""
        return Moment(self.by_name(), len(self._in_flight), self.delay_ms, self.noise_ms)

    def progress(self) -> dict[str, Any]:
        """Where the run is, for whoever shows it."""
        return {
            "elapsed": round(self.elapsed, 3),
            "sent": self.warm.sent + sum(counts.sent for counts in self.counts),
            "samples": sum(counts.samples for counts in self.counts),
            "over": sum(counts.over for counts in self.counts),
            "errors": sum(counts.failed for counts in self.counts),
            "throttled": sum(counts.throttled for counts in self.counts),
            "in_flight": len(self._in_flight),
            "delay_ms": self.delay_ms,
            "noise_ms": self.noise_ms,
        }

    def result(self) -> dict[str, Any]:
        """Everything that the verdict needs."""
        return {
            "plan": self.plan.digest,
            "measured": self.measured,
            "stopped": self.stopped,
            "delay_ms": self.delay_ms,
            "noise_ms": self.noise_ms,
            "wall_seconds": self.elapsed,
            "cpu_seconds": time.process_time() - self._cpu,
            "most_in_flight": self.most_in_flight,
            "starved": dict(+self.starved),
            "renewals": self.credentials.to_json(),
            "warmup": self.warm.to_json(),
            "kept": self._kept.to_json(),
            "left": self._traffic.left(),
            "operations": {name: counts.to_json() for name, counts in self.by_name().items()},
        }
