"""A refresh gives a new refresh token, and the used one is refused.

## What it requires

Every refresh answers with a refresh token that differs from the one it was given. That one is refused from then on, or after
`grace` where the contract allows one. The new access token works, and belongs to the same user.

## Why

A refresh token that can be used again and again is a password that somebody else may have copied.

## What it sends

On a session of its own: a read, a refresh, the read with the new access token, and the used refresh token once more (after the
grace period, if there is one).

## Example of a breach

The answer has a new refresh token, and the old one goes on working beside it.

## When to waive it

Where refresh tokens are bound to the client (RFC 9449, mutual TLS); then say `auth: {refresh: {rotates: false}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
    sign_in,
    wait,
)
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps import access_token, canary
from upheld.steps.sessions import access_works, refresh_request, refresh_works, refreshed

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A refresh gives a new refresh token, and the used one is refused",
    level=MUST,
    clause=Clause(
        "RFC 9700 §2.2.2, §4.14.2 and the contract's auth.refresh.rotates",
        "https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2",
        "The authorization server issues a new refresh token with every access token refresh response. The previous refresh "
        "token is invalidated, but information about the relationship is retained by the authorization server.",
    ),
    catalogue=("JWT-12",),
    reads=("auth.refresh",),
    cost=6,
    owasp="API2:2023",
    cwe=("CWE-294",),
)

_LONGEST_GRACE = 120.0
_NAMES = ("id", "user_id", "userId", "uuid", "sub", "email", "username")


def subjects(contract: Contract) -> Subjects:
    step = contract.auth.refresh
    if step is None:
        return NotApplicable("the contract has no refresh operation")
    stated = contract.policy.auth.refresh
    if stated is not None and stated.rotates is False:
        return NotApplicable("the contract says that refresh tokens do not rotate")
    if not step.rotates:
        return Unproven("the contract does not say that refresh tokens rotate", "auth: {refresh: {rotates: true}}")
    return [Subject(step.operation.label, operation=step.operation)]


def converse(lane: Lane) -> Conversation:
    step = lane.contract.auth.refresh
    assert step is not None
    session: Session = yield from sign_in(fresh=True)
    me = canary(lane.contract)
    before = (yield from access_works(lane, session)) if me is not None else None
    following: Session = yield from refreshed(lane, session)
    used = refresh_request(lane, session)
    if following.refresh == session.refresh:
        if following.answer is not None and "set-cookie" in following.answer.headers:
            raise CannotProve("the refresh gives its tokens in a cookie, and the contract looks for them in the body")
        return Finding(
            expected="a new refresh token with every refresh",
            actual="the refresh was answered with new tokens, and the refresh token among them is the old one, or none",
            request=used,
        )
    if me is not None and before is not None:
        after = yield from access_works(lane, following)
        request = Request(me.method, me.path, session=following, operation=me.label)
        if after is None:
            return Finding(
                expected="the new access token lets in as the old one did",
                actual=f"{me.label} took the old access token and refuses the one that the refresh gave",
                request=request,
            )
        were, are = _identity(before, session), _identity(after, following)
        if were and are and were != are:
            return Finding(
                expected="an access token of the same user",
                actual=f"the new access token belongs to somebody else: {were[0]} differs at {me.label}",
                request=request,
            )
    if step.grace > _LONGEST_GRACE:
        raise CannotProve(f"a used refresh token may come back for {step.grace:g} s, which is longer than a run waits")
    if step.grace:
        yield from wait(step.grace + 1)
    again = yield from refresh_works(lane, session)
    if again is not None:
        later = f", {step.grace + 1:g} s after its use" if step.grace else ""
        return Finding(
            expected="a refusal (4xx, such as 400 or 401) of a refresh token that was used",
            actual=f"{again.status} with new tokens: the used refresh token works again{later}",
            sent="a refresh, then the same refresh token again",
            request=used,
        )
    return Kept("the used refresh token is refused")


def _identity(answer: Response, session: Session) -> tuple[str, Any] | None:
    """(what is called so, its value) of the user whom the answer, else the token, is about; None where neither tells."""
    try:
        document = answer.json()
    except NotJson:
        document = None
    nested = [value for value in document.values() if isinstance(value, Mapping)] if isinstance(document, dict) else []
    for shown in (document, *nested):
        for name in _NAMES if isinstance(shown, Mapping) else ():
            if isinstance(shown.get(name), str | int):
                return name, shown[name]
    token = access_token(session)
    return ("sub", token.claims["sub"]) if token and "sub" in token.claims else None


class _SameAgain:
    """Used refresh tokens work for ten seconds more, as the contract of this example says."""

    def __init__(self) -> None:
        self.answers: dict[bytes, Response] = {}
        self.before = 0.0

    def __call__(self, request: Request, response: Response) -> Response:
        if not request.path.endswith("/refresh") or request.body is None:
            return response
        known = self.answers.setdefault(request.body, response)
        return known if response.at < known.at + 10 else response


_REFRESH = {"op": "POST /auth/refresh", "body": {"refresh_token": "$refresh"}, "rotates": True}
_SOMEBODY = Response.of(200, {"id": "mallory", "email": "m@example.test", "role": "user"})


class _Swapped:
    """The refresh mixes up two users."""

    def __init__(self) -> None:
        self.refreshed = False

    def __call__(self, request: Request, response: Response) -> Response:
        self.refreshed |= request.path.endswith("/refresh")
        return _SOMEBODY if self.refreshed and request.path.endswith("/me") and response.ok else response


CONFORMING = (
    Example("the sample shop"),
    Example(
        "a grace period for clients that lost the answer",
        alter=_SameAgain,
        policy={"auth": {"refresh": {**_REFRESH, "grace": "10s"}}},
    ),
    Example(
        "403 for what was used",
        alter=lambda q, r: Response.problem(403) if r.status == 401 and q.path.endswith("/refresh") else r,
    ),
)

BREACHING = (
    Example("used tokens work again", shop=lambda shop: shop.skips.update({"rotation", "reuse"})),
    Example(
        "the same refresh token comes back",
        alter=lambda q, r: (
            Response.of(200, {**r.json(), "refresh_token": q.json()["refresh_token"]})
            if q.path.endswith("/refresh") and r.ok
            else r
        ),
    ),
    Example(
        "used tokens work for longer than the grace period",
        alter=_SameAgain,
        policy={"auth": {"refresh": {**_REFRESH, "grace": "5s"}}},
    ),
    Example("another user's access token", alter=_Swapped),
)
