"""A refresh token that is used twice ends its family.

## What it requires

Refresh tokens rotate: the one that was used is refused from then on. And when it does come back, the token that replaced it is
revoked as well, because one of the two who hold the family stole it.

## Why

Without it a stolen refresh token works for days beside the owner's, and nobody can tell.

## What it sends

On a session of its own: a refresh, the used token again, then the token that replaced it.

## Example of a breach

The used token is refused, but its successor still works.

## When to waive it

Where refresh tokens are bound to the client (RFC 9449, mutual TLS), or a grace period for retries is documented.
"""

from __future__ import annotations

from dataclasses import replace
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
    send,
    sign_in,
)
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps import describe, pointed, step_request

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A refresh token that is used twice ends its family",
    level=SHOULD,
    clause=Clause(
        "RFC 9700 §4.14.2",
        "https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2",
        "it will revoke the active refresh token. This stops the attack at the cost of forcing the legitimate client to "
        "obtain a fresh authorization grant.",
    ),
    catalogue=("JWT-13", "JWT-12"),
    reads=("auth.refresh",),
    cost=6,
    owasp="API2:2023",
    cwe=("CWE-294",),
)


def subjects(contract: Contract) -> Subjects:
    step = contract.auth.refresh
    if step is None:
        return NotApplicable("the contract has no refresh operation")
    if not step.rotates:
        return Unproven("the contract does not say that refresh tokens rotate", "auth: {refresh: {rotates: true}}")
    return [Subject(step.operation.label, operation=step.operation)]


def converse(lane: Lane) -> Conversation:
    step = lane.contract.auth.refresh
    assert step is not None
    session: Session = yield from sign_in(fresh=True)
    if session.refresh is None:
        raise CannotProve(
            "the login gives no refresh token where the contract looks for it", "auth: {login: {refresh: /…}}"
        )
    first = step_request(lane, step, session)
    answer = yield from send(first)
    if not answer.ok:
        raise CannotProve(f"{step.operation.label} with a fresh token was answered with {describe(answer)}")
    pointer = step.refresh or (lane.contract.auth.login.refresh if lane.contract.auth.login else "")
    try:
        successor = pointed(answer.json(), pointer) if pointer else None
    except (LookupError, NotJson):
        successor = None
    if not isinstance(successor, str) or successor == session.refresh:
        return _finding("a new refresh token with every refresh", "the same refresh token, or none, came back", first)
    replayed = yield from send(first)
    if replayed.ok:
        return _finding("400 or 401 for a refresh token that was used", f"{replayed.status}: it works again", first)
    second = step_request(lane, step, replace(session, refresh=successor))
    after = yield from send(second)
    if after.ok:
        return _finding(
            "400 or 401 for the successor once the used token came back",
            f"the used token was refused ({replayed.status}), but its successor still works ({after.status})",
            second,
        )
    return Kept("the used token and its successor are refused")


def _finding(expected: str, actual: str, request: Request) -> Finding:
    sent = "a refresh, the used token again, then its successor"
    return Finding(expected=expected, actual=actual, sent=sent, request=request)


class _Forgetful(set[str]):
    """Families that are never revoked."""

    def add(self, family: str) -> None:
        return


CONFORMING = (Example("the sample shop"),)

BREACHING = (
    Example(
        "nothing rotates",
        alter=lambda q, r: (
            Response.of(200, {"access_token": "a", "refresh_token": q.json()["refresh_token"]})
            if q.path.endswith("/refresh")
            else r
        ),
    ),
    Example(
        "used tokens work again",
        alter=lambda q, r: (
            Response.of(200, {"access_token": "a", "refresh_token": "b"})
            if q.path.endswith("/refresh") and r.status == 401
            else r
        ),
    ),
    Example("the family lives on", shop=lambda shop: setattr(shop, "revoked", _Forgetful())),
)
