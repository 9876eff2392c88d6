"""Without credentials the answer is 401.

## What it requires

A valid request to an operation that needs credentials, sent without any, is answered with 401: not with 403, which speaks to somebody who
is known, nor with 404, 400 or 422, which speak of something else.

## Why

401 is the one status on which a client signs in or refreshes its token and tries again. On 403 it gives up, on 404 it forgets the
address, on 422 it looks for a fault in its data.

## What it sends

To each secured operation a valid request without credentials, then the same as somebody who may call it. Only if that succeeds is the
first answer judged. (Whether anybody is let in without credentials is another requirement's matter.)

## Example of a breach

`GET /users/me` without credentials is answered `403 Forbidden`.

## When to waive it

Where API keys are checked by a gateway that answers 403, or where 404 hides that a thing exists from everybody, signed in or not.
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
    Outcome,
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import Move, caller, describe, operations, unmade_path, valid_request, with_valid_body

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="Without credentials the answer is 401",
    level=SHOULD,
    clause=Clause(
        "RFC 9110 §15.5.2",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.2",
        "the request has not been applied because it lacks valid authentication credentials for the target resource",
    ),
    catalogue=("HTTP-09",),
    reads=("public", "never"),
    cost=2,
    owasp="API2:2023",
)


def subjects(contract: Contract) -> Subjects:
    return operations(contract, lambda op: not contract.is_public(op), "no operation needs credentials")


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    session = yield from caller(lane, operation)
    try:
        request = yield from valid_request(lane, operation, session)
    except CannotProve as cannot:
        outcome: Outcome = yield from _without_member(lane, operation, cannot)
        return outcome
    anonymous = request.as_(None)
    refusal = yield from send(anonymous)
    if refusal.status == 401:
        return Kept()
    if refusal.ok:
        return Unproven("it was carried out without credentials, which the auth group tells")
    # Afterwards, since a DELETE leaves nothing that the refusal could have been about.
    control = yield from send(request)
    if not control.ok:
        return Unproven(f"the control request {operation.label} was answered with {describe(control)}")
    return Finding(
        expected="401",
        actual=describe(refusal),
        sent=f"{request.method} {request.target[:120]} without credentials (with them: {control.status})",
        origin=f"{refusal.status} without credentials",
        request=anonymous,
    )


def _without_member(lane: Lane, operation: Operation, cannot: CannotProve) -> Move:
    """A service that asks for credentials first says 401 of an id that names nothing, too."""
    request = Request(operation.method, unmade_path(lane, operation.path), operation=operation.label)
    refusal = yield from send(with_valid_body(lane, request, operation))
    return Kept("of an id that names nothing") if refusal.status == 401 else cannot.outcome


def _instead(status: int) -> Example:
    def alter(_: Request, response: Response) -> Response:
        return Response.problem(status) if response.status == 401 else response

    return Example(f"{status} without credentials", alter=alter, subject="GET /api/v1/users/me")


CONFORMING = (
    Example("401"),
    Example("401 before a DELETE", subject="DELETE /api/v1/orders/{order_id}"),
)

BREACHING = (_instead(403), _instead(404), _instead(422))
