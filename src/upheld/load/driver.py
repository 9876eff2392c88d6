"""Sends a plan by its schedule and counts. Runs in the child process only: it needs gevent.

Each arrival is a greenlet of its own, started when it is due by the monotonic clock, and its latency counts from that moment:
a request that had to wait because the service (or a connection) was busy has waited.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote

import gevent

from upheld.load import histogram
from upheld.load.counts import Counts
from upheld.load.plan import MEMBER, UNIQUE, UNIQUE_UPPER, Plan, Pressed, Renewal, Secrets, render
from upheld.load.renewal import Credentials
from upheld.load.schedule import schedule
from upheld.load.traffic import Next, Traffic

CANARY_PAUSE = 0.02
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` is 0 and ``error`` the exception's name when there was no complete answer."""

    status: int
    error: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Send = Callable[[str, str, Mapping[str, str], bytes | None, str], Answer]
"""method, path, headers, body, label → answer. May raise."""


@dataclass(slots=True, eq=False)
class _Arrival:
    operation: int
    due: float


class Driver:
    """One run of one plan, or of this generator's part of it."""

    def __init__(
        self, plan: Plan, secrets: Secrets, send: Send, *, generator: int = 0, generators: int = 1, namespace: str
    ) -> None:
        self.plan = plan
        self.counts = [Counts() for _ in plan.operations]
        self.warm = Counts()
        self.starved: Counter[str] = Counter()
        """Arrivals that could not be sent because no member was left for them to use up."""
        self.stopped = ""
        self.most_in_flight = 0
        self._send = send
        self._share = 1 / generators
        self._seed = f"{plan.seed}/{generator}"
        self._namespace = namespace
        self._unique = count()
        self._traffic = Traffic(plan, generator=generator)
        self.credentials = Credentials(plan, secrets)
        self._renews = generator == 0
        self.tell: Callable[[str, Mapping[str, Any]], None] = lambda identity, known: None
        """Told of renewed secrets, for the other generators' `Credentials.take_over`."""
        self._in_flight: set[_Arrival] = set()
        self._greenlets: set[gevent.Greenlet] = set()
        self._lateness: Counter[int] = Counter()
        self._zero = 0.0
        self._ended = 0.0
        self._cpu = 0.0

    # -- running ---------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Warm up, measure, drain. May be killed at any moment: `result` then tells what was measured until then."""
        # gevent's loop keeps a clock of its own, which has stood still since the imports; timers would end early by as much.
        gevent.get_hub().loop.update_now()
        self._zero = time.monotonic() + 0.05
        self._cpu = time.process_time()
        beside = [gevent.spawn(self._watch_lateness)]
        beside += [gevent.spawn(self._renew, renewal) for renewal in self.plan.renewals if self._renews]
        try:
            rates = [operation.rate * self._share for operation in self.plan.operations]
            total = self.plan.warmup + self.plan.seconds
            for due, operation in schedule(rates, total, model=self.plan.arrivals, seed=self._seed):
                self._wait_until(self._zero + due)
                self._start(_Arrival(operation, due))
            self._wait_until(self._zero + total)
            self._ended = time.monotonic()
            gevent.joinall(list(self._greenlets), timeout=self.plan.drain)
        except BaseException:
            self.stopped = "interrupted"
            raise
        finally:
            gevent.killall(beside, block=False)
            self._close()

    def _wait_until(self, moment: float) -> None:
        # Again and again: a timer that starts while the loop's clock is behind ends early.
        while (left := moment - time.monotonic()) > 0:
            gevent.sleep(left)

    def _start(self, arrival: _Arrival) -> None:
        self._book_into(arrival).sent += 1
        self._in_flight.add(arrival)
        self.most_in_flight = max(self.most_in_flight, len(self._in_flight))
        greenlet = gevent.spawn(self._play, arrival)
        self._greenlets.add(greenlet)
        greenlet.rawlink(self._greenlets.discard)

    def _watch_lateness(self) -> None:
        while True:
            due = time.monotonic() + CANARY_PAUSE
            self._wait_until(due)
            self._late(time.monotonic() - due)

    def _late(self, seconds: float) -> None:
        if time.monotonic() - self._zero >= self.plan.warmup:
            self._lateness[histogram.key(seconds * 1000)] += 1

    def _close(self) -> None:
        """Book what has no answer: older than its limit is over for certain; younger tells nothing and was never sent."""
        now = time.monotonic()
        self._ended = self._ended or now
        for arrival in self._in_flight:
            counts = self._book_into(arrival)
            if (now - self._zero - arrival.due) * 1000 > self.plan.operations[arrival.operation].limit_ms:
                counts.unfinished += 1
                self._sample(counts, arrival, True)
            else:
                counts.sent -= 1
        self._in_flight.clear()
        gevent.killall(list(self._greenlets), block=False)

    # -- one request -----------------------------------------------------------------------------------------------------

    def _play(self, arrival: _Arrival) -> None:
        self._late(time.monotonic() - self._zero - arrival.due)
        operation = self.plan.operations[arrival.operation]
        asked = self._traffic.next(arrival.operation)
        if asked is None:
            self.starved[operation.name] += arrival.due >= self.plan.warmup
            self._in_flight.discard(arrival)
            self._book_into(arrival).sent -= 1
            return
        answer = self._ask(operation, asked)
        latency = (time.monotonic() - self._zero - arrival.due) * 1000
        if arrival not in self._in_flight:
            return
        self._in_flight.discard(arrival)
        self._book(arrival, answer, latency)
        if 200 <= answer.status < 300:
            self._traffic.answered(arrival.operation, answer.body, asked.identity)

    def _ask(self, operation: Pressed, asked: Next) -> Answer:
        try:
            return self._send(*self._render(operation, asked), operation.name)
        except Exception as error:  # a greenlet that dies would leave its request without an outcome
            return Answer(0, type(error).__name__)

    def _render(self, operation: Pressed, asked: Next) -> tuple[str, str, dict[str, str], bytes | None]:
        template, unique = asked.template, self._next_unique()
        values = {
            **self.credentials.texts(template.person),
            UNIQUE: unique,
            UNIQUE_UPPER: unique.upper(),
            MEMBER: quote(asked.member, safe=""),
        }
        headers = {name: render(text, values) for name, text in template.headers}
        headers.update(self.credentials.headers(asked.identity))
        body = None if template.body is None else render(template.body, values).encode()
        return operation.method, render(template.path, values), headers, body

    def _next_unique(self) -> str:
        number, text = next(self._unique), ""
        for _ in range(6):
            number, digit = divmod(number, 36)
            text = _DIGITS[digit] + text
        return self._namespace + text

    def _renew(self, renewal: Renewal) -> None:
        moment: float | None = renewal.first
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

    def _sample(self, counts: Counts, arrival: _Arrival, over: bool) -> None:
        counts.sample(arrival.due if counts is self.warm else arrival.due - self.plan.warmup, over)

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
        self._sample(counts, arrival, not good or latency > limit)

    # -- telling ---------------------------------------------------------------------------------------------------------

    @property
    def measured(self) -> float:
        """Seconds of the measured part that are done."""
        end = self._ended or time.monotonic()
        return max(0.0, min(self.plan.seconds, end - self._zero - self.plan.warmup)) if self._zero else 0.0

    def progress(self) -> dict[str, Any]:
        """Where the run is, for whoever shows it."""
        return {
            "elapsed": round(time.monotonic() - self._zero, 3) if self._zero else 0.0,
            "sent": self.warm.sent + sum(counts.sent for counts in self.counts),
            "samples": sum(counts.samples for counts in self.counts),
            "over": sum(counts.over for counts in self.counts),
            "errors": sum(counts.failed for counts in self.counts),
            "throttled": sum(counts.throttled for counts in self.counts),
            "in_flight": len(self._in_flight),
        }

    def result(self) -> dict[str, Any]:
        """Everything that the verdict needs."""
        wall = time.monotonic() - self._zero if self._zero else 0.0
        return {
            "plan": self.plan.digest,
            "measured": self.measured,
            "stopped": self.stopped,
            "delay_ms": histogram.percentile(self._lateness, 0.99) or 0.0,
            "wall_seconds": wall,
            "cpu_seconds": time.process_time() - self._cpu,
            "most_in_flight": self.most_in_flight,
            "starved": dict(+self.starved),
            "renewals": self.credentials.to_json(),
            "warmup": self.warm.to_json(),
            "operations": {
                operation.name: counts.to_json()
                for operation, counts in zip(self.plan.operations, self.counts, strict=True)
            },
        }
