"""Of parallel refreshes of one token, one wins.

## What it requires

When one refresh token is shown several times at once, one of them gets new tokens and the others are refused; or all get the
same ones. None of them ends in a server error.

## Why

A rotation that reads, then writes, has a gap between the two. Whoever fits a copied token into it holds a family of their own,
and reuse is never noticed.

## What it sends

On a session of its own: a refresh, then eight at once with the token that it gave, each on a connection of its own.

## Example of a breach

Two of eight requests are answered `200` with different refresh tokens.

## When to waive it

Where a used token may come back for some seconds on purpose; then say `auth: {refresh: {grace: 10s}}`.
"""

from __future__ import annotations

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
    Requirement,
    Subject,
    Subjects,
    Unproven,
    burst,
    sign_in,
)
from upheld.exchange import Request, Response, Session
from upheld.steps.sessions import refresh_request, refreshed, with_tokens

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Of parallel refreshes of one token, one wins",
    level=SHOULD,
    clause=Clause(
        "RFC 9700 §4.14.2 and the contract's auth.refresh.rotates",
        "https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2",
        "The authorization server issues a new refresh token with every access token refresh response. The previous refresh "
        "token is invalidated, but information about the relationship is retained by the authorization server.",
    ),
    catalogue=("JWT-14",),
    reads=("auth.refresh",),
    dear=True,
    cost=10,
    owasp="API2:2023",
    cwe=("CWE-362",),
)

_AT_ONCE = 8


def subjects(contract: Contract) -> Subjects:
    step = contract.auth.refresh
    if step is None:
        return NotApplicable("the contract has no refresh operation")
    stated = contract.policy.auth.refresh
    if stated is not None and stated.rotates is False:
        return NotApplicable("the contract says that refresh tokens do not rotate")
    if step.grace:
        return NotApplicable(f"a used refresh token may come back for {step.grace:g} s (auth.refresh.grace)")
    if not step.rotates:
        return Unproven("the contract does not say that refresh tokens rotate", "auth: {refresh: {rotates: true}}")
    return [Subject(step.operation.label, operation=step.operation)]


def converse(lane: Lane) -> Conversation:
    step = lane.contract.auth.refresh
    assert step is not None
    first: Session = yield from sign_in(fresh=True)
    session: Session = yield from refreshed(lane, first)
    if session.refresh == first.refresh:
        raise CannotProve("no new refresh token came, so none can be used up; jwt/rotation tells")
    request = refresh_request(lane, session)
    answers: list[Response] = yield from burst([request] * _AT_ONCE)
    sent = f"{_AT_ONCE} refreshes of one token at once, each on a connection of its own"
    crashed = [answer for answer in answers if answer.status >= 500 and answer.status != 503]
    if crashed:
        return Finding(
            expected="one 2xx, and a refusal (4xx) of the others",
            actual=f"{_counted(answers)}: {len(crashed)} of {_AT_ONCE} ended in a server error",
            sent=sent,
            request=request,
        )
    following = [with_tokens(lane.contract, step, answer, session) for answer in answers]
    winners = [winner for winner in following if winner is not None]
    if not winners:
        raise CannotProve(f"one refresh alone works, and of {_AT_ONCE} at once none did: {_counted(answers)}")
    if any(winner.refresh == session.refresh for winner in winners):
        raise CannotProve("no new refresh token came, so none can be used up; jwt/rotation tells")
    different = len({winner.refresh for winner in winners})
    if different > 1:
        return Finding(
            expected="one 2xx, and a refusal (4xx) of the others; or the same tokens for all",
            actual=f"{_counted(answers)}: one refresh token was traded for {different} different ones",
            sent=sent,
            request=request,
        )
    return Kept(f"{len(winners)} of {_AT_ONCE} got tokens" + (", all the same" if len(winners) > 1 else ""))


def _counted(answers: list[Response]) -> str:
    statuses = [answer.status for answer in answers]
    return ", ".join(f"{statuses.count(status)} x {status}" for status in sorted(set(statuses)))


class _SameForAll:
    """Whoever shows the same token gets the same answer."""

    def __init__(self) -> None:
        self.answers: dict[bytes, Response] = {}

    def __call__(self, request: Request, response: Response) -> Response:
        return self.answers.setdefault(request.body or b"", response) if request.path.endswith("/refresh") else response


CONFORMING = (
    Example("the sample shop"),
    Example("the same tokens for all", alter=_SameForAll),
    Example(
        "409 for those who come too late",
        alter=lambda q, r: Response.problem(409) if r.status == 401 and q.path.endswith("/refresh") else r,
    ),
)

BREACHING = (
    Example("everybody wins", shop=lambda shop: shop.skips.update({"rotation", "reuse"})),
    Example(
        "losers crash",
        alter=lambda q, r: Response.problem(500) if r.status == 401 and q.path.endswith("/refresh") else r,
    ),
)
