"""Failed logins count, and then the right password is refused as well.

## What it requires

A login with a wrong password uses up the quota like any other. When it is used up, the limit refuses before the password is looked at: the right
one is answered 429 too. Where upheld.yaml says `also_by: account`, wrong passwords for one account are counted from all addresses together.

## Why

The limit of logins is there against guessing. One that counts only successes does not count the guesses; one that lets the right password
through tells the guesser that it was the right one, however many were refused before.

## What it sends

It registers somebody, logs in with wrong passwords from one address until 429, and then with the right one. It also says whether a login
without a password is counted. For `also_by: account` it tries another user's password from one address after the other, once from each.

## Example of a breach

After eleven wrong passwords and a 429, the right password from the same address is answered 200 with tokens.

## When to waive it

Where failed logins are stopped in another way, by locking the account for a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    Action,
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
from upheld.checks.ratelimit._drain import ceiling, drain, partition, tap, ways
from upheld.checks.ratelimit._spent import drain_past_windows, gets_past, spent_by
from upheld.exchange import Request, Response, Session
from upheld.steps import describe, step_request
from upheld.steps.accounts import let_in, login_subject
from upheld.steps.sessions import other_password, throw_away

if TYPE_CHECKING:
    from upheld.contract import Contract, RateRule
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="Failed logins count, and then the right password is refused as well",
    level=MUST,
    clause=Clause(
        "OWASP API2:2023, ASVS 5.0 6.3.1 and the contract's rate_limits",
        "https://owasp.org/API-Security/editions/2023/en/0xa2-broken-authentication/",
        "Implement anti-brute force mechanisms to mitigate credential stuffing, dictionary attacks, and brute force attacks on "
        "your authentication endpoints. This mechanism should be stricter than the regular rate limiting mechanisms on your APIs.",
    ),
    catalogue=("RATE-15",),
    reads=("rate_limits", "rate_limits.also_by", "auth.login", "auth.register"),
    profile="shipped",
    dear=True,
    cost=8,
    quotas=2,
    owasp="API2:2023",
    cwe=("CWE-307", "CWE-799"),
)

LARGEST = 60
"""Quotas above this are not used up with passwords: each has to be hashed."""


def subjects(contract: Contract) -> Subjects:
    found = login_subject(contract, registers=True)
    if isinstance(found, Unproven | NotApplicable):
        return found
    (subject,) = found
    assert subject.operation is not None
    rule = contract.rate_rule(subject.operation)
    if rule is None:
        return NotApplicable("no line of rate_limits limits the login")
    if rule.quota > LARGEST:
        return Unproven(f"{rule.quota} wrong passwords would be load: each has to be hashed")
    return [Subject(rule.label, operation=subject.operation, rule=rule)]


def converse(lane: Lane) -> Conversation:
    login = lane.contract.auth.login
    assert login is not None
    person: Session = yield from throw_away(lane)
    guesser = replace(person, password=other_password(person.password))
    yield from partition(lane)

    def guess(lane: Lane, session: Session | None) -> Generator[Action, Any, Request]:
        yield from ()
        return step_request(lane, login, guesser)

    failed, refused = yield from drain_past_windows(lane, None, guess)
    right = step_request(lane, login, person)
    if any(let_in(lane, answer) for answer in failed):
        return Unproven("a wrong password lets in: auth/exact-password says more")
    seen = ", ".join(dict.fromkeys(str(answer.status) for answer in failed))
    if refused is None:
        answer: Response = yield from send(right)
        if not let_in(lane, answer):
            return Unproven(f"the account is locked after {len(failed)} wrong passwords ({seen}): {describe(answer)}")
        return Finding(
            expected="429 when the quota is used up with wrong passwords",
            actual=f"{len(failed)} wrong passwords answered ({seen}), none refused, and the right one lets in; likely: failed logins are not counted",
            sent=f"{len(failed)} × {lane.operation.label} of one user with a wrong password, from one address",
            request=right.with_(body=step_request(lane, login, guesser).body),
        )
    spent = spent_by(guess, failed, refused)
    passed = yield from gets_past(lane, None, spent, lambda request, number: right, lambda answer: let_in(lane, answer))
    if passed:
        return Finding(
            expected="429, whether the password is right or wrong",
            actual=f"{passed[-1].status}, logged in, while wrong passwords go on being refused; likely: the limit is looked "
            "at after the password",
            sent=f"{len(failed) + 1} wrong passwords of one user until 429, then the right one from the same address",
            request=right,
        )
    told = f"the right password is refused after {len(failed)} wrong ones{(yield from _malformed(lane))}"
    rule = lane.subject.rule
    if rule is None or rule.also_by != "account":
        return Kept(told)
    spread = yield from _spread(lane, rule)
    return spread if isinstance(spread, Finding) else Kept(f"{told}; {spread}")


def _spread(lane: Lane, rule: RateRule) -> Generator[Action, Any, Finding | str]:
    """Wrong passwords for one account, each from another address: what stopped them, or a finding."""
    login = lane.contract.auth.login
    assert login is not None
    person: Session = yield from throw_away(lane)
    wrong = step_request(lane, login, replace(person, password=other_password(person.password)))
    answers: list[Response] = []
    while not answers or len(answers) <= ceiling(rule, answers):
        yield from move()
        answer: Response = yield from send(wrong)
        # A lock says no in words of its own, and is as good.
        if answers and answer.status != answers[0].status:
            return f"one account from many addresses: {answer.status} after {len(answers)}"
        answers.append(answer)
    return Finding(
        expected=f"429 after {rule.quota} wrong passwords for one account, whatever addresses they come from",
        actual=f"{len(answers)} × {answers[-1].status}; likely: logins are counted by address alone",
        sent=f"{len(answers)} wrong passwords for one user, each from another address",
        required=f"the contract's rate_limits: {rule.pattern} has also_by: account",
        request=wrong,
    )


def _malformed(lane: Lane) -> Generator[Action, Any, str]:
    """Whether logins without a password are counted, in words: nothing is promised of them."""
    if tap not in ways(lane):
        return ""
    yield from partition(lane)
    _, refused = yield from drain(lane, None, tap)
    return "; logins without a password are counted too" if refused else "; logins without a password are not counted"


LOGIN = "POST /auth/login 10/60s"


def _right(shop: Shop, request: Request) -> bool:
    """Whether this is a login with the right password."""
    if not request.path.endswith("/auth/login") or not request.body or request.body == b"{}":
        return False
    given = request.json()
    return bool(shop.users.get(given["email"].lower(), ("", ""))[0] == given["password"])


def _after_the_password(shop: Shop) -> None:
    limited = shop._limited
    setattr(shop, "_limited", lambda request: None if _right(shop, request) else limited(request))  # noqa: B010


def _successes_only(shop: Shop) -> None:
    limited = shop._limited
    setattr(shop, "_limited", lambda request: limited(request) if _right(shop, request) else None)  # noqa: B010


BY_ACCOUNT = {"rate_limits": [{"op": "POST /auth/login", "quota": "10/min", "key": "ip", "also_by": "account"}]}


def _by_account(shop: Shop) -> None:
    """Eleven logins for one account are one too many, from wherever."""
    limited = shop._limited
    counts: Counter[str] = Counter()

    def counted(request: Request) -> Response | None:
        refused = limited(request)
        if refused is None and request.path.endswith("/auth/login") and b"email" in (request.body or b""):
            counts[request.json()["email"]] += 1
            if counts[request.json()["email"]] > 10:
                return Response.problem(429, retry_after="6")
        return refused

    setattr(shop, "_limited", counted)  # noqa: B010


CONFORMING = (
    Example("counted by account too", subject=LOGIN, policy=BY_ACCOUNT, shop=_by_account),
    Example("the sample shop's login", subject=LOGIN),
    Example(
        "logins without a password are not counted",
        subject=LOGIN,
        alter=lambda q, r: Response.problem(422) if q.body == b"{}" else r,
    ),
)

BREACHING = (
    Example("the right password is let in all the same", subject=LOGIN, shop=_after_the_password),
    Example("counted by address alone", subject=LOGIN, policy=BY_ACCOUNT),
    Example("only successes are counted", subject=LOGIN, shop=_successes_only),
)
