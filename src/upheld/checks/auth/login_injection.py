"""A login takes no query for a name or a password.

## What it requires

Pieces of SQL, a wildcard, an operator of a document database in place of a string, a name of ten thousand characters: all are
refused with a 4xx (400, 401, 403, 404, 413, 422). None lets anybody in, none makes a 5xx.

## Why

The login is the one query that everybody may send. Where its input becomes part of the query, `' OR 1=1--` is whoever stands
first in the table, and `{"$ne": null}` fits every password.

## What it sends

Eight logins with such a name or password, none of an identity that exists, so nobody is locked out. Where one is let in or
makes a 5xx, an ordinary login of an unknown user follows, which has to be refused.

## Example of a breach

`{"email": {"$ne": null}, "password": {"$ne": null}}` is answered `200` with a token of the administrator.

## When to waive it

Never.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
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
    Requirement,
    Subjects,
    send,
    sign_in,
)
from upheld.exchange import Request, Response, Session
from upheld.steps import crashed, describe, step_request
from upheld.steps.accounts import LOGIN_LINE, elsewhere, let_in, log_in, login_subject, newcomer

if TYPE_CHECKING:
    from upheld.contract import Contract, Step

REQUIREMENT = Requirement(
    title="A login takes no query for a name or a password",
    level=MUST,
    clause=Clause(
        "CWE-89, CWE-943",
        "https://cwe.mitre.org/data/definitions/943.html",
        "The product generates a query intended to access or manipulate data in a data store such as a database, but it does "
        "not neutralize or incorrectly neutralizes special elements that can modify the intended logic of the query.",
    ),
    catalogue=("AUTH-11",),
    reads=("auth.login",),
    dear=True,
    cost=9,
    owasp="API2:2023",
    cwe=("CWE-89", "CWE-943"),
)


def subjects(contract: Contract) -> Subjects:
    return login_subject(contract)


def converse(lane: Lane) -> Conversation:
    step = lane.contract.auth.login
    assert step is not None
    somebody: Session = yield from sign_in()
    if not somebody.user or not somebody.password:
        raise CannotProve(
            "nobody signs in with a user name and a password, so the login is not known to work", LOGIN_LINE
        )
    yield from elsewhere()
    tried = 0
    for number, (says, request) in enumerate(_probes(lane, step)):
        if number == 4:
            yield from elsewhere()
        answer: Response = yield from send(request)
        if let_in(lane, answer) or crashed(answer):
            stranger: Response = yield from log_in(lane, newcomer(lane, f"Quay-{lane.unique()}-Bison"))
            if let_in(lane, stranger) or stranger.status >= 500:
                raise CannotProve(f"a login of an unknown user is answered no better: {describe(stranger)}")
            return Finding(
                expected="400, 401, 403, 404, 413 or 422",
                actual=f"{answer.status}: somebody is let in" if answer.ok else describe(answer),
                sent=f"a login with {says}",
                origin=f"{'in' if answer.ok else 'crash'}: {says}",
                request=request,
            )
        tried += answer.status < 500
    if not tried:
        raise CannotProve("the login was not available")
    return Kept(f"{tried} refused")


def _probes(lane: Lane, step: Step) -> Iterator[tuple[str, Request]]:
    domain = "@example.com" if lane.contract.auth.user_kind == "email" else ""
    name, password = lane.unique("n"), f"Quay-{lane.unique()}-Bison"
    named = {
        "SQL as the name": "' OR 1=1--",
        "an apostrophe in the name": f"{name}o'hara{domain}",
        "a wildcard as the name": f"*{domain}",
        "a name of 10 kB": "a" * 10_000 + domain,
    }
    if domain:
        # An address by RFC 5322 §3.2.3, so that no rule about its form stands before the query.
        named["SQL that is an address"] = f"'or'1'='1'--{domain}"
    for says, user in named.items():
        yield says, step_request(lane, step, newcomer(lane, password, name=user))
    yield "SQL as the password", step_request(lane, step, newcomer(lane, "' OR '1'='1"))
    if step.media_type.endswith("json"):
        plain = step_request(lane, step, newcomer(lane, password, name=f"{name}{domain}"))
        for says, operator in (("{$ne: null}", {"$ne": None}), ("{$gt: ''}", {"$gt": ""})):
            body = _with(plain.json(), {f"{name}{domain}": operator, password: operator})
            yield f"{says} in place of name and password", plain.with_(body=json.dumps(body).encode())


def _with(value: Any, instead: dict[str, Any]) -> Any:
    """The document with other values in the places of these texts."""
    if isinstance(value, dict):
        return {key: _with(member, instead) for key, member in value.items()}
    return instead.get(value, value) if isinstance(value, str) else value


_TOKENS = Response.of(200, {"access_token": "a", "refresh_token": "b", "token_type": "Bearer", "expires_in": 9})


def _has(request: Request, text: bytes) -> bool:
    return request.path.endswith("/login") and text in (request.body or b"")


CONFORMING = (
    Example("the sample shop"),
    Example(
        "a gateway refuses what looks like SQL",
        alter=lambda q, r: Response(403, body=b"Forbidden") if _has(q, b"'") else r,
    ),
    Example(
        "a login that says no with a 200",
        alter=lambda q, r: Response.of(200, {"error": "wrong"}) if q.path.endswith("/login") and r.status != 200 else r,
    ),
)

BREACHING = (
    Example("the name is part of the query", alter=lambda q, r: _TOKENS if _has(q, b"' OR 1=1") else r),
    Example("an apostrophe ends the query", alter=lambda q, r: Response.problem(500) if _has(q, b"o'hara") else r),
    Example("objects reach the database", alter=lambda q, r: _TOKENS if _has(q, b"$ne") else r),
    Example("ten thousand characters", alter=lambda q, r: Response.problem(500) if _has(q, b"a" * 9999) else r),
)
