"""Access tokens and refresh tokens cannot stand in for one another.

## What it requires

A refresh token that is sent as Bearer is refused where an access token is asked for, and an access token is refused by the refresh
operation.

## Why

Refresh tokens live for days and travel to one place only. One that opens everything is an access token with a week's life; an access token
that can be refreshed has no end at all.

## What it sends

On a session of its own: the access token to a harmless operation as the control, the refresh token to the same; then the access token to
the refresh operation, and the refresh token as the control.

## Example of a breach

`GET /users/me` with the refresh token as Bearer is answered `200`.

## When to waive it

Never. Where a login gives one token for both uses, this does not apply.
"""

from __future__ import annotations

import json
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
from upheld.exchange import Request, Response, Session
from upheld.steps import as_bearer, canary, describe, refused, step_request, valid_request

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Access tokens and refresh tokens cannot stand in for one another",
    level=MUST,
    clause=Clause(
        "RFC 8725 §3.12",
        "https://www.rfc-editor.org/rfc/rfc8725#section-3.12",
        "If more than one kind of JWT can be issued by the same issuer, the validation rules for those JWTs MUST be written such "
        "that they are mutually exclusive, rejecting JWTs of the wrong kind.",
    ),
    catalogue=("JWT-09",),
    reads=("auth.login", "auth.refresh"),
    cost=7,
    owasp="API2:2023",
    cwe=("CWE-863",),
)


def subjects(contract: Contract) -> Subjects:
    operation = canary(contract)
    if contract.auth.refresh is None:
        return NotApplicable("the contract has no refresh operation")
    if contract.auth.scheme != "bearer":
        return NotApplicable("access tokens are not sent as Bearer")
    if operation is None:
        return Unproven("no secured GET without parameters is there to show tokens to")
    return [Subject(operation.label, operation=operation)]


def converse(lane: Lane) -> Conversation:
    allowed = lane.contract.roles(lane.operation)
    session: Session = yield from sign_in(allowed[0] if allowed else None, fresh=True)
    if session.refresh is None or session.access is None:
        raise CannotProve(
            "the login gives no refresh token where the contract looks for it", "auth: {login: {refresh: /…}}"
        )
    if session.refresh == session.access:
        return NotApplicable("the login gives one token for both uses")
    request: Request = yield from valid_request(lane, lane.operation, session)
    bare = request.as_(None)
    control: Response = yield from send(bare.with_headers(authorization=as_bearer(session.access)))
    if not control.ok:
        raise refused("the control request ", request, control, lane)
    as_access = bare.with_headers(authorization=as_bearer(session.refresh))
    answer: Response = yield from send(as_access)
    if answer.ok:
        anybody: Response = yield from send(bare)
        if anybody.ok:
            raise CannotProve(f"{lane.operation.label} answers {anybody.status} without any token, too")
        return Finding(
            expected="a refusal: 401, or 400, 403, 404",
            actual=f"{answer.status}: the refresh token opens what an access token opens",
            sent=f"{lane.operation.label} with the refresh token as Bearer",
            request=as_access,
        )
    return (yield from _refreshed(lane, session))


def _refreshed(lane: Lane, session: Session) -> Conversation:
    step = lane.contract.auth.refresh
    assert step is not None
    label = step.operation.label
    if "$refresh" not in json.dumps(step.body):
        return Unproven(
            f"refused as Bearer; but how {label} is sent a refresh token is not known",
            "auth: {refresh: {body: {refresh_token: $refresh}}}",
        )
    swapped = step_request(lane, step, replace(session, refresh=session.access))
    answer: Response = yield from send(swapped)
    if answer.ok:
        return Finding(
            expected="a refusal: 400 or 401, or 403, 422",
            actual=f"{answer.status}: an access token can be refreshed",
            sent=f"{label} with an access token in the place of the refresh token",
            request=swapped,
        )
    control: Response = yield from send(step_request(lane, step, session))
    if not control.ok:
        raise CannotProve(f"{label} with a good refresh token was answered with {describe(control)}")
    return Kept(f"refused as Bearer ({lane.operation.label}) and for refreshing ({answer.status})")


def _refreshes_anything(request: Request, response: Response) -> Response:
    if request.path.endswith("/refresh") and response.status == 401:
        return Response.of(200, {"access_token": "a", "refresh_token": "b"})
    return response


CONFORMING = (
    Example("the sample shop"),
    Example(
        "what has the wrong form is invalid input",
        alter=lambda q, r: Response.problem(422) if r.status == 401 and q.path.endswith("/refresh") else r,
    ),
)

BREACHING = (
    Example("nobody asks for the kind", shop=lambda shop: shop.skips.add("type")),
    Example("access tokens are refreshed", alter=_refreshes_anything),
)
