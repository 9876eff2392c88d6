"""A failed login does not tell whether the user exists.

## What it requires

An unknown user and a wrong password are answered alike: the same status, the same fields, the same body but for what
differs from request to request.

## Why

A login that says "no such user" lets anybody find out, one guess at a time, who has an account.

## What it sends

Two logins: one for a user that does not exist, one for a user made for the occasion, with a wrong password.

## Example of a breach

`404 {"detail": "User not found"}` for the one, `401 {"detail": "Wrong password"}` for the other.

## When to waive it

Where user names are public by design. Then say `auth: {enumeration: {login: allowed}}`.
"""

from __future__ import annotations

import re
from dataclasses import replace
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
from upheld.exchange import Response, Session
from upheld.steps import describe, step_request

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A failed login does not tell whether the user exists",
    level=MUST,
    clause=Clause(
        "OWASP ASVS 5.0, 6.3.8",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md",
        "Verify that valid users cannot be deduced from failed authentication challenges.",
    ),
    catalogue=("AUTH-07",),
    reads=("auth.login", "auth.enumeration", "volatile"),
    cost=4,
    owasp="API2:2023",
    cwe=("CWE-204",),
)

# Values that differ from answer to answer for good reasons: ids, times, anything long and random.
_VOLATILE = re.compile(rb"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4,12})+|\d{4}-\d\d-\d\dT[0-9:.]+Z?|\d{6,}|[A-Za-z0-9_-]{24,}")
_PER_ANSWER = {"date", "content-length", "x-request-id", "request-id", "x-correlation-id", "traceparent", "set-cookie"}


def subjects(contract: Contract) -> Subjects:
    login = contract.auth.login
    if contract.policy.auth.enumeration.login == "allowed":
        return NotApplicable("the contract lets the login tell who exists (auth.enumeration.login: allowed)")
    if login is None:
        return Unproven(
            "no login operation is stated or recognised", "auth: {login: {op: POST /auth/login, body: {…}}}"
        )
    return [Subject(login.operation.label, operation=login.operation)]


def converse(lane: Lane) -> Conversation:
    step = lane.contract.auth.login
    assert step is not None
    known: Session = yield from sign_in(fresh=True)
    if not known.user or not known.password:
        raise CannotProve("no identity signs in with a user name and a password")
    # As long as the right one, so that no rule about its form answers first; letters of the same kinds.
    wrong = known.password[:-4] + "".join(reversed(known.password[-4:])) + "Zz9-"
    unknown = _like(known.user, lane.unique("n"))
    answers: list[Response] = []
    for user in (unknown, known.user):
        request = step_request(lane, step, replace(known, user=user, password=wrong))
        answers.append((yield from send(request)))
    absent, present = answers
    if absent.ok or present.ok:
        raise CannotProve(
            f"a login with a wrong password was answered with {describe(present if present.ok else absent)}"
        )
    difference = _difference(absent, present, unknown, known.user)
    if difference:
        return Finding(
            expected="the same status, fields and body for both",
            actual=difference,
            sent="a login of an unknown user, and one of a known user with a wrong password",
            request=step_request(lane, step, replace(known, user=unknown, password=wrong)),
        )
    return Kept(f"both were answered {absent.status}")


def _like(user: str, name: str) -> str:
    """A user name of the same form that nobody has."""
    _, at, domain = user.partition("@")
    return f"{name}{at}{domain}"


def _difference(absent: Response, present: Response, unknown: str, known: str) -> str:
    if absent.status != present.status:
        return f"{absent.status} for an unknown user, {present.status} for a wrong password"
    if absent.media_type != present.media_type:
        return f"{absent.media_type} for an unknown user, {present.media_type} for a wrong password"
    fields = [{n for n in r.headers if n not in _PER_ANSWER and "ratelimit" not in n} for r in (absent, present)]
    if fields[0] != fields[1]:
        return f"the fields differ: {', '.join(sorted(fields[0] ^ fields[1]))}"
    bodies = [_masked(absent.body, unknown), _masked(present.body, known)]
    if bodies[0] != bodies[1]:
        return f"unknown user: {describe(absent)}; wrong password: {describe(present)}"
    return ""


def _masked(body: bytes, user: str) -> bytes:
    return _VOLATILE.sub(b"*", body.replace(user.encode(), b"*"))


def _tells(title: str) -> Response:
    return Response.problem(401, title, www_authenticate='Bearer realm="shop"')


CONFORMING = (
    Example("the sample shop"),
    Example(
        "ids of requests differ",
        alter=lambda q, r: (
            Response(r.status, r.headers, b'{"request_id": "%032x"}' % (id(q) & 0xFFFF)) if r.status == 401 else r
        ),
    ),
)

BREACHING = (
    Example(
        "404 for whom nobody knows",
        alter=lambda q, r: Response.problem(404) if r.status == 401 and b'"n' in (q.body or b"") else r,
    ),
    Example(
        "the title tells",
        alter=lambda q, r: _tells("No such user") if r.status == 401 and b'"n' in (q.body or b"") else r,
    ),
)
