"""Every status that the service sends is in the contract.

## What it requires

The status of an answer is listed for the operation: the code itself, its range (`4XX`) or `default`. Statuses under
`implicit_statuses:` (405, 406, 413, 414, 415, 431, 503 unless you say otherwise) need no line, nor do 206, 304, 412 and 416 when the
request asked for a part or stated a condition. Server errors are told by `http/server-error` instead.

## Why

A client generated from the document has no branch for an answer that the document leaves out. It fails far from the cause, and at
the worst moment: undocumented answers are nearly always errors.

## What it sends

Nothing of its own. It watches every exchange, and only those whose method and path really lead to the operation. An answer that
the framework makes before the operation runs (401, 403, 429 and their like) is told once, with the number of operations.

## Example of a breach

`GET /items/{item_id}` documents 200 and 422, and answers 404 for an item that is gone.

## When to waive it

Rather add the status to the document, or to `implicit_statuses:` when a gateway in front of the service may send it anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import SHOULD, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.exchange import Exchange, Response
from upheld.steps import describe, reached

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Every status that the service sends is in the contract",
    level=SHOULD,
    clause=Clause(
        "OpenAPI 3.1.1, Responses Object",
        "https://spec.openapis.org/oas/v3.1.1.html#responses-object",
        "documentation is expected to cover a successful operation response and any known errors",
    ),
    catalogue=("HTTP-02",),
    reads=("implicit_statuses",),
    engine=("status_code_conformance",),
    owasp="API9:2023",
    cwe=("CWE-1059",),
)

_KEPT = Kept()
# Made before the operation runs, by one piece of the service for all its operations.
_MADE_BY = {
    400: "400 made by the framework's parser",
    401: "401 made by authentication",
    403: "403 made by authorization",
    405: "405 made by the router",
    406: "406 made by content negotiation",
    408: "408 made by the server",
    413: "413 made by a size limit",
    414: "414 made by a size limit",
    415: "415 made by content negotiation",
    422: "422 made by the framework's validator",
    429: "429 made by the rate limiter",
    431: "431 made by a size limit",
}
_CONDITIONAL = {
    206: ("range",),
    416: ("range",),
    304: ("if-none-match", "if-modified-since"),
    412: ("if-match", "if-none-match", "if-unmodified-since"),
}


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    operation = reached(exchange, contract)
    if operation is None or not operation.responses:
        return None
    status = exchange.response.status
    if status >= 500 or status in contract.policy.implicit_statuses or operation.response_for(status) is not None:
        return _KEPT
    if any(name in exchange.request.headers for name in _CONDITIONAL.get(status, ())):
        return _KEPT
    origin = _MADE_BY.get(status, "")
    return Finding(
        expected=f"one of {', '.join(sorted(operation.responses))}",
        actual=describe(exchange.response),
        origin=f"{origin} is not documented" if origin else f"{operation.label}: {status} is not documented",
        request=exchange.request,
    )


_ITEMS = "/api/v1/items"
_ITEM = "GET /api/v1/items/{item_id}"

CONFORMING = (
    Example("a documented success", exchange=seen("GET", _ITEMS, Response.of(200, {"items": []}))),
    Example("a documented error", exchange=seen("GET", f"{_ITEMS}/i9", Response.problem(404), operation=_ITEM)),
    Example("a 405, which needs no line", exchange=seen("GET", _ITEMS, Response.problem(405, allow="POST"))),
    Example(
        "304, because the request carried a validator",
        exchange=seen("GET", _ITEMS, Response(304), headers={"If-None-Match": '"a"'}),
    ),
)

BREACHING = (
    Example("a status of the operation's own", exchange=seen("POST", _ITEMS, Response.of(202, {}))),
    Example("304 although nobody asked", exchange=seen("GET", _ITEMS, Response(304))),
    Example("402 from the handler", exchange=seen("GET", f"{_ITEMS}/i9", Response.problem(402), operation=_ITEM)),
    Example("a 401 that a gateway makes for a public operation", exchange=seen("GET", _ITEMS, Response.problem(401))),
)
