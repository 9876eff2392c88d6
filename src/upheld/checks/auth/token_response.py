"""An answer with tokens is stored nowhere and says how long they live.

## What it requires

What login, refresh and a registration that signs in answer with tokens carries `Cache-Control: no-store`. In an answer of OAuth's
shape (`access_token` beside `expires_in`) `token_type` is there, and `expires_in` is what is left of the access token's `exp`,
in seconds.

## Why

A token in a cache is a token for whoever reads the cache. A client that believes a wrong `expires_in` refreshes too late, and its
users are signed out in the middle of their work.

## What it sends

Nothing of its own. It watches what the session's operations answer.

## Example of a breach

`{"access_token": "…", "expires_in": 3600}` for a token that is dead after 15 minutes.

## When to waive it

Never.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    Clause,
    Example,
    Finding,
    Kept,
    NotApplicable,
    Outcome,
    Requirement,
    Subject,
    Subjects,
    seen,
)
from upheld.contract.sessions import tokens_in
from upheld.exchange import Exchange, NotJson, Response
from upheld.steps import pointed, read_token
from upheld.steps.tokens import encoded

if TYPE_CHECKING:
    from upheld.contract import Contract, Step

REQUIREMENT = Requirement(
    title="An answer with tokens is stored nowhere and says how long they live",
    level=MUST,
    clause=Clause(
        "RFC 6749 §5.1, OAuth 2.1 §3.2.3; OWASP ASVS 5.0, 14.3.2",
        "https://www.rfc-editor.org/rfc/rfc6749#section-5.1",
        'The authorization server MUST include the HTTP "Cache-Control" response header field with a value of "no-store" in '
        "any response containing tokens, credentials, or other sensitive information.",
    ),
    catalogue=("AUTH-05",),
    reads=("auth.login", "auth.refresh", "auth.register"),
    owasp="API2:2023",
    cwe=("CWE-525",),
)

_LEEWAY = 5
_DIRECTIVE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s*=\s*(?:\"[^\"]*\"|[^\s,]+))?")


def subjects(contract: Contract) -> Subjects:
    found = [Subject(step.operation.label, operation=step.operation) for step in _steps(contract)]
    return found or NotApplicable("the contract has no operation that gives tokens")


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    step = next((step for step in _steps(contract) if step.operation.label == exchange.operation), None)
    if step is None or not exchange.response.ok:
        return None
    try:
        document = exchange.response.json()
    except NotJson:
        return None
    token = _token(document, step)
    if token is None:
        return None
    control = exchange.response.headers.get("cache-control", "")
    if "no-store" not in {name.lower() for name in _DIRECTIVE.findall(control)}:
        actual = f"Cache-Control: {control[:100]}" if control else "no Cache-Control"
        return _finding(exchange, "Cache-Control: no-store", f"{actual} on an answer with tokens", "no-store")
    if "access_token" not in document or "expires_in" not in document:
        return Kept()  # no answer of OAuth's shape: what else stands in it is its own affair
    if not document.get("token_type"):
        return _finding(exchange, 'a token_type, such as "Bearer"', "access_token without a token_type", "token_type")
    return _lifetime(exchange, document, token) or Kept()


def _steps(contract: Contract) -> list[Step]:
    """Those that give tokens; a registration only where the contract says that it does."""
    auth = contract.auth
    steps = (auth.login, auth.refresh, auth.register if auth.register and auth.register.access else None)
    return [step for step in steps if step]


def _token(document: Any, step: Step) -> str | None:
    pointer = step.access or tokens_in(document)[0]
    try:
        value = pointed(document, pointer) if pointer else None
    except LookupError:
        return None
    return value if isinstance(value, str) and value and isinstance(document, Mapping) else None


def _lifetime(exchange: Exchange, document: Mapping[str, Any], text: str) -> Finding | None:
    """Held against ``exp`` by the answer's Date and by the token's own ``iat``; whichever fits is enough."""
    token, said = read_token(text), _number(document["expires_in"])
    exp = _number(token.claims.get("exp")) if token else None
    if token is None or said is None or exp is None:
        return None
    lives = [exp - begins for begins in (_date(exchange.response), _number(token.claims.get("iat"))) if begins]
    if not lives or any(abs(life - said) <= _LEEWAY for life in lives):
        return None
    return _finding(
        exchange,
        f"expires_in: {lives[0]:g}, the seconds until the access token's exp (± {_LEEWAY})",
        f"expires_in: {said:g}, and the token expires {lives[0]:g} s after this answer",
        "expires_in",
    )


def _number(value: Any) -> float | None:
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 16:
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _date(response: Response) -> float | None:
    try:
        return parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except ValueError:
        return None


def _finding(exchange: Exchange, expected: str, actual: str, origin: str) -> Finding:
    return Finding(expected=expected, actual=actual, origin=origin, request=exchange.request)


_NOW = 1_800_000_000


def _answer(path: str = "login", control: str | None = "no-store", iat: int | None = None, **members: Any) -> Exchange:
    claims = {"sub": "u1", "exp": _NOW + 900} | ({"iat": iat} if iat else {})
    token = f"{encoded({'alg': 'HS256'})}.{encoded(claims)}.c2ln"
    body = {"access_token": token, "refresh_token": "r", "token_type": "Bearer", "expires_in": 900, **members}
    shown = {name: value for name, value in body.items() if value is not None}
    headers = {"cache_control": control} if control else {}
    answer = Response.of(200, shown, date=formatdate(_NOW, usegmt=True), **headers)
    return seen("POST", f"/api/v1/auth/{path}", answer)


CONFORMING = (
    Example("a login", exchange=_answer()),
    Example("a refresh, among other directives", exchange=_answer("refresh", "private, No-Store, max-age=0")),
    Example("no OAuth: tokens alone", exchange=_answer(token_type=None, expires_in=None)),
    Example("a number as a string", exchange=_answer(expires_in="899")),
    Example("opaque tokens", exchange=_answer(access_token="5f2c", expires_in=3600)),
    Example("a life that is a text", exchange=_answer(expires_in="15m")),
    Example("a Date from a proxy with a clock of its own", exchange=_answer(iat=_NOW - 300, expires_in=1200)),
)

BREACHING = (
    Example("no Cache-Control", exchange=_answer(control=None)),
    Example("no-cache is not no-store", exchange=_answer("refresh", "no-cache")),
    Example("a private cache may keep it", exchange=_answer(control='private="no-store"')),
    Example("no token_type", exchange=_answer(token_type=None)),
    Example("the life of the refresh token", exchange=_answer(expires_in=604_800)),
    Example("milliseconds", exchange=_answer(expires_in=900_000, iat=_NOW)),
)
