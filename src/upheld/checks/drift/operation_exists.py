"""Every operation of the contract is there.

## What it requires

A valid request to an operation is never answered with 405 or 501, and never with a 404 that speaks of the path: whatever the service thinks of
the request, it has to know the operation.

## Why

An operation that is documented but gone, or was never deployed, fails at each client that was generated from the contract. And whatever else
is checked of it would silently check nothing.

## What it sends

To each operation one valid request, signed in where it asks for that, to members made for the occasion. If a 404 comes back, the same path is
asked with a broken body or a method that it doesn't have, since only a path that is known refuses those in another way.

## Example of a breach

The contract has `PATCH /orders/{id}`, and the service answers `405 Method Not Allowed` with `Allow: GET, DELETE`.

## When to waive it

For an operation that is switched off by a flag in this environment: with the date on which it is switched on.
"""

from __future__ import annotations

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
    Unproven,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import Move, caller, describe, operations, tidy, unmade_path, valid_request, with_valid_body

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="Every operation of the contract is there",
    level=MUST,
    clause=Clause(
        "OpenAPI 3.1.1, Paths Object",
        "https://spec.openapis.org/oas/v3.1.1.html#paths-object",
        "Holds the relative paths to the individual endpoints and their operations.",
    ),
    catalogue=("DRIFT-03",),
    reads=("never",),
    cost=2,
    owasp="API9:2023",
    cwe=("CWE-1059",),
)


def subjects(contract: Contract) -> Subjects:
    return operations(contract, lambda op: True, "the contract has no operations that may be sent")


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    session = yield from caller(lane, operation)
    missing = ""
    try:
        request = yield from valid_request(lane, operation, session)
    except CannotProve as cannot:
        missing = str(cannot)
        request = Request(
            operation.method, unmade_path(lane, operation.path), session=session, operation=operation.label
        )
        request = with_valid_body(lane, request, operation)
    response = yield from send(request)
    yield from tidy(lane, operation, response, session)
    if response.status in (405, 501):
        allow = response.headers.get("allow")
        return Finding(
            expected="any answer of the operation",
            actual=describe(response)[:120] + (f", Allow: {allow}" if allow else ""),
            # A part of the service that is not built in answers alike for all of its operations.
            origin=describe(response) if response.status == 501 else "",
            request=request,
        )
    if response.status in (429, 503):
        return Unproven(f"{operation.label} was answered with {describe(response)}")
    if response.status not in (404, 410):
        return Kept(f"answered with {response.status}")
    known = yield from _path_is_known(lane, operation, request)
    if known:
        return Kept(f"answered with {response.status}, but the path is known")
    if missing or (operation.path_parameters and not _ids_are_real(lane.contract, operation)):
        return Unproven(missing or f"answered with {describe(response)[:120]}, which may speak of the made-up id")
    return Finding(
        expected="any answer of the operation",
        actual=f"{describe(response)[:120]}, as for a path that is not there",
        request=request,
    )


def _path_is_known(lane: Lane, operation: Operation, request: Request) -> Move:
    """Whether the service tells the path from one that does not exist: it refuses what no route would get to see."""
    if operation.body is not None and operation.body.json_schema is not None:
        broken = yield from send(request.with_(body=b"{"))
        if broken.status in (400, 415, 422):
            return True
    same_path = {op.method for op in lane.contract.operations if op.path == operation.path}
    spare = next((method for method in ("PATCH", "PUT", "POST") if method not in same_path), None)
    if spare is None:
        return False
    other = yield from send(Request(spare, request.path, session=request.session))
    allowed = {word.strip().upper() for word in other.headers.get("allow", "").split(",")}
    return other.status == 405 and operation.method in allowed


def _ids_are_real(contract: Contract, operation: Operation) -> bool:
    """Every id in the path is one of a member that was made or listed just before."""
    members = {family.member for family in contract.resources if family.create or family.list}
    return all(
        operation.path.split("{" + parameter.name + "}")[0] + "{" + parameter.name + "}" in members
        for parameter in operation.path_parameters
    )


_READ = "GET /api/v1/orders/{order_id}"
_CREATE = "POST /api/v1/orders"


def _gone(says: str, method: str, path: str, made: Response, subject: str) -> Example:
    def alter(request: Request, response: Response) -> Response:
        return made if request.method == method and request.path.startswith(path) else response

    return Example(says, alter=alter, subject=subject)


def _without_route(request: Request, response: Response) -> Response:
    return Response.problem(404) if request.path.startswith("/api/v1/orders/") else response


def _without_me(request: Request, response: Response) -> Response:
    return Response.problem(404) if request.path == "/api/v1/users/me" else response


def _missing_reference(request: Request, response: Response) -> Response:
    """A handler's own 404: the order names something that is not there."""
    return Response.problem(404) if request.method == "POST" and response.status == 201 else response


CONFORMING = (
    Example("it succeeds", subject=_READ),
    Example("it refuses our credentials, so it is there", subject="POST /api/v1/auth/login"),
    Example("its own 404, about what the body names", alter=_missing_reference, subject=_CREATE),
)

BREACHING = (
    _gone("only other methods", "GET", "/api/v1/orders/", Response.problem(405, allow="DELETE"), _READ),
    _gone("not implemented", "POST", "/api/v1/orders", Response.problem(501), _CREATE),
    Example("no such path", alter=_without_me, subject="GET /api/v1/users/me"),
    Example("no such path for members", alter=_without_route, subject=_READ),
)
