"""A session that was logged out is over.

## What it requires

After a logout the session's refresh token gives no new tokens. Where the contract says that logout ends access tokens too
(`auth: {logout: {revokes: all}}`), the access token is refused at once.

## Why

Who logs out at somebody else's machine, or because a token leaked, means it. A session that can be resumed afterwards was
never left.

## What it sends

On a session of its own: a refresh and a read, which work; the logout; then both again.

## Example of a breach

`POST /auth/logout` answers `204`, and the refresh token still gets new tokens: the client was told to forget it, the server
did not.

## When to waive it

Where only the client forgets its tokens, by design, and they live for minutes.
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
    Unproven,
    send,
    sign_in,
)
from upheld.exchange import Request, Response, Session
from upheld.steps import canary, describe, step_request
from upheld.steps.sessions import access_works, carried, past_the_second, refresh_request, refresh_works, refreshed

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A session that was logged out is over",
    level=MUST,
    clause=Clause(
        "OWASP ASVS 5.0, 7.4.1",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md",
        "Verify that when session termination is triggered (such as logout or expiration), the application disallows any "
        "further use of the session.",
    ),
    catalogue=("JWT-11",),
    reads=("auth.logout", "auth.refresh"),
    cost=6,
    owasp="API2:2023",
    cwe=("CWE-613",),
)


def subjects(contract: Contract) -> Subjects:
    logout = contract.auth.logout
    if logout is None:
        return NotApplicable("the contract has no logout")
    if contract.auth.refresh is None and logout.revokes not in ("access", "all"):
        return Unproven(
            "there is no refresh operation, and the contract does not say that logout ends access tokens",
            "auth: {logout: {revokes: access}}",
        )
    return [Subject(logout.operation.label, operation=logout.operation)]


def converse(lane: Lane) -> Conversation:
    logout = lane.contract.auth.logout
    assert logout is not None
    with_access = logout.revokes in ("access", "all")
    session: Session = yield from sign_in(fresh=True)
    if lane.contract.auth.refresh is not None and (session.refresh is not None or not with_access):
        session = yield from refreshed(lane, session)
    if with_access and (yield from access_works(lane, session)) is None:
        raise CannotProve("the session's access token is refused before the logout already")
    yield from past_the_second()
    request = carried(step_request(lane, logout, session), logout, session)
    answer = yield from send(request)
    if not answer.ok:
        raise CannotProve(
            f"{logout.operation.label} was answered with {describe(answer)}",
            f"auth: {{logout: {{op: {logout.operation.label}, body: {{refresh_token: $refresh}}}}}}",
        )
    refused = []
    if lane.contract.auth.refresh is not None and session.refresh is not None:
        again = yield from refresh_works(lane, session)
        if again is not None:
            return _finding(
                "a refusal (4xx, such as 400 or 401) of the refresh token after the logout",
                f"logged out ({answer.status}), then the refresh token was answered {again.status} with new tokens",
                "a refresh that works, the logout, the refresh again",
                refresh_request(lane, session),
            )
        refused.append("the refresh token")
    if with_access:
        again = yield from access_works(lane, session)
        if again is not None:
            operation = canary(lane.contract)
            assert operation is not None
            return _finding(
                f"401 for the access token after the logout, for the contract says revokes: {logout.revokes}",
                f"logged out ({answer.status}), then {operation.label} still answered {again.status}",
                f"{operation.label}, the logout, {operation.label} again",
                Request(operation.method, operation.path, session=session, operation=operation.label),
            )
        refused.append("the access token")
    return Kept(f"after the logout {' and '.join(refused)} {'are' if len(refused) > 1 else 'is'} refused")


def _finding(expected: str, actual: str, sent: str, request: Request) -> Finding:
    return Finding(expected=expected, actual=actual, sent=sent, request=request)


_REFRESH = {"op": "POST /auth/refresh", "body": {"refresh_token": "$refresh"}, "rotates": True}
_LOGOUT = {"op": "POST /auth/logout", "body": {"refresh_token": "$refresh"}}

CONFORMING = (
    Example("the sample shop"),
    Example(
        "access tokens live on where the contract does not say that they end",
        shop=lambda shop: shop.skips.add("session"),
        policy={"auth": {"refresh": _REFRESH, "logout": _LOGOUT}},
    ),
    Example(
        "400 for what was logged out", alter=lambda q, r: Response.problem(400) if r.status == 401 and q.body else r
    ),
    Example(
        "a refusal that is told with 200 and gives no tokens",
        alter=lambda q, r: (
            Response.of(200, {"error": "session ended"}) if r.status == 401 and q.path.endswith("/refresh") else r
        ),
    ),
)

BREACHING = (
    Example("only the client forgets its tokens", shop=lambda shop: shop.skips.add("logout")),
    Example("the access token lives on", shop=lambda shop: shop.skips.add("session")),
)
