"""A secured operation refuses whoever shows no valid credentials.

## What it requires

An operation that the contract secures is not carried out without credentials, with a credential that is no token, with another
scheme, or with a well-formed token that somebody else signed.

## Why

One forgotten dependency on one route opens it to everybody, and nobody notices: the clients all send their tokens.

## What it sends

One valid request four times: without credentials, with `Bearer x`, with Basic, with a JWT signed by a random key. Then with good
credentials, which has to succeed: only then do the refusals mean something.

## Example of a breach

`GET /orders` without `Authorization` is answered `200`.

## When to waive it

Never. An operation that is meant for everybody is listed under `public:` or has `security: []` in the document.
"""

from __future__ import annotations

import hashlib
import time
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
    Requirement,
    Subjects,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import as_bearer, caller, describe, forged, operations, tidy, unchanging, valid_request

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="A secured operation refuses whoever shows no valid credentials",
    level=MUST,
    clause=Clause(
        "RFC 9110 §15.5.2, RFC 6750 §3.1",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.2",
        "The 401 (Unauthorized) status code indicates that the request has not been applied because it lacks valid "
        "authentication credentials for the target resource.",
    ),
    catalogue=("AUTH-01",),
    reads=("public", "identities", "auth"),
    cost=7,
    engine=("ignored_auth",),
    owasp="API2:2023",
    cwe=("CWE-306", "CWE-287"),
)


def subjects(contract: Contract) -> Subjects:
    return operations(contract, lambda op: not contract.is_public(op), "the contract secures no operation")


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    session = yield from caller(lane, operation)
    request: Request = yield from valid_request(lane, operation, session)
    request = yield from unchanging(lane, operation, request)
    bare = request.as_(None)
    refusals: set[int] = set()
    for says, value in _CREDENTIALS:
        response = yield from send(bare.with_headers(authorization=value() if callable(value) else value))
        if response.ok:
            yield from tidy(lane, operation, response, session)
            return Finding(
                expected="401",
                actual=f"{response.status} with {says}",
                sent=f"{operation.label} with {says}",
                required=f"{operation.label} is carried out for nobody without valid credentials: {_why(lane.contract, operation)}",
                request=bare.with_headers(authorization=value() if callable(value) else value),
            )
        refusals.add(response.status)
    # Last, because a DELETE that succeeds would leave nothing for the others to be refused.
    control = yield from send(request)
    yield from tidy(lane, operation, control, session)
    # A redirect is what an authorization endpoint answers (RFC 6749 §4.1.2), unless strangers are sent somewhere too.
    let_in = control.ok or (300 <= control.status < 400 and not any(status < 400 for status in refusals))
    if not let_in:
        raise CannotProve(f"{operation.label} with good credentials was answered with {describe(control)}")
    return Kept(f"refused without credentials and with {len(_CREDENTIALS) - 1} bad ones")


def _why(contract: Contract, operation: Operation) -> str:
    """What of the contract secures it."""
    if "security" in operation.raw:
        return "the document asks for them there"
    if contract.policy.public:
        return "no line under public: lists it"
    return "the document asks for them everywhere"


def _foreign_token() -> str:
    """A well-formed access token that nobody here signed."""

    now = int(time.time())
    claims = {"sub": "1", "iat": now, "exp": now + 600, "jti": "upheld", "type": "access"}
    key = hashlib.sha256(str(time.time_ns()).encode()).digest()
    return as_bearer(forged({"alg": "HS256", "typ": "JWT"}, claims, key))


_CREDENTIALS = (
    ("no credentials", None),
    ("a credential that is no token", "Bearer x"),
    ("the Basic scheme", "Basic dXBoZWxkOnVwaGVsZA=="),
    ("a token that another key signed", _foreign_token),
)


_ME = "GET /api/v1/users/me"

CONFORMING = (
    Example("the sample shop", subject=_ME),
    Example("403 is a refusal too", alter=lambda q, r: Response.problem(403) if r.status == 401 else r, subject=_ME),
    Example(
        "who is known is sent on",
        alter=lambda q, r: Response.of(303, location="https://app.example.test/") if r.ok and q.session else r,
        subject=_ME,
    ),
    Example("a DELETE is refused before it is carried out", subject="DELETE /api/v1/orders/{order_id}"),
)

_OPEN = Response.of(200, {"id": "1", "email": "a@example.test", "role": "user"})

BREACHING = (
    Example("nobody asks", alter=lambda q, r: _OPEN if r.status == 401 else r),
    Example(
        "any bearer will do",
        alter=lambda q, r: _OPEN if r.status == 401 and q.headers.get("authorization", "").startswith("Bearer") else r,
    ),
    Example(
        "signatures are not verified",
        alter=lambda q, r: _OPEN if r.status == 401 and q.headers.get("authorization", "").count(".") == 2 else r,
    ),
)
