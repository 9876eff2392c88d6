"""Retry-After on a 429 is there, well formed and true.

## What it requires

A 429 carries `Retry-After`: a whole number of seconds or an HTTP date, not beyond the window. Who comes back then is admitted. A token
bucket names the time to its next token, not a whole window. Who comes back to a fixed window before that time is refused, and told a
shorter one.

## Why

A client that is not told when to come back polls; one that is told too long stays away for nothing; one that is told too
short is refused again.

## What it sends

Requests until the first 429 (logins and registrations without a password, where those count too); then it waits as long as
Retry-After says, and asks once more. A fixed window is asked shortly before that time as well; other algorithms may rightly admit a
request earlier, so there it would prove nothing.

## Example of a breach

A 429 without `Retry-After`, or with `Retry-After: 60` although a token is there in six seconds.

## When to waive it

Where the contract does not promise it: `rate_limit: {retry_after: optional}`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
    Unproven,
    send,
    wait,
)
from upheld.checks.ratelimit._drain import exhaust, partition, rules, timeline
from upheld.checks.ratelimit._fields import delay
from upheld.checks.ratelimit._limiters import AlignedWindow, FixedWindow, Make
from upheld.checks.ratelimit._rehearsed import LOGIN, State, Tell, limited, refusals_say
from upheld.exchange import Response

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Retry-After on a 429 is there, well formed and true",
    level=MUST,
    clause=Clause(
        "RFC 9110 §10.2.3, RFC 6585 §4 and the contract's rate_limit.retry_after",
        "https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3",
        "Retry-After = HTTP-date / delay-seconds; delay-seconds = 1*DIGIT",
    ),
    catalogue=("RATE-03",),
    reads=("rate_limits", "rate_limit.retry_after", "rate_limit.algorithm"),
    profile="shipped",
    waits=True,
    cost=2,
    quotas=1,
    owasp="API4:2023",
)


def subjects(contract: Contract) -> Subjects:
    return rules(contract)


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    session = yield from partition(lane)
    admitted, refused, ask = yield from exhaust(lane, session)
    if refused is None:
        return Unproven(f"{len(admitted)} requests met no 429, so there was no Retry-After to look at")
    request = yield from ask(lane, session)
    value = refused.headers.get("retry-after")
    sent = f"{len(admitted) + 1} × {lane.operation.label} on a fresh key"
    longest = (
        math.ceil(rule.window / rule.quota) + 1 if rule.algorithm == "token-bucket" else math.ceil(rule.window) + 1
    )
    expected = f"Retry-After: 1 … {longest}"
    if value is None:
        if lane.contract.policy.rate_limit.retry_after != "required":
            return NotApplicable("the contract does not promise Retry-After (rate_limit.retry_after: optional)")
        return Finding(expected=expected, actual="no Retry-After", sent=sent, request=request)
    seconds = delay(refused)
    if seconds is None:
        return Finding(
            expected=f"{expected}, or an HTTP date", actual=f"Retry-After: {value[:60]}", sent=sent, request=request
        )
    if seconds > longest:
        why = " (a token bucket has its next token sooner)" if rule.algorithm == "token-bucket" else ""
        cause = _CONSTANT if seconds == rule.window else ""
        return Finding(
            expected=f"{expected}{why}", actual=f"Retry-After: {value[:60]}{cause}", sent=sent, request=request
        )
    early: Response | None = None
    if rule.algorithm == "fixed-window" and seconds >= 2:
        yield from wait(seconds - max(1.0, seconds / 10))
        early = yield from send((yield from ask(lane, session)))
        passed = early.at - refused.at
        if early.status != 429 and passed < seconds:
            return Finding(
                expected=f"refused for {seconds:.0f} s, as Retry-After says",
                actual=f"admitted after {passed:.0f} s{_CONSTANT if seconds == rule.window else ''}",
                sent=f"{sent}, then one more after {passed:.1f} s",
                request=request,
                timeline=timeline([*admitted, refused, early]),
            )
    # The fraction allows for the seconds that are rounded down and for what the request takes.
    yield from wait(seconds + 0.5 - (early.at - refused.at if early else 0.0))
    again: Response = yield from send((yield from ask(lane, session)))
    shown = timeline([*admitted, refused, early, again])
    if again.status == 429:
        told = again.headers.get("retry-after", "none")
        return Finding(
            expected=f"admitted {seconds:.0f} s after the 429, as Retry-After says",
            actual=f"refused again, Retry-After: {told[:60]}{_CONSTANT if told == value else ''}",
            sent=f"{sent}, then one more after {seconds + 0.5:.1f} s",
            request=request,
            timeline=shown,
        )
    if early is not None and early.status == 429:
        later, passed = delay(early), early.at - refused.at
        if later is not None and passed + later > seconds + max(2.0, passed / 2):
            return Finding(
                expected=f"Retry-After: {seconds - passed:.0f} of the {seconds:.0f} s, {passed:.0f} s later",
                actual=f"Retry-After: {early.headers['retry-after'][:60]}{_CONSTANT if later == seconds else ''}",
                sent=f"{sent}, then one more after {passed:.1f} s",
                request=request,
                timeline=shown,
            )
    return Kept(f"Retry-After: {value}, and admitted then", timeline=shown)


_CONSTANT = "; likely: a constant, whatever time is left"


def _says(value: str | None) -> Example:
    def alter(request: object, response: Response) -> Response:
        if response.status != 429:
            return response
        return Response(429, response.headers.with_("Retry-After", value), response.body, response.elapsed, response.at)

    return Example(f"Retry-After: {value}", subject=LOGIN, alter=alter)


def _window(says: str, make: Make, tell: Tell = refusals_say, begins: float = 0.0) -> Example:
    policy = {"rate_limit": {"algorithm": "fixed-window", "retry_after": "required"}}
    return Example(f"a fixed window, {says}", subject=LOGIN, shop=limited(make, tell, begins), policy=policy)


def _date(state: State) -> Mapping[str, str]:
    return {} if state.admitted else {"Retry-After": formatdate(state.now + state.seconds, usegmt=True)}


def _sixty(state: State) -> Mapping[str, str]:
    return {} if state.admitted else {"Retry-After": "60"}


CONFORMING = (
    Example("the sample shop's login", subject=LOGIN),
    Example("the default rule", subject="** 100/60s"),
    Example("a date", subject=LOGIN, shop=limited(tell=_date)),
    _window("the time to its end", FixedWindow),
    _window("the time to its end on the clock", AlignedWindow, begins=20.0),
    _window("the date of its end", FixedWindow, _date),
)

BREACHING = (
    *(_says(None), _says("soon"), _says("6.5"), _says("-6"), _says("60"), _says("1")),
    _window("always its whole length", FixedWindow, _sixty),
    _window("longer than it lasts on the clock", AlignedWindow, _sixty, 20.0),
)
