"""The time of a failed login does not tell whether the user exists.

## What it requires

A login with a wrong password takes about as long as one of a user whom nobody knows: by the medians less than three times as
long, and less than 60 ms longer.

## Why

Verifying a password costs a quarter of a second on purpose. A service that does it only for users that exist answers everybody
else at once, and who has an account can be read off a clock, however alike the answers are.

## What it sends

Two logins that do not count, then six pairs, on a fresh connection each, from several source addresses so that no quota is used
up by more than half: a user that does not exist, and one made for the occasion with a wrong password, the first of the pair in
turn. Four pairs more where six do not decide. It is played when nothing else is, and both of each pair meet the same load of the
machine; what is compared are ranks
(Mann–Whitney U, one-sided, p < 0.01) and medians, and only a large difference counts.

`--quick` leaves it out: these are twenty logins, which cost a service that hashes well five seconds of a core.

## Example of a breach

Unknown users are answered after 4 ms, a wrong password after 260 ms.

## When to waive it

Where user names are public by design. Then say `auth: {enumeration: {login: allowed}}`.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from upheld.check import (
    SHOULD,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Outcome,
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import Request, Response, Session
from upheld.steps import step_request
from upheld.steps.accounts import elsewhere, login_subject, newcomer
from upheld.steps.ranks import tends_larger
from upheld.steps.sessions import throw_away
from upheld.steps.timing import in_ms

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="The time of a failed login does not tell whether the user exists",
    level=SHOULD,
    clause=Clause(
        "OWASP ASVS 5.0, 6.3.8",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md",
        "Verify that valid users cannot be deduced from failed authentication challenges, such as by basing on error "
        "messages, HTTP response codes, or different response times.",
    ),
    catalogue=("AUTH-08",),
    reads=("auth.login", "auth.enumeration", "rate_limits"),
    alone=True,
    dear=True,
    cost=24,
    owasp="API2:2023",
    cwe=("CWE-208",),
)

FEW, MANY = 6, 10
"""Pairs of logins: as many as may decide, and as many as have to."""
APART, TIMES = 0.060, 3.0
"""Seconds between the medians, and how many times as long: either is the large difference that a missing hash makes."""
LEAST = 0.005
"""Seconds below which a ratio is a matter of scheduling."""
SURE, CHANCE = 0.01, 0.2
"""p below which it is so, and above which the order of the times is any order."""


def subjects(contract: Contract) -> Subjects:
    if contract.policy.auth.enumeration.login == "allowed":
        return NotApplicable("the contract lets the login tell who exists (auth.enumeration.login: allowed)")
    return login_subject(contract)


def converse(lane: Lane) -> Conversation:
    step = lane.contract.auth.login
    assert step is not None
    known: Session = yield from throw_away(lane)
    # As long as the right one and of the same characters, so that no rule about its form answers first.
    wrong = known.password[::-1]
    rule = lane.contract.rate_rule(step.operation)
    at_once = max(1, rule.quota // 2) if rule is not None else 5
    absent: list[float] = []
    present: list[float] = []
    statuses: dict[bool, int] = {}
    request = Request(step.operation.method, step.operation.path)
    for number in range(2 * (MANY + 1)):
        if number % at_once == 0:
            yield from elsewhere()
        pair = number // 2
        exists = (number + pair) % 2 == 1
        person = replace(known, password=wrong) if exists else newcomer(lane, wrong)
        request = step_request(lane, step, person)
        response: Response = yield from send(request, new_connection=True)
        if response.ok:
            raise CannotProve(f"a login with a wrong password was answered with {response.status}")
        if statuses.setdefault(exists, response.status) != response.status:
            raise CannotProve(
                f"after {number} failed logins it is {response.status} in place of {statuses[exists]}: it locks, and no times are left"
            )
        if pair > 0:
            (present if exists else absent).append(response.elapsed)
        if len(absent) == len(present) == FEW and (outcome := _judged(absent, present, request, final=False)):
            return outcome
    outcome = _judged(absent, present, request, final=True)
    assert outcome is not None
    return outcome


def _judged(absent: list[float], present: list[float], request: Request, *, final: bool) -> Outcome | None:
    """None where so few logins do not decide."""
    without, with_ = median(absent), median(present)
    gap = with_ - without
    times = (
        f"medians of {in_ms(without)} for unknown users and {in_ms(with_)} for a known one ({len(absent)} logins each"
    )
    if gap > APART or (gap > LEAST and with_ >= TIMES * without):
        p = tends_larger(present, absent)
        if p < SURE:
            return Finding(
                expected=f"about the same time: less than {TIMES:g} times as long, and less than {in_ms(APART)} apart",
                actual=f"{times}, p = {p:.1g})",
                sent="failed logins in turn: of users that do not exist, and of one that does with a wrong password",
                request=request,
            )
        if not final:
            return None
        if p < CHANCE:
            return Unproven(f"the times scatter too much to tell, on a machine that is not idle: {times}, p = {p:.2f})")
    return Kept(f"{times})")


def _exists(request: Request) -> bool:
    return b'"n' not in (request.body or b"")


class _Noisy:
    """Answers that take between 0.2 and 0.6 s, whoever it is."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, request: Request, response: Response) -> Response:
        self.number += 7
        return replace(response, elapsed=0.2 + self.number % 11 * 0.04)


CONFORMING = (
    Example("the sample shop"),
    Example("a busy machine", alter=_Noisy),
    Example("a network far away", alter=lambda q, r: replace(r, elapsed=0.31 if _exists(q) else 0.3)),
    Example("one database query more", alter=lambda q, r: replace(r, elapsed=0.004 if _exists(q) else 0.001)),
    Example("unknown users take longer", alter=lambda q, r: replace(r, elapsed=0.2 if _exists(q) else 0.5)),
)

BREACHING = (
    Example(
        "nothing is hashed for unknown users", alter=lambda q, r: replace(r, elapsed=0.25 if _exists(q) else 0.003)
    ),
    Example("a cheap hash, but still", alter=lambda q, r: replace(r, elapsed=0.03 if _exists(q) else 0.004)),
    Example("far away, and still", alter=lambda q, r: replace(r, elapsed=0.55 if _exists(q) else 0.3)),
)
