"""Runs whose truth is known, for tests and benchmarks of the verdict: requests that wait in one queue with those before them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from upheld.load.counts import Counts

LIMIT = 200.0


@dataclass(frozen=True, slots=True)
class Queue:
    """M/M/1: Poisson arrivals, exponential service, one server. The time in the system is exponential, so that its p95 is known."""

    load: float
    """Utilisation."""
    rate: float = 50.0
    """Requests a second that are counted."""
    part: float = 1.0
    """Of all that wait in the queue, the share that is counted; the rest are of other operations."""
    p95: float = 1.0
    """The true p95 as a share of the limit."""

    def requests(self, seconds: float, chance: random.Random) -> Iterator[tuple[float, float]]:
        """(second at which it was due, time in the system as a share of the limit), by Lindley's recursion, stationary from the
        start."""
        arrivals = self.rate / self.part
        served = arrivals / self.load
        limit = -math.log(0.05) / (served - arrivals) / self.p95
        draw = chance.random
        due = -math.log(1 - draw()) / arrivals
        waiting = 0.0 if draw() > self.load else -math.log(1 - draw()) / (served - arrivals)
        while due < seconds:
            inside = waiting - math.log(1 - draw()) / served
            if self.part == 1.0 or draw() < self.part:
                yield due, inside / limit
            gap = -math.log(1 - draw()) / arrivals
            due += gap
            waiting = max(0.0, inside - gap)

    def run(self, seconds: float, chance: random.Random) -> Counts:
        """What a generator would have counted."""
        counts = Counts()
        for due, inside in self.requests(seconds, chance):
            counts.sent += 1
            counts.sample(due, inside > 1.0, inside > 0.5)
        return _added_up(counts)


@dataclass(frozen=True, slots=True)
class Stalls:
    """A service that answers at once, but stalls now and then: after exponential times, always for as long."""

    every: float
    """Seconds from stall to stall, on average."""
    rate: float = 50.0

    def run(self, seconds: float, chance: random.Random) -> Counts:
        """Counts of a run in which 5 % of the requests are over the limit on average, and a fifth more come near it."""
        over = -math.log(0.95) * self.every
        counts, due, now = Counts(), 0.0, -2 * over
        stalls = []
        while now < seconds:
            now += chance.expovariate(1 / self.every)
            stalls.append(now)
        while (due := due + chance.expovariate(self.rate)) < seconds:
            since = min((due - began for began in stalls if began <= due), default=math.inf)
            counts.sent += 1
            counts.sample(due, since < over, since < 1.2 * over)
        return _added_up(counts)


def until(counts: Counts, window: int) -> Counts:
    """What had been counted when this window began."""
    early = Counts(windows={number: cell for number, cell in counts.windows.items() if number < window})
    early.sent = sum(cell[0] for cell in early.windows.values())
    early.over = sum(cell[1] for cell in early.windows.values())
    return _added_up(early)


def _added_up(counts: Counts) -> Counts:
    counts.ok = counts.sent
    counts.histogram[round(10 * LIMIT / 2)] = counts.sent - counts.over
    counts.histogram[round(10 * LIMIT * 4)] = counts.over
    return counts
