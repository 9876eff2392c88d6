"""Requests that break the schema are refused.

## What it requires
A request that breaks what the document says about its parameters or its body is never answered with 2xx. What many services read
leniently and lose nothing by is no breach: `"1"` for 1, `true` for `"true"`, null for an optional member, formats that JSON Schema
calls annotations, a page size that is cut to its bounds.

## Why
What gets in against the schema is stored, and comes back as a 500 or as nonsense somewhere else. And a limit that is only
documented (a quantity of at most 1000) limits nothing.

## What it sends
Nothing by itself. The fuzzing engine makes requests that are wrong on purpose; this requirement looks at their answers, and checks
once more that the request, as it went over the wire, really breaks the document.

## Example of a breach
`POST /orders` with `quantity: -5` is answered 201, where the document says `minimum: 1`.

## When to waive it
For a member that old clients are known to get wrong; with an end date.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
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
from upheld.exchange import Exchange, Request, Response
from upheld.steps import reached

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.contract.conformance import Fault

REQUIREMENT = Requirement(
    title="requests that break the schema are refused",
    level=MUST,
    clause=Clause(
        "OpenAPI 3.1.1, Parameter Object, Media Type Object",
        "https://spec.openapis.org/oas/v3.1.1.html#media-type-object",
        "The schema defining the content of the request, response, parameter, or header",
    ),
    catalogue=("BODY-05",),
    engine=("negative_data_rejection", "missing_required_header"),
    owasp="API8:2023",
    cwe=("CWE-20", "CWE-1284"),
)

# With these the service looked at the request and refused it; 401, 404 or 429 say nothing about its schema.
_REFUSED = frozenset({400, 406, 409, 411, 412, 413, 414, 415, 422, 428, 431})


def subjects(contract: Contract) -> Subjects:
    found = [Subject(op.label, operation=op) for op in contract.operations if op.body is not None or op.parameters]
    return found or NotApplicable("no operation takes any input")


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    from upheld.contract.conformance import request_faults

    if exchange.intent != "invalid":
        return None
    request, response, operation = exchange.request, exchange.response, reached(exchange, contract)
    if operation is None:
        return None
    if not response.ok:
        return Kept() if response.status in _REFUSED else None
    faults = request_faults(contract, operation, request)
    strict = [fault for fault in faults if not fault.lenient and not _is_cut(contract, operation, request, fault)]
    if not strict:
        return Kept("what it accepts beyond the schema, it reads without loss" if faults else "")
    first = strict[0]
    return Finding(
        sent=f"{request.method} {request.target[:120]} with {first}",
        expected="400 or 422, or another 4xx",
        actual=f"{response.status}",
        origin=f"{operation.label} accepts a wrong {first.where}",
        request=request,
    )


def _is_cut(contract: Contract, operation: Operation, request: Request, fault: Fault) -> bool:
    """A page size or position out of bounds is often cut to the bounds, which list/page-bounds looks at."""
    paging = contract.paging(operation)
    for name in (paging.size, paging.position) if paging is not None else ():
        if name is not None and fault.where == f"query parameter {name}":
            return all(_WHOLE.fullmatch(value) for key, value in request.query if key == name)
    return False


_WHOLE = re.compile(r"-?[0-9]+")
_ITEMS = "/api/v1/items"


def _created(body: bytes, status: int = 201, intent: Any = "invalid") -> Exchange:
    fields = {"Content-Type": "application/json"}
    return seen("POST", _ITEMS, Response.of(status), body=body, headers=fields, intent=intent)


def _listed(limit: str, status: int = 200) -> Exchange:
    exchange = seen("GET", _ITEMS, Response.of(status), intent="invalid")
    return Exchange(exchange.request.with_(query=(("limit", limit),)), exchange.response, intent="invalid")


CONFORMING = (
    Example("refused", _created(b'{"name": "lamp", "quantity": 0}', 422)),
    Example("a number in quotes is read as the number", _created(b'{"name": "lamp", "quantity": "7"}')),
    Example("a page size is cut to its bounds", _listed("1000000")),
    Example("an empty parameter is taken for none", _listed("")),
    Example("the engine meant to break it, but what was sent is right", _created(b'{"name": "lamp", "quantity": 7}')),
)
BREACHING = (
    Example("out of range", _created(b'{"name": "lamp", "quantity": 0}')),
    Example("a required member is missing", _created(b'{"name": "lamp"}')),
    Example("an object for a text", _created(b'{"name": {}, "quantity": 7}')),
    Example("a number in quotes, out of range", _created(b'{"name": "lamp", "quantity": "-7"}')),
    Example("no JSON at all", _created(b"name=lamp")),
    Example("a query parameter that is no number", _listed("many")),
)
