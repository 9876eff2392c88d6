"""Refusals before the operation's own code are problem documents.

## What it requires
401 (no credentials), 403 (another role), 406 (nothing of what the client accepts), 415 (a media type that is not taken) and 413 (more than
`limits.body`) carry a problem document with the promised members. Only the statuses that the service really sends are judged; a 406
may do without content, since nothing that the service has is acceptable to that client.

## Why
Authentication, negotiation and bounds sit in middleware, gateways and guards: each was written by somebody else and has errors of its own.

## What it sends
One request for each of them, five at most.

## Example of a breach
`401 {"error": "unauthorized"}` from the security layer, or a 415 without any content.

## When to waive it
When such errors are made by a gateway in front that cannot be changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    SERVICE,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Requirement,
    Subjects,
    raw,
    send,
    sign_in,
)
from upheld.exchange import Request, Response
from upheld.steps import (
    NO_FORMAT,
    Move,
    caller,
    canary,
    describe,
    exempt_from_problems,
    made_below,
    member_faults,
    octets,
    plain_get,
    problem_fault,
    problems_promised,
    takes_json,
    unmade_path,
)

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="refusals (401, 403, 406, 413, 415) are problem documents",
    level=MUST,
    clause=Clause(
        "RFC 9457 §3",
        "https://www.rfc-editor.org/rfc/rfc9457#section-3",
        'When serialized in a JSON document, that format is identified with the "application/problem+json" media type',
    ),
    catalogue=("ERR-08",),
    reads=("errors.format", "errors.require", "roles", "limits.body"),
    cost=5,
    owasp="API8:2023",
)


def subjects(contract: Contract) -> Subjects:
    return [SERVICE] if problems_promised(contract) else NO_FORMAT


def converse(lane: Lane) -> Conversation:
    contract = lane.contract
    held, broken = [], []
    for status, move in (
        (401, _without_credentials(lane)),
        (403, _with_another_role(lane)),
        (406, _accepting_nothing(lane)),
        (415, _in_another_type(lane)),
        (413, _too_large(lane)),
    ):
        try:
            request: Request | None = yield from move
            response: Response | None = (yield from _answer(request)) if request else None
        except CannotProve:
            continue
        if request is None or response is None or response.status != status or made_below(response):
            continue
        if exempt_from_problems(contract, request) or (status == 406 and not response.body):
            continue
        fault = "no content" if not response.body else problem_fault(response)
        fault = fault or "; ".join(member_faults(response, contract.policy.errors.require))
        if fault:
            broken.append((f"{describe(response)} ({fault})", request))
        else:
            held.append(str(status))
    if broken:
        return Finding(
            sent=", ".join(f"{request.method} {request.path}" for _, request in broken),
            expected=f"a problem document with {', '.join(contract.policy.errors.require) or 'a JSON object'}",
            actual="; ".join(words for words, _ in broken),
            request=broken[0][1].with_(body=(broken[0][1].body or b"")[:200] or None),
        )
    if not held:
        raise CannotProve("none of 401, 403, 406, 413 and 415 could be provoked")
    return Kept(f"{', '.join(held)} were provoked")


def _answer(request: Request) -> Move:
    if len(request.body or b"") < 65536:
        return (yield from send(request))
    # A server may answer and close while we still write: octets are read all the while, a client library's request is not.
    answer = yield from raw(octets(request), request=request)
    return next(iter(answer.responses), None)


def _without_credentials(lane: Lane) -> Move:
    yield from ()  # a move like the others, which needs nobody
    operation = canary(lane.contract)
    return operation and Request("GET", operation.path, operation=operation.label)


def _with_another_role(lane: Lane) -> Move:
    for operation, role in _forbidden(lane.contract):
        session = yield from sign_in(role)
        return Request(operation.method, unmade_path(lane, operation.path), session=session, operation=operation.label)
    return None


def _forbidden(contract: Contract) -> Iterator[tuple[Operation, str]]:
    """Operations with a role that may not call them: reads first, and only what harms nobody if it is let through."""
    for operation in sorted(contract.operations, key=lambda op: op.method != "GET"):
        allowed = contract.roles(operation)
        harmless = operation.method == "GET" or (operation.path_parameters and operation.method == "DELETE")
        for role in contract.policy.roles_named():
            if allowed is not None and role not in allowed and harmless and operation.label not in contract.dangerous:
                yield operation, role


def _accepting_nothing(lane: Lane) -> Move:
    operation = plain_get(lane.contract)
    if operation is None:
        return None
    session = yield from caller(lane, operation)
    request = Request("GET", operation.path, session=session, operation=operation.label)
    return request.with_headers(accept="application/x-upheld-nothing")


def _in_another_type(lane: Lane) -> Move:
    operation = _with_body(lane.contract)
    if operation is None:
        return None
    session = yield from caller(lane, operation)
    request = Request(operation.method, operation.path, session=session, operation=operation.label, body=b"a: 1\n")
    return request.with_headers(content_type="application/x-upheld-nothing")


def _too_large(lane: Lane) -> Move:
    operation, limit = _with_body(lane.contract), lane.contract.policy.limits.body
    if operation is None or limit is None or limit > 16 * 1024 * 1024:
        return None
    session = yield from caller(lane, operation)
    request = Request(operation.method, operation.path, session=session, operation=operation.label)
    return request.with_json({"upheld": "x" * (limit + 1024)})


def _with_body(contract: Contract) -> Operation | None:
    candidates = [op for op in contract.operations if takes_json(op) and "{" not in op.path]
    return next((op for op in candidates if op.label not in contract.dangerous and contract.roles(op) is None), None)


def _bare_401(request: Request, response: Response) -> Response:
    return (
        Response.of(401, {"error": "unauthorized"}, www_authenticate="Bearer") if response.status == 401 else response
    )


def _empty_415(request: Request, response: Response) -> Response:
    return Response(415, response.headers.with_("Content-Type", None)) if response.status == 415 else response


def _wrong_status(request: Request, response: Response) -> Response:
    copied = {"type": "about:blank", "title": "Forbidden", "status": 401}
    return Response.of(403, copied, content_type="application/problem+json") if response.status == 403 else response


def _empty_406(request: Request, response: Response) -> Response:
    return Response(406) if "x-upheld-nothing" in request.headers.get("accept", "") else response


def _page_413(request: Request, response: Response) -> Response:
    page = Response.of(413, content_type="text/html")
    return Response(413, page.headers, b"<h1>Too large</h1>") if response.status == 413 else response


CONFORMING = (
    Example("those that come are problems"),
    Example("a 406 without content", alter=_empty_406),
    Example("too large", policy={"limits": {"body": "1MiB"}}),
)
BREACHING = (
    Example("a security layer with a shape of its own", alter=_bare_401),
    Example("a 415 without content", alter=_empty_415),
    Example("a 403 that calls itself 401", alter=_wrong_status),
    Example("a page for too large a body", alter=_page_413, policy={"limits": {"body": "1MiB"}}),
)
