"""A refresh token that is used twice ends its family.

## What it requires

When a refresh token that was used comes back, the token that replaced it is revoked as well: two hold the family, and one of
them stole it. (That the used one is refused at all is `jwt/rotation`.)

## Why

Without it a stolen refresh token works for days beside the owner's, and nobody can tell.

## What it sends

On a session of its own: a refresh, the used token again (after the grace period, if there is one), then the token that
replaced it.

## Example of a breach

The used token is refused, but its successor still works.

## When to waive it

Where refresh tokens are bound to the client (RFC 9449, mutual TLS).
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
    Unproven,
    sign_in,
    wait,
)
from upheld.exchange import Response, Session
from upheld.steps.sessions import refresh_request, refresh_works, refreshed

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
    catalogue=("JWT-13",),
    reads=("auth.refresh",),
    cost=6,
    owasp="API2:2023",
    cwe=("CWE-294",),
)


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
    successor: Session = yield from refreshed(lane, session)
    if successor.refresh == session.refresh:
        raise CannotProve("no new refresh token came, so there is no family; jwt/rotation tells")
    if step.grace:
        yield from wait(step.grace + 1)
    if (yield from refresh_works(lane, session)) is not None:
        raise CannotProve("the used refresh token is not refused, so nothing was noticed; jwt/rotation tells")
    after = yield from refresh_works(lane, successor)
    if after is not None:
        return Finding(
            expected="a refusal (4xx, such as 400 or 401) of the successor too, once the used token came back",
            actual=f"the used token was refused, but its successor still gets new tokens ({after.status})",
            sent="a refresh, the used token again, then its successor",
            request=refresh_request(lane, successor),
        )
    return Kept("the used token and its successor are refused")


class _Forgetful(set[str]):
    """Families that are never revoked."""

    def add(self, family: str) -> None:
        return


CONFORMING = (
    Example("the sample shop"),
    Example(
        "400 for both",
        alter=lambda q, r: Response.problem(400) if r.status == 401 and q.path.endswith("/refresh") else r,
    ),
)

BREACHING = (Example("the family lives on", shop=lambda shop: setattr(shop, "revoked", _Forgetful())),)
