"""Tokens live as long as the contract says.

## What it requires

An access token ends `auth: {jwt: {access_ttl: …}}` after it was issued, a refresh token `refresh_ttl` after; five seconds more or less are
allowed. What the token endpoint says in `expires_in` is what the token says.

## Why

A life that nobody configured is the library's default, and that may be an hour, a year, or none at all. A client that plans by `expires_in`
fails when the token ends earlier.

## What it sends

Nothing but a login: `exp` and `iat` of its tokens are read. Where a token has no `iat`, the answer's Date counts; where it is
opaque, `expires_in`, for a refresh token `refresh_expires_in` or its cookie's Max-Age.

## Example of a breach

The contract says 15 minutes; `exp` is 86400 s after `iat`.

## When to waive it

Never: state the life that tokens have.
"""

from __future__ import annotations

import re
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
)
from upheld.exchange import NotJson, Response, Session
from upheld.steps import Token, forged, issued_at, pointed, read_token

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="Tokens live as long as the contract says",
    level=MUST,
    clause=Clause(
        "contract: auth.jwt.access_ttl, refresh_ttl; RFC 6749 §5.1 (expires_in)",
        "https://www.rfc-editor.org/rfc/rfc6749#section-5.1",
        "The lifetime in seconds of the access token.",
    ),
    catalogue=("JWT-08",),
    reads=("auth.jwt.access_ttl", "auth.jwt.refresh_ttl", "auth.login"),
    cost=1,
    cwe=("CWE-613",),
)

_ACCESS, _REFRESH = "access token", "refresh token"
_TOLERANCE = 5


def subjects(contract: Contract) -> Subjects:
    login, promised = contract.auth.login, contract.policy.auth.jwt
    if login is None:
        return NotApplicable("the contract has no login operation")
    found = [Subject(_ACCESS, operation=login.operation)] if promised.access_ttl is not None else []
    if promised.refresh_ttl is not None and login.refresh:
        found.append(Subject(_REFRESH, operation=login.operation))
    return found or Unproven(
        "the contract does not say how long tokens live", "auth: {jwt: {access_ttl: 15m, refresh_ttl: 7d}}"
    )


def converse(lane: Lane) -> Conversation:
    session: Session = yield from sign_in()
    if session.answer is None:
        raise CannotProve(f"the token of {session.name} was given, and no login's answer tells of it")
    answer, jwt = _members(lane, session.answer), lane.contract.policy.auth.jwt
    if lane.subject.label == _ACCESS:
        token, promised, stated = read_token(session.access), jwt.access_ttl, _number(answer.get("expires_in"))
    else:
        token, promised, stated = read_token(session.refresh), jwt.refresh_ttl, _told_of_refresh(session, answer)
    assert promised is not None
    if token is None:
        if stated is None:
            return Unproven(f"the {lane.subject.label} is opaque, and the answer does not say when it ends")
        return _judged(lane, promised, stated, "the answer says that it lives {:.10g} s")
    exp = _number(token.claims.get("exp"))
    if exp is None:
        said = f"exp is {token.claims['exp']!r}" if "exp" in token.claims else "it has no exp"
        return _finding(lane, f"an exp that is a number, {promised:.10g} s after iat", said)
    life = exp - _issued(token, session.answer)
    outcome = _judged(lane, promised, life, "exp is {:.10g} s after " + ("iat" if "iat" in token.claims else "Date"))
    oauth = "token_type" in answer or lane.subject.label == _REFRESH
    if isinstance(outcome, Kept) and oauth and stated is not None and abs(stated - life) > _TOLERANCE:
        return _finding(
            lane, f"{life:.10g} s in expires_in, as the token says itself", f"{stated:.10g} s in the answer"
        )
    return outcome


def _judged(lane: Lane, promised: float, life: float, says: str) -> Finding | Kept:
    if abs(life - promised) > _TOLERANCE:
        return _finding(lane, f"{promised:.10g} s, {_TOLERANCE} s more or less", says.format(life))
    return Kept(says.format(life))


def _finding(lane: Lane, expected: str, actual: str) -> Finding:
    what = lane.subject.label
    return Finding(expected=f"{what}: {expected}", actual=f"{what}: {actual}", sent=f"a login ({lane.operation.label})")


def _issued(token: Token, answer: Response) -> float:
    iat = _number(token.claims.get("iat"))
    return iat if iat is not None else issued_at(token, answer)


def _members(lane: Lane, answer: Response) -> Mapping[str, Any]:
    """The object of the login's answer in which the access token stands."""
    login = lane.contract.auth.login
    try:
        found = pointed(answer.json(), (login.access if login else "").rpartition("/")[0])
    except (LookupError, NotJson):
        return {}
    return found if isinstance(found, Mapping) else {}


def _told_of_refresh(session: Session, answer: Mapping[str, Any]) -> float | None:
    for name in ("refresh_expires_in", "refresh_token_expires_in"):
        if (seconds := _number(answer.get(name))) is not None:
            return seconds
    for cookie in session.answer.headers.all("set-cookie") if session.answer else ():
        found = re.search(r";\s*Max-Age=(\d+)", cookie, re.IGNORECASE)
        if found and session.refresh and session.refresh in cookie:
            return float(found[1])
    return None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _says(**members: Any) -> Any:
    """A shop whose logins answer with these members instead; None leaves one out."""

    def change(shop: Shop) -> None:
        made = shop._tokens

        def tokens(user: str, family: str) -> Response:
            told = {**made(user, family).json(), **members}
            return Response.of(200, {name: value for name, value in told.items() if value is not None})

        shop._tokens = tokens  # type: ignore[method-assign]

    return change


def _promised(**lives: str) -> dict[str, Any]:
    return {"auth": {"refresh": {"op": "POST /auth/refresh", "body": {"refresh_token": "$refresh"}}, "jwt": lives}}


def _token(**claims: Any) -> str:
    return forged({"alg": "HS256", "typ": "JWT"}, {"sub": "u1", "iat": 1_795_348_800, **claims}, b"key")


CONFORMING = (
    Example("the sample shop", subject=_ACCESS),
    Example("its refresh token", subject=_REFRESH),
    Example("four seconds less than promised", policy=_promised(access_ttl="904s"), subject=_ACCESS),
    Example("an opaque token that is told of", shop=_says(access_token="opaque"), subject=_ACCESS),
    Example(
        "an opaque refresh token that is told of",
        shop=_says(refresh_token="opaque", refresh_expires_in=604_800),
        subject=_REFRESH,
    ),
    Example("no OAuth answer, and milliseconds", shop=_says(token_type=None, expires_in=900_000), subject=_ACCESS),
)

BREACHING = (
    Example("longer than promised", policy=_promised(access_ttl="5m"), subject=_ACCESS),
    Example("a refresh token that ends too soon", policy=_promised(refresh_ttl="30d"), subject=_REFRESH),
    Example("exp is no number", shop=_says(access_token=_token(exp="tomorrow")), subject=_ACCESS),
    Example("no exp at all", shop=_says(access_token=_token()), subject=_ACCESS),
    Example("expires_in says something else", shop=_says(expires_in=3600), subject=_ACCESS),
    Example("an opaque token that lives a day", shop=_says(access_token="opaque", expires_in=86_400), subject=_ACCESS),
)
