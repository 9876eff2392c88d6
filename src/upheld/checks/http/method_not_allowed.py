"""A method that a path does not have is answered with 405.

## What it requires

A known method that the contract does not declare for a path is refused with 405, or with 501 where the service knows it nowhere.
Refusals that come first are as good: 400, 401, 403, 413, 414, 415 and 431.

## Why

404 says that nothing is there, so a client gives the path up, a cache remembers that, and a monitor reports a page lost. 405 says
what is wrong: the path is right, the method is not.

## What it sends

Nothing of its own. It watches the undeclared methods that `http/allow` and the fuzzing engine send. Paths with an id are left out, since
there 404 may speak of the id.

## Example of a breach

`PATCH /items` is answered `404 Not Found`, though `GET /items` exists.

## When to waive it

Where the framework answers 404 and can't be taught otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import SHOULD, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.exchange import Exchange, Response
from upheld.steps import describe, templates

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A method that a path does not have is answered with 405",
    level=SHOULD,
    clause=Clause(
        "RFC 9110 §9.1",
        "https://www.rfc-editor.org/rfc/rfc9110#section-9.1",
        "An origin server that receives a request method that is recognized and implemented, but not allowed for the "
        "target resource, SHOULD respond with the 405 (Method Not Allowed) status code.",
    ),
    catalogue=("HTTP-04",),
    scope="service",
)

_KEPT = Kept()
_KNOWN = ("GET", "POST", "PUT", "PATCH", "DELETE")


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    request, response = exchange.request, exchange.response
    if request.method not in _KNOWN:
        return None
    fitting = templates(contract, request.path)
    if not fitting or any("{" in template for template in fitting):
        return None
    declared = sorted(op.method for op in contract.operations if op.path == fitting[0])
    if request.method in declared:
        return None
    if response.status in (405, 501):
        return _KEPT
    # Anything but 404 and 410 is somebody else's matter: a refusal that came first, or an operation that http/allow tells.
    if response.status not in (404, 410):
        return None
    return Finding(
        expected=f"405 with Allow: {', '.join(declared)}",
        actual=describe(response),
        origin=f"{response.status} made by the router for undeclared methods",
        request=request,
    )


_ITEMS = "/api/v1/items"

CONFORMING = (
    Example("405", exchange=seen("PATCH", _ITEMS, Response.problem(405, allow="GET, POST"), operation="")),
    Example("501", exchange=seen("PUT", _ITEMS, Response.problem(501), operation="")),
)

BREACHING = (
    Example("the router finds nothing", exchange=seen("PATCH", _ITEMS, Response.problem(404), operation="")),
    Example("and calls it gone", exchange=seen("DELETE", "/health", Response.problem(410), operation="")),
)
