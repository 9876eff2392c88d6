"""TRACE gives nothing back.

## What it requires

A TRACE request is refused, or answered without the header fields that it carried.

## Why

A server that reflects a request shows a script in the browser what it may not see: cookies that are HttpOnly, credentials that a proxy adds, the
names of machines on the way.

## What it sends

One TRACE with a header field of its own making, to one path.

## Example of a breach

`TRACE /items` is answered `200 message/http` with the whole request in the body, `X-Canary: u7f3a1x1` in it.

## When to waive it

Never on a service that browsers can reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
    SERVICE,
    SHOULD,
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
from upheld.steps import describe, plain_get, unmade_path

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="TRACE gives nothing back",
    level=SHOULD,
    clause=Clause(
        "OWASP ASVS 5.0 §13.4.4",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x22-V13-Configuration.md",
        "Verify that using the HTTP TRACE method is not supported in production environments, to avoid potential information leakage.",
    ),
    catalogue=("HTTP-05",),
    cost=1,
    owasp="API8:2023",
    cwe=("CWE-200",),
)


def subjects(contract: Contract) -> Subjects:
    return [SERVICE]


def converse(lane: Lane) -> Conversation:
    operation = plain_get(lane.contract) or lane.contract.operations[0]
    canary = lane.unique("canary")
    request = Request("TRACE", unmade_path(lane, operation.path)).with_headers(x_canary=canary)
    response = yield from send(request)
    if canary in response.text:
        return Finding(
            expected="405 or 501, or an answer without the request's own fields",
            actual=f"{describe(response)[:60]}: it repeats the X-Canary field of the request",
            request=request,
        )
    return Kept(f"answered with {response.status}")


def _reflect(request: Request, response: Response) -> Response:
    lines = "\r\n".join(f"{name}: {value}" for name, value in request.headers.pairs)
    body = f"TRACE {request.path} HTTP/1.1\r\n{lines}".encode()
    return Response(200, response.headers.with_("Content-Type", "message/http"), body)


CONFORMING = (Example("refused with 405"),)

BREACHING = (Example("the whole request comes back", alter=_reflect),)
