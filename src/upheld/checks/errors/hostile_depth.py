"""JSON that is nested absurdly deep is refused, and does no harm.

## What it requires
A body of 100 000 nested lists, and one of 5 000 nested objects inside a member, are answered with a 4xx. The next request is served as ever.

## Why
Recursive parsers and validators run out of stack: an unexpected error at best, the end of the process at worst (CWE-674). Two hundred
kilobytes are enough, so limits on the size of bodies don't help.

## What it sends
To at most two operations that take JSON: a valid request, the two nested bodies, and a valid request again.

## Example of a breach
`POST /orders` with `[[[[…` is answered with 500, or the connection ends without an answer.

## When to waive it
Never, as long as strangers can send to the operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NoAnswer,
    Requirement,
    Subjects,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import accepted, another, describe, sampled, takes_json, tidy

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="absurdly nested JSON is refused and does no harm",
    level=MUST,
    clause=Clause(
        "RFC 8259 §9",
        "https://www.rfc-editor.org/rfc/rfc8259#section-9",
        "An implementation may set limits on the maximum depth of nesting",
    ),
    catalogue=("ERR-07",),
    cost=5,
    owasp="API4:2023",
    cwe=("CWE-674", "CWE-400"),
)


def subjects(contract: Contract) -> Subjects:
    auth = (contract.auth.login, contract.auth.refresh, contract.auth.logout)

    def keep(operation: Operation) -> bool:
        schema = operation.body.json_schema if operation.body is not None else None
        session = any(step is not None and step.operation == operation for step in auth)
        closed = schema is not None and not contract.validator(schema, "request").is_valid([[]])
        return takes_json(operation) and closed and not session

    return sampled(contract, keep, 2, "no operation takes JSON of a described shape")


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    request, response, session = yield from accepted(lane, operation)
    yield from tidy(lane, operation, response, session)
    member = next(iter(request.json()), "a") if isinstance(request.json(), dict) else "a"
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    for words, body in (
        ("100 000 nested lists", b"[" * 100_000 + b"]" * 100_000),
        (f"5 000 nested objects as {member}", b'{"%s":%s}' % (member.encode(), deep)),
    ):
        hostile = request.with_(body=body)
        try:
            answer: Response = yield from send(hostile, new_connection=True)
        except NoAnswer as silent:
            told = f"no answer: {silent}"
            return _finding(lane, words, told, request)
        yield from tidy(lane, operation, answer, session)
        if answer.status == 503:
            raise CannotProve(f"{words} met {describe(answer)}")
        if not 400 <= answer.status < 500:
            return _finding(lane, words, describe(answer), request)
    after = yield from send(another(lane, operation, request), new_connection=True)
    yield from tidy(lane, operation, after, session)
    if after.status >= 500:
        return _finding(lane, "a valid body after the nested ones", describe(after), request)
    return Kept()


def _finding(lane: Lane, words: str, actual: str, request: Request) -> Finding:
    return Finding(
        sent=f"{lane.operation.label} with {words}",
        expected="400, 413, 422 or another 4xx, and the service going on",
        actual=actual,
        origin="the JSON parser has no bound on its depth",
        # Two hundred thousand brackets help nobody in a shell; fifty show the shape, and `again` sends the rest.
        request=request.with_(body=b"[" * 50 + b"]" * 50),
    )


_CREATE = "POST /api/v1/items"


def _overflows(request: Request, response: Response) -> Response:
    return Response.problem(500) if (request.body or b"").startswith(b"[[") else response


def _swallows(request: Request, response: Response) -> Response:
    made = {"id": "i9", "name": "", "quantity": 1}
    return Response.of(201, made) if b'{"a":{"a"' in (request.body or b"") else response


def _falls(request: Request, response: Response) -> Response:
    if (request.body or b"").startswith(b"[["):
        raise NoAnswer("closed", "the connection ended before an answer")
    return response


CONFORMING = (
    Example("refused, and it goes on", subject=_CREATE),
    Example(
        "too large for it",
        subject=_CREATE,
        alter=lambda request, response: Response.problem(413) if len(request.body or b"") > 9999 else response,
    ),
)
BREACHING = (
    Example("out of stack", subject=_CREATE, alter=_overflows),
    Example("what is too deep is dropped", subject=_CREATE, alter=_swallows),
    Example("the process is gone", subject=_CREATE, alter=_falls),
)
