"""A 500 says that something went wrong, and nothing about what.

## What it requires
An answer with 500 does not repeat the exception that led to it: neither its class nor its message. (That it is a problem document
is `errors/problem-json`; stack traces in any error are `errors/leak`.)

## Why
The text of an exception is written for those who own the code. It names hosts, tables, files and values of other requests
(CWE-209), and it helps whoever sent the request on purpose.

## What it sends
Nothing. It looks at every 500 that the run met; a run without one proves nothing here, and says so.

## Example of a breach
`500 {"detail": "KeyError: 'price'"}`, or `"'NoneType' object has no attribute 'id'"`.

## When to waive it
On an instance that only developers reach and that is meant to show its exceptions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from upheld.check import MUST, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.exchange import Exchange, Response
from upheld.steps import PROBLEM, describe

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="a 500 does not tell what went wrong inside",
    level=MUST,
    clause=Clause(
        "RFC 9457 §5",
        "https://www.rfc-editor.org/rfc/rfc9457#section-5",
        "when actually generating a problem … the details given must also be scrutinized",
    ),
    catalogue=("ERR-09",),
    scope="service",
    owasp="API8:2023",
    cwe=("CWE-209",),
)

# The first words of what languages say by themselves; a sentence that people wrote for clients holds none of them.
_EXCEPTION = re.compile(
    r"\b[A-Za-z_][\w.]*(?:Error|Exception)\b(?:\(|: )"
    r"|'?NoneType'? object|has no attribute '|object is not (?:subscriptable|callable|iterable)|unexpected keyword argument"
    r"|invalid literal for int\(\)|list index out of range|division by zero|string indices must be|unhashable type"
    r"|Cannot (?:read|set) propert(?:y|ies) of (?:undefined|null)|is not a function\b|(?:is|null or) undefined\b"
    r"|nil pointer dereference|runtime error: |index out of range \[|interface conversion: "
    r"|Cannot invoke \\?\"|because \\?\"[\w.()]+\\?\" is null|cannot be cast to class|Index \d+ out of bounds for length"
    r"|Object reference not set to an instance|undefined method [`']|Undefined (?:array key|index|variable|property)"
    r"|[Cc]onnection (?:refused|to [\w.-]+:\d+)|ECONNREFUSED|getaddrinfo"
)


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    request, response = exchange.request, exchange.response
    if response.status != 500 or request.method == "HEAD":
        return None
    told = _EXCEPTION.search(response.text[:65536])
    if told is None:
        return Kept("a 500 came, and it told nothing")
    return Finding(
        expected="an answer that says no more than that something went wrong, and perhaps an id to quote",
        actual=f"{describe(response)}: it tells {told[0]!r}",
        origin="the text of exceptions is sent",
        request=request,
    )


def _sent(detail: str) -> Response:
    document = {"type": "about:blank", "title": "Internal Server Error", "status": 500, "detail": detail}
    return Response.of(500, document, content_type=PROBLEM)


_ITEMS = "/api/v1/items"

CONFORMING = (
    Example("a problem that says nothing", seen("GET", _ITEMS, Response.problem(500))),
    Example("words for the client", seen("GET", _ITEMS, _sent("An error occurred. Quote the id 7f3a to support."))),
    Example(
        "a plain text is not this requirement's business", seen("GET", _ITEMS, Response(500, body=b"Server Error"))
    ),
    Example("no content at all", seen("GET", _ITEMS, Response(500))),
)
BREACHING = (
    Example("Python's KeyError", seen("GET", _ITEMS, _sent("KeyError: 'price'"))),
    Example("Python's most common one", seen("GET", _ITEMS, _sent("'NoneType' object has no attribute 'id'"))),
    Example("JavaScript", seen("GET", _ITEMS, _sent("Cannot read properties of undefined (reading 'id')"))),
    Example("Java", seen("GET", _ITEMS, _sent("java.lang.IllegalStateException: pool exhausted"))),
    Example("Go", seen("GET", _ITEMS, _sent("runtime error: invalid memory address or nil pointer dereference"))),
)
