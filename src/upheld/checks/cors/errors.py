"""Errors can be read by the pages that are let in.

## What it requires

401, 404 and the refusal of a broken body carry `Access-Control-Allow-Origin` for an allowed origin, as a success does.

## Why

Without the field, the page is told nothing but "network error": not the status, not the problem document. It can't sign in again on a
401, and its developers look for the fault in the network.

## What it sends

With an allowed `Origin`: a GET that succeeds, one without credentials to an operation that needs them, one to a path that does not exist,
and a body that is no JSON to an operation that takes JSON.

## Example of a breach

`GET /items` carries `Access-Control-Allow-Origin`; `GET /nothing` is a 404 without it, since the router answers before the CORS middleware.

## When to waive it

Where no page of another origin calls the service, leave `cors.origins:` empty instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
    SERVICE,
    SHOULD,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import Move, caller, canary, control, describe, plain_get

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="Errors can be read by the pages that are let in",
    level=SHOULD,
    clause=Clause(
        "Fetch, CORS protocol",
        "https://fetch.spec.whatwg.org/#http-responses",
        "An HTTP response to a CORS request can include the following headers",
    ),
    catalogue=("CORS-05",),
    reads=("cors.origins",),
    cost=4,
)


def subjects(contract: Contract) -> Subjects:
    if not any("://" in origin or origin == "*" for origin in contract.policy.cors.origins):
        return NotApplicable("the contract lets no origin in (cors.origins)")
    if plain_get(contract) is None:
        return Unproven("no GET can be sent without parameters")
    return [SERVICE]


def converse(lane: Lane) -> Conversation:
    contract = lane.contract
    origin = next((o for o in contract.policy.cors.origins if "://" in o), "https://app.example")
    operation = plain_get(contract)
    assert operation is not None
    session = yield from caller(lane, operation)
    request, _ = yield from control(lane, operation, session)
    good = yield from send(request.with_headers(origin=origin))
    if not good.ok or not _shared(good, origin):
        return Unproven(f"not even {operation.label} is shared with {origin}, which cors/origins tells")
    judged: list[str] = []
    for probe in (yield from _errors(lane, origin)):
        response = yield from send(probe)
        if response.status < 400 or response.status in (429, 503):
            continue
        if not _shared(response, origin):
            return Finding(
                expected=f"Access-Control-Allow-Origin: {origin}, as on {operation.label}",
                actual=f"{describe(response)[:100]} without Access-Control-Allow-Origin",
                sent=f"{probe.method} {probe.path} with Origin: {origin}",
                origin=f"{response.status} without CORS fields",
                request=probe,
            )
        judged.append(str(response.status))
    return Kept(", ".join(judged)) if judged else Unproven("no error could be provoked")


def _errors(lane: Lane, origin: str) -> Move:
    contract = lane.contract
    requests = [Request("GET", f"{contract.prefix}/{lane.unique()}")]
    door = canary(contract)
    if door is not None:
        requests.append(Request("GET", door.path, operation=door.label))
    taking = min((op for op in contract.operations if _suits(contract, op)), key=lambda op: op.secured, default=None)
    if taking is not None:
        session = yield from caller(lane, taking)
        broken = Request(taking.method, taking.path, session=session, operation=taking.label, body=b"{")
        requests.append(broken.with_headers(content_type="application/json"))
    return [request.with_headers(origin=origin) for request in requests]


def _suits(contract: Contract, operation: Operation) -> bool:
    if operation.label in contract.dangerous or "{" in operation.path or operation.method not in ("POST", "PUT"):
        return False
    return operation.body is not None and "application/json" in operation.body.content


def _shared(response: Response, origin: str) -> bool:
    return response.headers.get("access-control-allow-origin", "").strip() in (origin, "*")


def _without(status: int) -> Example:
    def alter(_: Request, response: Response) -> Response:
        if response.status != status:
            return response
        return Response(status, response.headers.with_("Access-Control-Allow-Origin", None), response.body)

    return Example(f"{status} without the field", alter=alter)


CONFORMING = (Example("all of them"),)

BREACHING = (_without(401), _without(404), _without(400))
