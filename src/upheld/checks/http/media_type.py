"""A body of a type that the contract does not list is refused.

## What it requires

An operation that takes JSON does not carry out a request whose `Content-Type` says `text/plain` or `application/xml`, nor one whose
`Content-Encoding` says gzip although the octets are not. 415 is the right refusal; any other 4xx passes.

## Why

Browsers send `text/plain` across origins without asking first, so an operation that parses it as JSON can be called by any web page
(CSRF). And a body that is read as something else than its label says is understood differently by the proxy, the firewall and the service.

## What it sends

To each operation with a JSON body: a valid request, then the same with each of the three labels, its unique fields made anew. The
session's operations (login and its like) are left out where there are others, to spare their quotas.

## Example of a breach

`POST /items` with `Content-Type: text/plain` and a JSON text is answered `201 Created`.

## When to waive it

For an operation that takes anything by intent, such as an upload: list its media types in the contract instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
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
from upheld.steps import caller, control, describe, operations, with_valid_body

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="A body of a type that the contract does not list is refused",
    level=SHOULD,
    clause=Clause(
        "RFC 9110 §15.5.16",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.16",
        "the origin server is refusing to service the request because the content is in a format not supported by this "
        "method on the target resource",
    ),
    catalogue=("HTTP-08",),
    cost=4,
    cwe=("CWE-436", "CWE-352"),
)

_LABELS = (
    ("Content-Type", "text/plain"),
    ("Content-Type", "application/xml"),
    ("Content-Encoding", "gzip"),
)


def subjects(contract: Contract) -> Subjects:
    steps = (contract.auth.register, contract.auth.login, contract.auth.refresh, contract.auth.logout)
    of_sessions = {step.operation for step in steps if step}
    others = operations(contract, lambda op: _takes_json(op) and op not in of_sessions, "no operation takes JSON alone")
    if isinstance(others, NotApplicable):
        return operations(contract, _takes_json, "no operation takes JSON alone")
    return others


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    session = yield from caller(lane, operation)
    request, _ = yield from control(lane, operation, session)
    refused: list[str] = []
    for name, value in _LABELS:
        probe = with_valid_body(lane, request, operation)
        probe = probe.with_(headers=probe.headers.with_(name, value))
        response = yield from send(probe)
        if response.ok:
            return Finding(
                expected="415, or another 4xx",
                actual=f"{describe(response)[:120]}: carried out",
                sent=f"{operation.label} with {name}: {value} over a body of plain JSON",
                origin=f"{name}: {value} is taken for JSON",
                request=probe,
            )
        if response.status in (400, 406, 415, 422):
            refused.append(f"{value} {response.status}")
    return Kept(", ".join(refused)) if refused else Unproven("no answer spoke of the body: the request failed before")


def _takes_json(operation: Operation) -> bool:
    body = operation.body
    if body is None or operation.safe or operation.method == "DELETE":
        return False
    return all(kind == "application/json" or kind.endswith("+json") for kind in body.content)


def _reading_anything(name: str, value: str) -> Example:
    def alter(request: Request, response: Response) -> Response:
        lenient = response.status == 415 and request.headers.get(name) == value
        return Response.of(201, {"id": "i9"}) if lenient else response

    return Example(f"{name}: {value} is read as JSON", alter=alter)


def _unparsed(_: Request, response: Response) -> Response:
    return Response.problem(422) if response.status == 415 else response


CONFORMING = (
    Example("415"),
    Example("422, from a framework that does not parse the body", alter=_unparsed),
)

BREACHING = tuple(_reading_anything(name, value) for name, value in _LABELS)
