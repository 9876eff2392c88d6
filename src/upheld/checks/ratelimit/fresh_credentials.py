"""New credentials buy no new quota.

## What it requires

A quota that is keyed by user belongs to the user, not to the token: after a refresh or another login it is as used up as before. Who shows
made-up tokens is counted by address, where the contract says that strangers are.

## Why

A key made from the text of the token gives a new quota with each refresh. Made-up tokens that are keys of their own let one address guess
without end, and fill the store of the counters.

## What it sends

It uses up a user's quota, refreshes, logs in again, and asks with the new tokens. Then, from another address, the quota and a few requests more,
each with another made-up token; when these are never refused, the same without credentials as a control.

## Example of a breach

`GET /users/me` is refused with 429, and is answered 200 with the token that a refresh has just given.

## When to waive it

Where the contract's quota is meant for each session.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    Action,
    CannotProve,
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
    move,
    send,
)
from upheld.checks.ratelimit._drain import drain, partition, rules
from upheld.checks.ratelimit._spent import Spent, drain_past_windows, spend
from upheld.exchange import Request, Response, Session
from upheld.steps.sessions import refreshed, signed_in_again

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="New credentials buy no new quota",
    level=MUST,
    clause=Clause(
        "The contract's rate_limits key, and CWE-799",
        "https://cwe.mitre.org/data/definitions/799.html",
        "The product does not properly limit the number or frequency of interactions that it has with an actor, such as the number "
        "of incoming requests.",
    ),
    catalogue=("RATE-16",),
    reads=("rate_limits", "auth.refresh", "auth.login", "auth.register"),
    profile="shipped",
    dear=True,
    cost=15,
    quotas=2,
    owasp="API4:2023",
    cwe=("CWE-799", "CWE-290"),
)


def subjects(contract: Contract) -> Subjects:
    found = rules(contract)
    if isinstance(found, Unproven | NotApplicable):
        return found
    keyed = [
        subject
        for subject in found
        if subject.rule
        and "user" in subject.rule.key
        and subject.operation
        and not contract.is_public(subject.operation)
    ]
    return keyed or NotApplicable(
        "no rule with an operation that asks for credentials is keyed by user (rate_limits key)"
    )


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    session = yield from partition(lane)
    assert session is not None
    spent = yield from spend(lane, session)
    drained = f"{spent.count + 1} × {lane.operation.label} until 429"
    tried, missed = [], []
    for name, renewed in (("the token of a refresh", refreshed), ("the token of another login", signed_in_again)):
        try:
            newer = yield from renewed(lane, session)
        except CannotProve as cannot:
            missed.append(f"{name}: {cannot}")
            continue
        if newer is None:
            missed.append(f"{name}: refused")
        elif passed := (yield from _bought(lane, session, newer, spent)):
            return Finding(
                expected=f"429 with {name} too: the user's quota is used up",
                actual=f"{passed} requests in a row admitted with {name}; likely: the key is made from the token's text",
                sent=f"{drained}, then as the same user with {name}",
                request=_plain(lane).as_(newer),
            )
        else:
            tried.append(name)
    strangers: str | Finding = ""
    if rule.key == "user-or-ip" and lane.contract.auth.scheme == "bearer":
        strangers = yield from _strangers(lane)
        if isinstance(strangers, Finding):
            return strangers
    if not tried:
        return Unproven(f"no new credentials of one user were to be had ({'; '.join(missed)})")
    return Kept(f"{' and '.join(tried)} refused like the first{strangers}")


def _bought(lane: Lane, session: Session | None, newer: Session, spent: Spent) -> Generator[Action, Any, int]:
    """How many requests a new credential got in a row, where they are more than the user can have earned; else 0."""
    rule = lane.subject.rule
    assert rule is not None
    for count in range(1, rule.quota + 1):
        response: Response = yield from send((yield from spent.ask(lane, newer)))
        if not spent.comes_through(response):
            return 0
        if count > 1 + (response.at - spent.at) * rule.quota / rule.window:
            break
    else:
        raise CannotProve("answers take so long that the user earns as much meanwhile as a new quota would give")
    if spent.outlived(rule, response):
        raise CannotProve("a whole window has passed since the user's quota was used up")
    if rule.algorithm != "token-bucket":
        # A window that has ended gives everybody a new quota, the old credential too.
        plain: Response = yield from send((yield from spent.ask(lane, session)))
        if spent.comes_through(plain):
            raise CannotProve("the window ended while new credentials were fetched")
    return count


def _strangers(lane: Lane) -> Generator[Action, Any, str | Finding]:
    """What is told of made-up tokens: words, or a finding."""
    try:
        yield from move()
    except CannotProve:
        return "; made-up tokens were not tried: all requests come from one address"
    answers, refused = yield from drain_past_windows(lane, None, _made_up)
    if refused is not None:
        return f"; {len(answers)} made-up tokens, then 429"
    if any(answer.status != 401 for answer in answers):
        return ""
    yield from move()
    _, refused = yield from drain(lane, None, _bare)
    if refused is None:
        return "; what is refused with 401 is not counted by address"
    return Finding(
        expected=f"401 for the first {len(answers) - 1} at most, then 429: strangers are counted by address",
        actual=f"{len(answers)} × 401, while requests without a token are refused with 429; likely: each token's text is a key, "
        "true or not",
        sent=f"{len(answers)} × {lane.operation.label} from one address, each with another made-up token",
        request=(yield from _made_up(lane, None)),
    )


def _made_up(lane: Lane, session: Session | None) -> Generator[Action, Any, Request]:
    yield from ()
    return _plain(lane).with_headers(authorization=f"Bearer {lane.unique('nobody')}")


def _bare(lane: Lane, session: Session | None) -> Generator[Action, Any, Request]:
    yield from ()
    return _plain(lane)


def _plain(lane: Lane) -> Request:
    return Request(lane.operation.method, lane.operation.path, operation=lane.operation.label)


DEFAULT = "** 100/60s"


def _by_token(shop: Shop) -> None:
    """The key is the text of the token, unread."""
    limited = shop._limited
    shop.keyed_by_user = False

    def own(request: Request) -> Response | None:
        given = dict(request.session.headers if request.session else ())
        token = request.headers.get("authorization", given.get("Authorization", ""))
        address, shop.address = shop.address, token or shop.address
        refused = limited(request)
        shop.address = address
        return refused

    setattr(shop, "_limited", own)  # noqa: B010


def _by_made_up_token(shop: Shop) -> None:
    """A token that proves nobody is a key of its own."""
    limited = shop._limited

    def own(request: Request) -> Response | None:
        address = shop.address
        if shop._user(request) is None:
            shop.address = request.headers.get("authorization", address)
        refused = limited(request)
        shop.address = address
        return refused

    setattr(shop, "_limited", own)  # noqa: B010


CONFORMING = (Example("the sample shop's default rule", subject=DEFAULT),)

BREACHING = (
    Example("keyed by the token's text", subject=DEFAULT, shop=_by_token),
    Example("made-up tokens are keys", subject=DEFAULT, shop=_by_made_up_token),
)
