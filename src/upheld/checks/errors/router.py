"""Errors of the router look like all others.

## What it requires
An unknown path (404), a method that the path does not have (405) and a member that does not exist (404) are all answered with a problem
document that has the promised members.

## Why
The first two are made by the framework before any code of the service runs, the third by the service. A client that mistypes a path then
meets an error that it cannot read, or one without any content, and takes it for something else.

## What it sends
Three requests: an unknown path below the version prefix, PATCH on a path that does not have it, and a member that nobody made.

## Example of a breach
`GET /api/v1/nowhere` is answered `404 text/html`, while a missing order is answered `404 application/problem+json`.

## When to waive it
When the paths around the service's own belong to a gateway that cannot be changed.
"""

from __future__ import annotations

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
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import (
    NO_FORMAT,
    caller,
    describe,
    exempt_from_problems,
    made_below,
    member_faults,
    plain_get,
    problem_fault,
    problems_promised,
    unmade_path,
)

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="errors of the router are problem documents like all others",
    level=MUST,
    clause=Clause(
        "RFC 9457 §3",
        "https://www.rfc-editor.org/rfc/rfc9457#section-3",
        'When serialized in a JSON document, that format is identified with the "application/problem+json" media type',
    ),
    catalogue=("ERR-05",),
    reads=("errors.format", "errors.require", "prefix"),
    cost=3,
    owasp="API8:2023",
)


def subjects(contract: Contract) -> Subjects:
    return [SERVICE] if problems_promised(contract) else NO_FORMAT


def converse(lane: Lane) -> Conversation:
    contract = lane.contract
    probes = [("an unknown path", Request("GET", f"{contract.prefix}/{lane.unique('nowhere')}"), (404,))]
    known = _without_patch(contract)
    if known is not None:
        session = yield from caller(lane, known)
        probes.append(("a method that the path does not have", Request("PATCH", known.path, session=session), (405,)))
    read = next((r.read for r in contract.resources if r.read is not None and r.read.path.count("{") == 1), None)
    if read is not None:
        session = yield from caller(lane, read)
        missing = Request("GET", unmade_path(lane, read.path), session=session, operation=read.label)
        probes.append(("a member that nobody made", missing, (404,)))
    held, broken = [], []
    for words, request, statuses in probes:
        if exempt_from_problems(contract, request):
            continue
        response: Response = yield from send(request)
        if response.status not in statuses or made_below(response):
            continue
        fault = "no content" if not response.body else problem_fault(response)
        fault = fault or "; ".join(member_faults(response, contract.policy.errors.require))
        if fault:
            broken.append((f"{words}: {describe(response)} ({fault})", request))
        else:
            held.append(f"{words} ({response.status})")
    if broken:
        alike = f"; {' and '.join(held)} got one" if held else ""
        return Finding(
            sent=", ".join(words for words, _, _ in probes),
            expected=f"a problem document with {', '.join(contract.policy.errors.require) or 'a JSON object'} for each",
            actual="; ".join(words for words, _ in broken) + alike,
            request=broken[0][1],
        )
    if not held:
        raise CannotProve(
            "neither an unknown path, nor a wrong method, nor a missing member was answered with 404 or 405"
        )
    return Kept(", ".join(held))


def _without_patch(contract: Contract) -> Operation | None:
    patched = {op.path for op in contract.operations if op.method == "PATCH"}
    known = plain_get(contract)
    return known if known is not None and known.path not in patched else None


def _html_404(request: Request, response: Response) -> Response:
    page = Response.of(404, content_type="text/html; charset=utf-8")
    return Response(404, page.headers, b"<h1>Not Found</h1>") if "nowhere" in request.path else response


def _empty(request: Request, response: Response) -> Response:
    return Response(405, response.headers.with_("Content-Type", None)) if response.status == 405 else response


def _plain_405(request: Request, response: Response) -> Response:
    return Response.of(405, {"detail": "Method Not Allowed"}) if response.status == 405 else response


def _other_members(request: Request, response: Response) -> Response:
    bare = Response.of(404, {"status": 404, "title": "Not Found"}, content_type="application/problem+json")
    return bare if "nowhere" in request.path else response


def _single_page(request: Request, response: Response) -> Response:
    page = Response.of(200, content_type="text/html")
    return Response(200, page.headers, b"<app>") if "nowhere" in request.path else response


CONFORMING = (
    Example("all three are problems"),
    Example("an unknown path that is no error is no error of this kind", alter=_single_page),
)
BREACHING = (
    Example("a page for an unknown path", alter=_html_404),
    Example("the framework's own 405", alter=_plain_405),
    Example("a 405 without content", alter=_empty),
    Example("the router's problems lack a promised member", alter=_other_members),
)
