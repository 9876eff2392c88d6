"""What the limit refuses is not done.

## What it requires

A registration that is answered 429 makes no account: nobody can log in with it, and the same name can be registered afterwards.

## Why

A limit that is looked at after the work protects nothing: the accounts are made, the mails are sent, and the caller is told that nothing
happened, so that they try again.

## What it sends

It uses up the quota of registrations of one address, registers once more, and is refused. From another address it then logs in with what was
refused, registers the same user, and one that nobody has tried, as a control.

## Example of a breach

The registration is refused with 429, and a minute later the same e-mail address is answered `409`, taken.

## When to waive it

Never.
"""

from __future__ import annotations

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
    Subject,
    Subjects,
    Unproven,
    move,
    send,
)
from upheld.checks.ratelimit._drain import LARGEST, partition
from upheld.checks.ratelimit._spent import spend
from upheld.exchange import Request, Response
from upheld.steps import describe, step_request
from upheld.steps.accounts import let_in, log_in, newcomer

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="What the limit refuses is not done",
    level=MUST,
    clause=Clause(
        "RFC 9110 §15.5",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.5",
        "4xx (Client Error): The request contains bad syntax or cannot be fulfilled",
    ),
    catalogue=("RATE-17",),
    reads=("rate_limits", "auth.register", "auth.login"),
    profile="shipped",
    dear=True,
    cost=6,
    quotas=1,
    owasp="API4:2023",
    cwe=("CWE-799", "CWE-696"),
)


def subjects(contract: Contract) -> Subjects:
    register = contract.auth.register
    if not contract.rate_rules:
        return NotApplicable("the contract promises no rate limit (rate_limits)")
    if register is None:
        return NotApplicable("no operation that registers a user is stated or recognised")
    rule = contract.rate_rule(register.operation)
    if rule is None:
        return NotApplicable("no rule limits registrations")
    if rule.quota > LARGEST:
        return Unproven(f"registrations have a quota above {LARGEST}, which would be load")
    return [Subject(rule.label, operation=register.operation, rule=rule)]


def converse(lane: Lane) -> Conversation:
    register = lane.contract.auth.register
    assert register is not None
    spent = yield from spend(lane, (yield from partition(lane)))
    refused_person = newcomer(lane, f"{lane.unique('Pw')}-Aa1!")
    request = step_request(lane, register, refused_person)
    refused: Response = yield from send(request)
    if refused.status != 429:
        return Unproven(f"the quota had come back: {describe(refused)}")
    sent = (
        f"{spent.count} registrations until 429, one more with a name of its own, then that name from another address"
    )
    yield from move()
    if lane.contract.auth.login is not None:
        answer: Response = yield from log_in(lane, refused_person)
        if let_in(lane, answer):
            return _finding(sent, "the login with what was refused lets in", request)
    again: Response = yield from send(request)
    if again.ok:
        return Kept("the name that was refused is free, and nobody logs in with it")
    control: Response = yield from send(step_request(lane, register, newcomer(lane, refused_person.password)))
    if again.status == 429 or not control.ok:
        return Unproven(
            f"another address registers nobody either: {describe(control if again.status != 429 else again)}"
        )
    return _finding(
        sent, f"{describe(again)} for that name, and {control.status} for one that nobody has tried", request
    )


def _finding(sent: str, actual: str, request: Request) -> Finding:
    return Finding(
        expected="429 and no account: the name is free, and nobody logs in with it",
        actual=f"{actual}; likely: the limit is looked at after the work",
        sent=sent,
        request=request,
    )


RULES = {
    "rate_limits": [
        {"op": "POST /auth/register", "quota": "5/min", "key": "ip"},
        {"op": "**", "quota": "100/min", "key": "user-or-ip", "exempt": ["/health"]},
    ]
}


def _strict(shop: Shop) -> None:
    """Five registrations from an address, which the sample's own contract does not ask for."""
    counts: dict[str, int] = {}

    def limited(request: Request) -> Response | None:
        if request.path.endswith("/auth/register"):
            counts[shop.address] = counts.get(shop.address, 0) + 1
        return Response.problem(429, retry_after="12") if counts.get(shop.address, 0) > 5 else None

    setattr(shop, "_limited", limited)  # noqa: B010


def _late(shop: Shop) -> None:
    _strict(shop)
    limited = shop._limited

    def done_first(request: Request) -> Response | None:
        refused = limited(request)
        if refused is not None:
            shop._answer(request)
        return refused

    setattr(shop, "_limited", done_first)  # noqa: B010


def _taken(request: Request, response: Response) -> Response:
    """Nobody logs in, but the name is gone."""
    return Response.problem(401) if request.path.endswith("/auth/login") else response


CONFORMING = (Example("refused and not done", policy=RULES, shop=_strict),)

BREACHING = (
    Example("the account is there", policy=RULES, shop=_late),
    Example("the name is taken", policy=RULES, shop=_late, alter=_taken),
)
