"""The members of a problem document have the right types, and its status is the answer's.

## What it requires
In every problem document `type` and `instance` are URI references, `title` and `detail` strings, and `status` a number that equals
the status of the answer. The members that the contract lists under `errors.require` are there; RFC 9457 itself requires none, so
that part is the contract's promise.

## Why
A client that logs or switches on `status` and `type` believes them. A gateway that rewrites a 500 into a 502 and a handler that
copies its document from elsewhere make them lie.

## What it sends
Nothing. It looks at every problem document of the whole run.

## Example of a breach
`404 application/problem+json {"type": "about:blank", "title": "Not Found", "status": 400}`.

## When to waive it
While clients that read a misspelt member are being moved. For a member that only some errors have, shorten `errors.require`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import MUST, SERVICE, Clause, Example, Finding, Kept, Outcome, Requirement, Subjects, seen
from upheld.exchange import Exchange, Response
from upheld.steps import (
    NO_FORMAT,
    PROBLEM,
    exempt_from_problems,
    maker,
    member_faults,
    problem_fault,
    problems_promised,
)

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="problem documents have the promised members, with the right types and the right status",
    level=MUST,
    clause=Clause(
        "RFC 9457 §3.1, §3.1.2",
        "https://www.rfc-editor.org/rfc/rfc9457#section-3.1.2",
        "Generators MUST use the same status code in the actual HTTP response",
    ),
    catalogue=("ERR-02",),
    reads=("errors.format", "errors.require", "errors.exempt"),
    scope="service",
    owasp="API8:2023",
)


def subjects(contract: Contract) -> Subjects:
    return [SERVICE] if problems_promised(contract) else NO_FORMAT


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    request, response = exchange.request, exchange.response
    if response.status < 400 or response.media_type != PROBLEM or not response.body or not problems_promised(contract):
        return None
    if problem_fault(response) or exempt_from_problems(contract, request):
        return None
    require = contract.policy.errors.require
    faults = member_faults(response, require)
    if not faults:
        return Kept()
    who = maker(request, response)
    promised = f"{', '.join(require)} (the contract's errors.require)" if require else "no members in particular"
    return Finding(
        expected=f"{promised}; type and instance: URI references; title, detail: strings; status: {response.status}",
        actual=f"{response.status} from {who} with {'; '.join(faults)}",
        origin=f"{'; '.join(_kinds(faults))} from {who}",
        request=request,
    )


def _kinds(faults: list[str]) -> list[str]:
    # What was sent differs from answer to answer; the member and what is wrong with it do not.
    return [fault.split(":")[0].split(" is ")[0] for fault in faults]


def _problem(code: int, **members: object) -> Response:
    document = {"type": "about:blank", "title": "Not Found", "status": code, **members}
    kept = {name: value for name, value in document.items() if value is not ...}
    return Response.of(code, kept, content_type=PROBLEM)


_PATH = "/api/v1/items/i9"
_OPERATION = "GET /api/v1/items/{item_id}"

CONFORMING = (
    Example("all there", seen("GET", _PATH, _problem(404), operation=_OPERATION)),
    Example(
        "a relative type, an instance and extensions",
        seen(
            "GET",
            _PATH,
            _problem(404, type="/problems/gone#x", instance="urn:uuid:1", balance=30),
            operation=_OPERATION,
        ),
    ),
    Example("a status with a fraction of zero is the same number", seen("GET", _PATH, _problem(404, status=404.0))),
    Example(
        "members that the contract does not ask for may be missing",
        seen("GET", _PATH, _problem(404, title=..., status=...)),
        policy={"errors": {"format": "rfc9457", "require": []}},
    ),
)
BREACHING = (
    Example("the status of another error", seen("GET", _PATH, _problem(404, status=400), operation=_OPERATION)),
    Example("a status in quotes", seen("GET", _PATH, _problem(404, status="404"))),
    Example("no type, which the contract requires", seen("GET", _PATH, _problem(404, type=...))),
    Example("a type that is no URI reference", seen("GET", _PATH, _problem(404, type="not found"))),
    Example("a detail that is a list", seen("POST", "/api/v1/items", _problem(422, detail=[{"loc": ["body"]}]))),
)
