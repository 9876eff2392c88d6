"""Who deleted the account is out.

## What it requires

Once an account is deleted its refresh tokens give no new tokens and its password signs nobody in. Its access tokens are refused
at once where the contract says so (`auth: {delete_account: {revokes: all}}`), else when they expire.

## Why

Tokens of an account that is no more are credentials that nobody can revoke: there is no user left to be disabled.

## What it sends

For a user made for the occasion: a refresh and a read, which work; the deletion; then the refresh, a login and the read again.

## Example of a breach

`DELETE /users/me` answers `204` and marks the row as deleted; the refresh looks only at the token.

## When to waive it

Where signing in takes a deletion back for some days, and says so.
"""

from __future__ import annotations

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
    NotApplicable,
    Requirement,
    Subject,
    Subjects,
    send,
)
from upheld.exchange import Request, Response, Session
from upheld.steps import canary, describe, step_request
from upheld.steps.sessions import (
    access_works,
    carried,
    refresh_request,
    refresh_works,
    refreshed,
    signed_in_again,
    throw_away,
)

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Who deleted the account is out",
    level=MUST,
    clause=Clause(
        "OWASP ASVS 5.0, 7.4.2",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md",
        "Verify that the application terminates all active sessions when a user account is disabled or deleted (such as an "
        "employee leaving the company).",
    ),
    catalogue=("JWT-11",),
    reads=("auth.delete_account", "auth.refresh", "auth.login"),
    dear=True,
    cost=8,
    owasp="API2:2023",
    cwe=("CWE-613",),
)


def subjects(contract: Contract) -> Subjects:
    delete = contract.auth.delete_account
    if delete is None:
        return NotApplicable("the contract has no operation that deletes the caller's own account")
    return [Subject(delete.operation.label, operation=delete.operation)]


def converse(lane: Lane) -> Conversation:
    delete = lane.contract.auth.delete_account
    assert delete is not None
    with_access = delete.revokes in ("access", "all")
    session: Session = yield from throw_away(lane)
    if lane.contract.auth.refresh is not None:
        session = yield from refreshed(lane, session)
    if with_access and (yield from access_works(lane, session)) is None:
        raise CannotProve("the account's access token is refused before the deletion already")
    answer: Response = yield from send(carried(step_request(lane, delete, session), delete, session))
    if not answer.ok:
        raise CannotProve(
            f"{delete.operation.label} was answered with {describe(answer)}",
            f"auth: {{delete_account: {{op: {delete.operation.label}, body: {{…: $password}}}}}}",
        )
    if answer.status == 202:
        raise CannotProve(f"{delete.operation.label} answered 202: the account is to be deleted, and is not yet")
    deleted = f"{delete.operation.label} answered {answer.status}"
    if lane.contract.auth.refresh is not None:
        again = yield from refresh_works(lane, session)
        if again is not None:
            return Finding(
                expected="a refusal (4xx, such as 400 or 401) of the refresh token of a deleted account",
                actual=f"{deleted}, then the refresh token was answered {again.status} with new tokens",
                sent="a refresh that works, the deletion, the refresh again",
                request=refresh_request(lane, session),
            )
    if lane.contract.auth.login is not None:
        back: Session | None = yield from signed_in_again(lane, session)
        if back is not None:
            return Finding(
                expected="a refusal (4xx, such as 401) of the login of a deleted account",
                actual=f"{deleted}, and the account still signs in with its password",
                sent="the deletion, a login",
                request=step_request(lane, lane.contract.auth.login, session),
            )
    if with_access:
        again = yield from access_works(lane, session)
        if again is not None:
            me = canary(lane.contract)
            assert me is not None
            return Finding(
                expected=f"401 for the access token of a deleted account, for the contract says revokes: {delete.revokes}",
                actual=f"{deleted}, and {me.label} still answers {again.status}",
                sent=f"{me.label}, the deletion, {me.label} again",
                request=Request(me.method, me.path, session=session, operation=me.label),
            )
    return Kept("the deleted account is refused")


_ALL = {"auth": {"delete_account": {"op": "DELETE /users/me", "revokes": "all"}}}


class _Outlives:
    """The account is gone, and what is asked of it at ``path`` is answered as before."""

    path = ""

    def __init__(self) -> None:
        self.before: Response | None = None

    def __call__(self, request: Request, response: Response) -> Response:
        if not request.path.endswith(self.path) or request.method == "DELETE":
            return response
        self.before = response if response.ok else self.before
        return self.before if self.before is not None and (request.body or request.session) else response


class _RefreshOutlives(_Outlives):
    path = "/refresh"


class _AccessOutlives(_Outlives):
    path = "/me"


CONFORMING = (
    Example("the sample shop"),
    Example("the sample shop, where access tokens end too", policy=_ALL),
    Example("access tokens live on where the contract does not say that they end", alter=_AccessOutlives),
)

BREACHING = (
    Example("nothing is deleted", shop=lambda shop: shop.skips.add("deleted-user")),
    Example("the refresh looks only at the token", alter=_RefreshOutlives),
    Example("the access token lives on", alter=_AccessOutlives, policy=_ALL),
    Example(
        "the password still signs in",
        alter=lambda q, r: (
            Response.of(200, {"access_token": "a", "refresh_token": "b"}) if q.path.endswith("/login") else r
        ),
    ),
)
