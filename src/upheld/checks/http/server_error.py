"""No client input makes the service fail.

## What it requires

Whatever a client sends, the answer's status is below 500. Three answers are let through because they are no failure: 503 with
`Retry-After` (the service asks for patience), 501 for a method or transfer coding that it does not know, and a 501, 502, 503 or 504
that the contract lists for the operation.

## Why

A 5xx to a strange input means that the input reached code that did not expect it: at best a crash and an alarm at night, at
worst the way in. It also tells the client to try again, which can't help.

## What it sends

Nothing of its own. It watches every exchange of the run, those of the fuzzing engine too.

## Example of a breach

`POST /items` with `{"name": "x", "quantity": 1e400}` is answered `500 text/plain Internal Server Error`: the validator refused the
number, and the error document that quotes it could not be written.

## When to waive it

For an operation that passes on the failures of another service, list 502 and 504 in its responses instead. Waive it only for an
operation that is known to be broken and has a date to be repaired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import MUST, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.exchange import Exchange, Response
from upheld.steps import describe

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="No client input makes the service fail",
    level=MUST,
    clause=Clause(
        "RFC 9110 §15.6",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.6",
        "the server is aware that it has erred or is incapable of performing the requested method",
    ),
    catalogue=("HTTP-01",),
    engine=("not_a_server_error",),
    owasp="API8:2023",
    cwe=("CWE-755", "CWE-20"),
)

_KEPT = Kept()


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    response = exchange.response
    if response.status < 500:
        return _KEPT
    if _is_no_failure(exchange, contract):
        return None
    request = exchange.request
    return Finding(
        expected="a status below 500, or 503 with Retry-After",
        actual=describe(response),
        sent=f"{request.method} {request.target[:120]}, broken on purpose: {exchange.broken}"
        if exchange.broken
        else "",
        # What is switched off or not built in says so alike for all of its operations; failures have each its own reason.
        origin=describe(response) if response.status in (501, 503) else "",
        request=request,
    )


def _is_no_failure(exchange: Exchange, contract: Contract) -> bool:
    request, response = exchange.request, exchange.response
    operation = contract.operation(exchange.operation)
    if response.status == 503 and "retry-after" in response.headers:
        return True
    if response.status == 505:
        return True  # only octets of ours can name a version that a server does not speak
    # RFC 9110 §9.1 asks for 501 where the method is not known, RFC 9112 §6.1 where the transfer coding is not.
    strange = operation is None or request.method != operation.method or "transfer-encoding" in request.headers
    if response.status == 501 and strange:
        return True
    documented = operation is not None and str(response.status) in operation.responses
    return documented and response.status in (501, 502, 503, 504)


_ITEMS = "/api/v1/items"

CONFORMING = (
    Example("an invalid body is refused with 422", exchange=seen("POST", _ITEMS, Response.problem(422))),
    Example("a success", exchange=seen("GET", _ITEMS, Response.of(200, {"items": []}))),
)

BREACHING = (
    Example(
        "the validator's answer could not be written, because it quotes a number that JSON can't hold",
        exchange=seen(
            "POST", _ITEMS, Response(500, body=b"Internal Server Error"), body=b'{"name": "x", "quantity": 1e400}'
        ),
    ),
    Example(
        "a failure on a path that does not exist", exchange=seen("GET", "/api/v1/%ff", Response(500), operation="")
    ),
    Example("a 503 that does not say when to come back", exchange=seen("GET", _ITEMS, Response.problem(503))),
    Example("501 to a method that the contract declares", exchange=seen("POST", _ITEMS, Response.problem(501))),
)
