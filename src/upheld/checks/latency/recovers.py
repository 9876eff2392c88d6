"""After a burst of requests the service is what it was before.

## What it requires

When a burst is over, the service answers 2xx within five seconds, and soon after that a request takes no more than twice what it
took before (and 20 ms that any machine may add).

## Why

What a burst leaves behind, a connection that nobody gives back, a queue that is still being worked off, a list that is searched for
every request, makes the next user wait, and the burst after it stops the service. A service that only survives what never comes in
bursts has no reserve.

## What it sends

Twenty quiet requests of one operation that anybody may read, two hundred of it in bursts of fifty (of half its quota, where
that is less), and twenty quiet ones again; where these are slower, twenty more a moment later. What does not recover can't be played
again from where it began, so that a second volley follows in the same playing: it is a breach where both left the service slower.
It measures when nothing else is played, and concludes nothing where this machine was late itself. Nothing is sent but to the target, which is
this machine or a host that was named; `--quick` leaves it out.

## Example of a breach

`GET /products` takes 4 ms, and after two hundred requests that came together 190 ms, however long one waits.

## When to waive it

Where an instance is meant to be replaced after a burst.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NoAnswer,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    burst,
    send,
    wait,
)
from upheld.exchange import Request, Response
from upheld.steps import Move, describe, plain_get
from upheld.steps.accounts import elsewhere
from upheld.steps.timing import in_ms, quiet_times, trivial_get

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="After a burst of requests the service is as quick as before",
    level=MUST,
    clause=Clause(
        "OWASP API4:2023, Unrestricted Resource Consumption",
        "https://owasp.org/API-Security/editions/2023/en/0xa4-unrestricted-resource-consumption/",
    ),
    catalogue=("PERF-06",),
    reads=("target.health",),
    alone=True,
    dear=True,
    cost=270,
    owasp="API4:2023",
    cwe=("CWE-400", "CWE-772"),
)

TOGETHER, BURSTS, QUIET = 50, 4, 20
TIMES, MARGIN = 2.0, 0.020
"""How many times what it took before, and seconds that any machine may add."""
ANSWERS_WITHIN = 5.0
TRIES, APART = 2, 1.5


def subjects(contract: Contract) -> Subjects:
    operation = _read(contract)
    if operation is None:
        return Unproven("no GET needs neither credentials nor parameters", "public: [GET /…]")
    return [Subject(operation.label, operation=operation)]


def _read(contract: Contract) -> Operation | None:
    operation = plain_get(contract)
    return trivial_get(contract) if operation is None or operation.secured else operation


def converse(lane: Lane) -> Conversation:
    request = Request("GET", lane.operation.path, operation=lane.operation.label)
    yield from quiet_times(request, 3, 0.1)
    before = median((yield from quiet_times(request, QUIET, 0.03)))
    allowed = TIMES * before + MARGIN
    rule = lane.contract.rate_rule(lane.operation)
    together = min(TOGETHER, max(1, rule.quota // 2)) if rule is not None else TOGETHER
    sent = f"{BURSTS * together} times {lane.operation.label}, {together} at once"
    after = []
    for _ in range(2):
        answer = yield from _pressed(request, together)
        if not answer.ok:
            return Finding(
                sent=sent,
                expected=f"2xx within {ANSWERS_WITHIN:g} s after a burst",
                actual=f"{describe(answer)} for {ANSWERS_WITHIN:g} s after it",
                request=request,
            )
        after.append((yield from _settled(request, allowed)))
        if after[-1] <= allowed:
            break
    told = f"{in_ms(before)} before, {' and '.join(map(in_ms, after))} after (medians of {QUIET})"
    if after[-1] > allowed:
        return Finding(
            sent=f"{sent}, twice",
            expected=f"at most {in_ms(allowed)} when it is quiet again",
            actual=told,
            request=request,
            seen=2,
        )
    if len(after) > 1:
        return Unproven(f"it was slower after one burst, and not after the next: {told}")
    return Kept(told)


def _pressed(request: Request, together: int) -> Move:
    """``answer = yield from _pressed(request, 50)``: the first success after the bursts, or what is answered when the time is up."""
    for _ in range(BURSTS):
        yield from elsewhere()
        # What is refused in a burst is another promise; here it counts what comes after.
        with suppress(NoAnswer):
            yield from burst([request] * together)
    yield from elsewhere()
    waited = 0.0
    while True:
        try:
            answer: Response = yield from send(request, new_connection=True)
        except NoAnswer as none:
            answer = Response(0, body=str(none).encode())
        if answer.ok or waited >= ANSWERS_WITHIN:
            return answer
        yield from wait(0.5)
        waited += 0.5


def _settled(request: Request, allowed: float) -> Move:
    """``median = yield from _settled(request, allowed)``: of the quiet service, as soon as it is as quick as it has to be."""
    least = float("inf")
    for turn in range(TRIES):
        if turn:
            yield from wait(APART)
        least = min(least, median((yield from quiet_times(request, QUIET, 0.03))))
        if least <= allowed:
            break
    return least


class _Slower:
    """Every request over the fiftieth leaves something behind that each later one has to look through."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, request: Request) -> Response:
        self.seen += 1
        return replace(Response.of(200, {"items": []}), elapsed=0.004 + 0.001 * max(0, self.seen - TOGETHER))


class _Recovering(_Slower):
    """Slow until a look of its quiet time has worked it off."""

    def __call__(self, request: Request) -> Response:
        answer = super().__call__(request)
        return answer if 200 < self.seen < 240 else replace(answer, elapsed=0.004)


class _Gone(_Slower):
    """Unavailable after the first hundred."""

    def __call__(self, request: Request) -> Response:
        answer = super().__call__(request)
        return Response.problem(500) if self.seen > 100 else answer


CONFORMING = (
    Example("as quick as before", service=lambda: lambda request: replace(Response.of(200, []), elapsed=0.004)),
    Example("a queue that is worked off in time", service=_Recovering),
)

BREACHING = (
    Example("something is left behind by each request", service=_Slower),
    Example("it does not come back", service=_Gone),
)
