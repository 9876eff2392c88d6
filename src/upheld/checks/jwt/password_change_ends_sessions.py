"""A password change ends the old password and the other sessions.

## What it requires

After a password change the new password signs in and the old one does not, and what other sessions of the same user hold is
worth nothing more: their refresh tokens give no new tokens. Their access tokens are refused too where the contract says so
(`auth: {change_password: {revokes: all}}`). The session that made the change may go on.

## Why

Who changes the password because somebody else got in wants that somebody out. A refresh token that survives keeps them in for
days.

## What it sends

For a user made for the occasion: two logins, a password change in one session, a refresh in the other, and a login with each
password.

## Example of a breach

The password is changed, and the other device's refresh token still gets new tokens.

## When to waive it

Where the user is asked whether the other sessions should end, and did not ask for it here.
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
    send,
)
from upheld.exchange import Request, Response, Session
from upheld.steps import canary, describe, step_request
from upheld.steps.sessions import (
    access_works,
    carried,
    other_password,
    past_the_second,
    refresh_request,
    refresh_works,
    refreshed,
    signed_in_again,
    throw_away,
)

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A password change ends the old password and the other sessions",
    level=SHOULD,
    clause=Clause(
        "OWASP ASVS 5.0, 7.4.3",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md",
        "Verify that the application gives the option to terminate all other active sessions after a successful change or "
        "removal of any authentication factor (including password change via reset or recovery and, if present, an MFA "
        "settings update).",
    ),
    catalogue=("JWT-11",),
    reads=("auth.change_password", "auth.refresh"),
    dear=True,
    cost=9,
    owasp="API2:2023",
    cwe=("CWE-613",),
)


def subjects(contract: Contract) -> Subjects:
    change = contract.auth.change_password
    if change is None:
        return NotApplicable("the contract has no operation that changes the caller's own password")
    return [Subject(change.operation.label, operation=change.operation)]


def converse(lane: Lane) -> Conversation:
    change = lane.contract.auth.change_password
    assert change is not None
    with_access = change.revokes in ("access", "all")
    person: Session = yield from throw_away(lane)
    other: Session | None = yield from signed_in_again(lane, person)
    if other is None:
        raise CannotProve("the user who signed in with this password a moment ago can't begin a second session")
    if lane.contract.auth.refresh is not None:
        other = yield from refreshed(lane, other)
    if with_access and (yield from access_works(lane, other)) is None:
        raise CannotProve("the other session's access token is refused before the change already")
    yield from past_the_second()
    new = other_password(person.password)
    request = carried(step_request(lane, change, person, new_password=new), change, person)
    answer: Response = yield from send(request)
    if not answer.ok:
        raise CannotProve(
            f"{change.operation.label} was answered with {describe(answer)}",
            f"auth: {{change_password: {{op: {change.operation.label}, body: {{…: $password, …: $new_password}}}}}}",
        )
    if (yield from signed_in_again(lane, person, new)) is None:
        raise CannotProve(f"{change.operation.label} answered {answer.status}, but the new password does not sign in")
    sent = "two logins, a password change in one session"
    if (yield from signed_in_again(lane, person)) is not None:
        return Finding(
            expected="a refusal (4xx, such as 401) of a login with the old password",
            actual=f"the change was answered {answer.status}, and the old password still signs in beside the new one",
            sent=f"{sent}, a login with each password",
            request=request,
        )
    if lane.contract.auth.refresh is not None:
        again = yield from refresh_works(lane, other)
        if again is not None:
            return Finding(
                expected="a refusal (4xx, such as 400 or 401) of the other session's refresh token",
                actual=f"after the change the other session's refresh token was answered {again.status} with new tokens",
                sent=f"{sent}, a refresh in the other",
                request=refresh_request(lane, other),
            )
    if with_access:
        again = yield from access_works(lane, other)
        if again is not None:
            me = canary(lane.contract)
            assert me is not None
            return Finding(
                expected="401 for the other session's access token, for the contract says that the change revokes it",
                actual=f"after the change {me.label} still answers {again.status} in the other session",
                sent=f"{sent}, {me.label} in the other",
                request=Request(me.method, me.path, session=other, operation=me.label),
            )
    if lane.contract.auth.refresh is None and not with_access:
        raise CannotProve(
            "the old password is refused; there is no refresh operation, and the contract does not say that access tokens end",
            "auth: {change_password: {revokes: access}}",
        )
    return Kept("the old password and the other session are refused")


CONFORMING = (
    Example("the sample shop"),
    Example(
        "the other session's access token lives on where the contract does not say that it ends",
        shop=lambda shop: shop.skips.add("session"),
    ),
)

_ALL = {"auth": {"change_password": {"op": "PUT /users/me/password", "revokes": "all"}}}


class _BothPasswords:
    """The new password is added, not put in the place of the old one."""

    def __init__(self) -> None:
        self.first: Response | None = None

    def __call__(self, request: Request, response: Response) -> Response:
        if not request.path.endswith("/login"):
            return response
        if response.ok and self.first is None:
            self.first = response
        return response if response.ok or self.first is None else self.first


BREACHING = (
    Example("the other session goes on", shop=lambda shop: shop.skips.add("other-sessions")),
    Example("the other session's access token lives on", shop=lambda shop: shop.skips.add("session"), policy=_ALL),
    Example("the old password still signs in", alter=_BothPasswords),
)
