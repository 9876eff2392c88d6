"""Requests that keep the schema are not refused for their form.

## What it requires
A request whose parameters and body fit the document is not answered with 400, 415 or 422. Other refusals (401, 403, 404, 409) are
rules of the business and no concern here; neither is signing in with credentials that nobody has.

## Why
A rule that the document does not state is found by clients one error at a time. Usually the schema is too wide: a pattern, a maximum
or a required member stands only in the code.

## What it sends
Nothing by itself. The fuzzing engine makes requests that fit the schema; this requirement looks at their answers, and checks once
more that the request, as it went over the wire, really fits.

## Example of a breach
`POST /items` with `name: "ß"` is answered 422, where the document says no more than `type: string`.

## When to waive it
For a rule that JSON Schema can't express, such as a date that must lie before another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upheld.check import (
    SHOULD,
    Clause,
    Example,
    Finding,
    Kept,
    NotApplicable,
    Outcome,
    Requirement,
    Subject,
    Subjects,
    seen,
)
from upheld.exchange import Exchange, Response
from upheld.steps import describe, made_below, reached

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="requests that keep the schema are not refused for their form",
    level=SHOULD,
    clause=Clause(
        "OpenAPI 3.1.1, Parameter Object, Media Type Object",
        "https://spec.openapis.org/oas/v3.1.1.html#media-type-object",
        "The schema defining the content of the request, response, parameter, or header",
    ),
    catalogue=("BODY-05",),
    engine=("positive_data_acceptance",),
)

_FOR_ITS_FORM = frozenset({400, 415, 422})


def subjects(contract: Contract) -> Subjects:
    found = [
        Subject(op.label, operation=op)
        for op in contract.operations
        if (op.body is not None or op.parameters) and not _signs_in(contract, op)
    ]
    return found or NotApplicable("no operation takes any input")


def _signs_in(contract: Contract, operation: Operation) -> bool:
    """Unknown credentials are often answered with 400 (OAuth prescribes it), and generated ones are unknown."""
    auth = contract.auth
    steps = (auth.login, auth.refresh, auth.logout)
    return operation == contract.oauth.token or any(step is not None and step.operation == operation for step in steps)


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    from upheld.contract.conformance import request_faults

    if exchange.intent != "valid":
        return None
    request, response, operation = exchange.request, exchange.response, reached(exchange, contract)
    if operation is None or _signs_in(contract, operation):
        return None
    if response.status not in _FOR_ITS_FORM:
        return Kept() if response.status < 400 else None
    if made_below(response) or request_faults(contract, operation, request):
        return None
    return Finding(
        expected="2xx, or a 4xx for a reason of the business (401, 403, 404, 409)",
        actual=describe(response),
        origin=f"{operation.label} refuses with {response.status}",
        request=request,
    )


_ITEMS = "/api/v1/items"


def _created(body: bytes, response: Response, intent: Any = "valid") -> Exchange:
    return seen("POST", _ITEMS, response, body=body, headers={"Content-Type": "application/json"}, intent=intent)


_GOOD = b'{"name": "lamp", "quantity": 7}'

CONFORMING = (
    Example("taken", _created(_GOOD, Response.of(201))),
    Example("a redirection", _created(_GOOD, Response.of(303))),
)
BREACHING = (
    Example("refused although it fits", _created(_GOOD, Response.problem(422))),
    Example(
        "a whole number with a fraction of zero fits",
        _created(b'{"name": "lamp", "quantity": 7.0}', Response.problem(400)),
    ),
    Example("the type that the document names is not taken", _created(_GOOD, Response.problem(415))),
)
