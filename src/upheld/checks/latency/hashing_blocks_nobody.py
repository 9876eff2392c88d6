"""While passwords are verified, other requests are answered as quickly as ever.

## What it requires

During five logins at once a trivial GET is answered within 50 ms, or five times what it takes on the quiet service, whichever is
longer.

## Why

A password's hash takes a quarter of a second of a processor, on purpose. Called on the event loop, or in the one pool of threads that
answers everything, it keeps everybody else waiting; a handful of failed logins a second is then all that it takes to stop the service.
The login itself has a limit of its own, `latency.auth`.

## What it sends

Twenty GETs alone, by the clock, to learn what they take. Two logins alone, to learn what a hash takes. Then five logins of one
person at once, and twenty-four GETs while they are being verified, each on a connection of its own. It is a breach where a third of
these GETs took too long: one in twenty may be the machine.

It measures when nothing else is played. How late it is itself it measures all the while: that is added to what is allowed, and
above 25 ms nothing is concluded. Where a login takes less than 40 ms there is no hash worth waiting for, and nothing is concluded either.
`--quick` leaves it out for its hashes.

## Example of a breach

`GET /health` takes 4 ms alone, and 310 ms in the median during five logins of 250 ms each.

## When to waive it

Where logins are verified by another service and this one only waits for it, nothing has to be waived. A service of one thread, for
one user, may.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Requirement,
    SpreadAnswer,
    Subject,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import describe, step_request
from upheld.steps.accounts import LOGIN_LINE, elsewhere
from upheld.steps.sessions import throw_away
from upheld.steps.timing import in_ms, in_time, most, quiet_times, times, trivial_get

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="While passwords are verified, other requests are answered as quickly as ever",
    level=MUST,
    clause=Clause(
        "OWASP API4:2023, Unrestricted Resource Consumption",
        "https://owasp.org/API-Security/editions/2023/en/0xa4-unrestricted-resource-consumption/",
        "Satisfying API requests requires resources such as network bandwidth, CPU, memory, and storage.",
    ),
    catalogue=("PERF-02",),
    reads=("auth.login", "auth.register", "target.health"),
    alone=True,
    dear=True,
    cost=55,
    owasp="API4:2023",
    cwe=("CWE-400",),
)

LOGINS, LOOKS, QUIET = 5, 24, 20
LEAST, TIMES = 0.050, 5.0
"""Seconds that a trivial GET may take in any case, and how many times what it takes alone."""
SHARE = 1 / 3
"""Of the GETs that have to be too slow: of those that come while a loop is blocked nearly all are."""
A_HASH = 0.040
"""Seconds that a login takes at the least where something in it could block."""


def subjects(contract: Contract) -> Subjects:
    if contract.auth.login is None:
        return Unproven("no login operation is stated or recognised", LOGIN_LINE)
    operation = trivial_get(contract)
    if operation is None:
        return Unproven("no GET needs neither credentials nor parameters", "target: {health: /health}")
    return [Subject(operation.label, operation=operation)]


def converse(lane: Lane) -> Conversation:
    step = lane.contract.auth.login
    assert step is not None
    person = yield from throw_away(lane)
    login = step_request(lane, step, person)
    look = Request("GET", lane.operation.path, operation=lane.operation.label)
    yield from quiet_times(look, 2, 0.1)
    idle = most((yield from quiet_times(look, QUIET, 0.03)))
    hashing = []
    for _ in range(2):
        response: Response = yield from send(login, new_connection=True)
        if not response.ok:
            raise CannotProve(f"a login with the right password was answered with {describe(response)}")
        hashing.append(response.elapsed)
    one = min(hashing)
    if one < A_HASH:
        return Unproven(f"a login takes {in_ms(one)} here: too short for anybody to wait for it")
    yield from elsewhere()
    # As long as the logins would hold one processor, were they verified one after the other.
    apart = LOGINS * one / LOOKS
    looks = [((turn + 0.5) * apart, look) for turn in range(LOOKS)]
    answer: SpreadAnswer = yield from in_time([(0.0, login)] * LOGINS + looks)
    beside = times(look, answer.responses[LOGINS:])
    if not any(response.ok for response in answer.responses[:LOGINS]):
        raise CannotProve("none of five logins at once was answered with success")
    allowed = max(LEAST, TIMES * idle) + answer.late
    slow = sum(seconds > allowed for seconds in beside)
    told = f"{in_ms(idle)} alone; beside {LOGINS} logins of {in_ms(one)} each {in_ms(median(beside))} in the median"
    if slow < SHARE * LOOKS:
        return Kept(f"{told}, {slow} of {LOOKS} over {in_ms(allowed)}")
    return Finding(
        sent=f"{LOGINS} logins at once, and {LOOKS} times {lane.operation.label} meanwhile",
        expected=f"within {in_ms(allowed)}, as on the quiet service",
        actual=f"{told}: {slow} of {LOOKS} over {in_ms(allowed)}",
        request=look,
    )


class _Blocking:
    """Logins of a quarter of a second; from five on, whoever comes meanwhile waits for ``waits`` of them."""

    waits = 0.9

    def __init__(self) -> None:
        self.logins = 0

    def __call__(self, request: Request, response: Response) -> Response:
        if request.path.endswith("/login"):
            self.logins += 1
            return replace(response, elapsed=0.25)
        late = self.logins > LOGINS and request.method == "GET"
        return replace(response, elapsed=0.004 + self.waits * 0.25 * late)


class _Elsewhere(_Blocking):
    waits = 0.0


class _Seldom(_Blocking):
    """One in five is late."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def __call__(self, request: Request, response: Response) -> Response:
        self.looks += 1
        self.waits = 0.9 if self.looks % 5 == 0 else 0.0
        return super().__call__(request, response)


CONFORMING = (
    Example("logins are verified in threads of their own", alter=_Elsewhere),
    Example("a machine that pauses now and then", alter=_Seldom),
    Example(
        "a network far away",
        alter=lambda q, r: replace(r, elapsed=0.45 if q.path.endswith("/login") else 0.2),
    ),
)

BREACHING = (Example("the hash is computed on the event loop", alter=_Blocking),)
