"""A 405 lists exactly the methods of the path.

## What it requires

A method that the contract does not declare for a path is not carried out, and where it is answered with 405, `Allow` names every method
that the contract declares for the path and no other. `HEAD`, `OPTIONS` and `TRACE` may stand in it or not.

## Why

`Allow` is what a client, a gateway or an explorer reads to learn what a path can do. Several frameworks fill it from the first route that
matches, so `Allow: GET` stands on a path that takes POST too. And a method that works although no contract knows it is a back door.

## What it sends

To each path the methods among PATCH, PUT, POST and DELETE that the contract does not declare for it, to ids that name nothing.
DELETE comes last, and only while nothing undeclared has been advertised or carried out.

## Example of a breach

`PUT /items` is answered `405` with `Allow: GET`, but `POST /items` exists.

## When to waive it

Where a gateway in front of the service answers for it and can't know the methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
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
)
from upheld.exchange import Request, Response
from upheld.steps import caller, describe, templates, unmade_path

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A 405 lists exactly the methods of the path",
    level=MUST,
    clause=Clause(
        "RFC 9110 §15.5.6",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6",
        "The origin server MUST generate an Allow header field in a 405 response containing a list of the target "
        "resource's currently supported methods.",
    ),
    catalogue=("HTTP-04",),
    reads=("never",),
    cost=4,
    engine=("unsupported_method", "allow_header_conformance"),
    owasp="API8:2023",
    cwe=("CWE-650",),
)

_TRIED = ("PATCH", "PUT", "POST", "DELETE")
# Whether these are listed is HTTP's matter, not the contract's.
_OPTIONAL = {"HEAD", "OPTIONS", "TRACE", "CONNECT"}


def subjects(contract: Contract) -> Subjects:
    found = {op.path: Subject(op.path, operation=op) for op in reversed(contract.operations)}
    kept = [s for path, s in reversed(found.items()) if set(_TRIED) - _methods(contract, path)]
    return kept or NotApplicable("every path takes every method")


def converse(lane: Lane) -> Conversation:
    template = lane.operation.path
    declared = _methods(lane.contract, template)
    path = unmade_path(lane, template)
    # A sibling such as /users/{id} answers for /users/me too where the router looks on.
    siblings = set[str]().union(*(_methods(lane.contract, other) for other in templates(lane.contract, path)))
    secured = [op for op in lane.contract.operations if op.path == template and op.secured]
    session = (yield from caller(lane, secured[0])) if secured else None
    answers: list[str] = []
    judged = 0
    for method in (m for m in _TRIED if m not in siblings | declared):
        request = Request(method, path, session=session)
        response = yield from send(request)
        finding = _judge(request, response, declared, siblings)
        if finding is not None:
            return finding
        judged += response.status == 405
        answers.append(f"{method}: {describe(response)[:60]}")
    if judged:
        return Kept(f"{judged} undeclared methods refused")
    return Unproven(
        f"no undeclared method was answered with 405 ({'; '.join(answers) or 'a sibling path takes them all'})"
    )


def _methods(contract: Contract, path: str) -> set[str]:
    return {op.method for op in contract.operations if op.path == path}


def _judge(request: Request, response: Response, declared: set[str], siblings: set[str]) -> Finding | None:
    if response.ok:
        return Finding(
            expected=f"405: the contract declares {', '.join(sorted(declared))} for this path",
            actual=f"{describe(response)}: an operation that no contract knows",
            request=request,
        )
    if response.status != 405:
        return None
    lines = response.headers.all("allow")
    allowed = {word.strip().upper() for line in lines for word in line.split(",")} - {""}
    missing, extra = declared - _OPTIONAL - allowed, allowed - declared - siblings - _OPTIONAL
    if not missing and not extra and lines:
        return None
    said = f"Allow: {', '.join(lines)}" if lines else "405 without Allow"
    what = f" ({', '.join(sorted(missing))} missing)" if missing and lines else ""
    what += f" ({', '.join(sorted(extra))} not in the contract)" if extra else ""
    return Finding(
        expected=f"Allow: {', '.join(sorted(declared))} (HEAD and OPTIONS as you like)",
        actual=said + what,
        origin="405 made by the router, without Allow" if not lines else "405 made by the router",
        request=request,
    )


def _allow(value: str | None) -> Example:
    def alter(_: Request, response: Response) -> Response:
        if response.status != 405:
            return response
        return Response(405, response.headers.with_("Allow", value), response.body)

    return Example(f"Allow: {value}" if value else "no Allow", alter=alter, subject="/api/v1/items")


def _back_door(request: Request, response: Response) -> Response:
    return Response.of(204) if request.method == "DELETE" else response


CONFORMING = (
    Example("the sample's own 405"),
    Example("the sample's members", subject="/api/v1/items/{item_id}"),
    _allow("GET, POST"),
    _allow("post, GET, HEAD, OPTIONS"),
)

BREACHING = (
    _allow(None),
    _allow("GET"),
    _allow("GET, POST, PATCH"),
    Example("an undeclared DELETE works", alter=_back_door, subject="/api/v1/items"),
)
