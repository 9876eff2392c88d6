"""A body that cannot be read is refused as such.

## What it requires
JSON that ends in the middle, no body where one is required, a list or a text where an object belongs, and octets that are no UTF-8 are
answered with a status of `errors.malformed` (400 or 422 unless the contract says otherwise), or 413 or 415; never with 2xx and never
with 5xx. (Their format is a matter of `errors/problem-json`, which looks at these answers too.)

## Why
The body is parsed before anything that the developers wrote, so these errors are the framework's, and nobody looked at them. A parser
that takes nothing for an empty object turns a lost upload into a change.

## What it sends
To each operation that takes JSON: one valid request, then the same with each of those bodies. A body in UTF-16 is sent too, but may be
read or refused: RFC 8259 binds who sends it.

## Example of a breach
`POST /orders` with `{"a":` is answered with 500.

## When to waive it
When the status is another on purpose: state it in `errors: {malformed: [400]}` instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
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
    accepted,
    another,
    describe,
    operations,
    takes_json,
    tidy,
    touches_only_its_own,
)

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="a body that cannot be read is refused as such",
    level=MUST,
    clause=Clause(
        "RFC 9110 §15.5.1",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.1",
        "the server cannot or will not process the request due to something that is perceived to be a client error",
    ),
    catalogue=("ERR-06",),
    reads=("errors.malformed",),
    cost=9,
    owasp="API8:2023",
    cwe=("CWE-20",),
)


def subjects(contract: Contract) -> Subjects:
    def keep(operation: Operation) -> bool:
        return takes_json(operation) and touches_only_its_own(contract, operation)

    return operations(contract, keep, "no operation takes JSON")


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    request, response, session = yield from accepted(lane, operation)
    yield from tidy(lane, operation, response, session)
    allowed = sorted({*lane.contract.policy.errors.malformed, 413, 415})
    fresh = another(lane, operation, request)
    for words, body in _bodies(lane):
        answer: Response = yield from send(fresh.with_(body=body), new_connection=True)
        yield from tidy(lane, operation, answer, session)
        if answer.status == 401:
            raise CannotProve(f"the credentials stopped working: {describe(answer)}")
        if answer.status not in allowed:
            return Finding(
                sent=f"{operation.label} with {words}",
                expected=f"{', '.join(map(str, allowed[:-1]))} or {allowed[-1]}",
                actual=describe(answer),
                origin=f"{words}: {answer.status}",
                request=fresh.with_(body=body),
            )
    fresh = another(lane, operation, request)
    answer = yield from send(fresh.with_(body=(fresh.body or b"").decode("utf-8").encode("utf-16")))
    yield from tidy(lane, operation, answer, session)
    return Kept("UTF-16, which no client may send, is read too" if answer.ok else "")


def _bodies(lane: Lane) -> Iterator[tuple[str, bytes]]:
    """(what it is, octets) of bodies that no service can read as what the document describes."""
    body = lane.operation.body
    schema = body.json_schema if body is not None else None
    yield "JSON that ends in the middle", b'{"a":'
    yield "a text labelled as JSON", b"hello"
    if body is not None and body.required:
        yield "no body at all", b""
    if schema is not None and not lane.contract.validator(schema, "request").is_valid([]):
        yield "an empty list in place of an object", b"[]"
    yield "octets that are no UTF-8 (FF FE)", b"\xff\xfe"


_CREATE = "POST /api/v1/items"


def _fails_to_decode(request: Request, response: Response) -> Response:
    return Response.problem(500) if request.body == b"\xff\xfe" else response


def _crashes(request: Request, response: Response) -> Response:
    return Response.problem(500) if request.body == b'{"a":' else response


def _empty_is_an_object(request: Request, response: Response) -> Response:
    return Response.of(200, {"id": "i9", "name": "", "quantity": 0}) if request.body == b"" else response


def _reads_utf16(request: Request, response: Response) -> Response:
    body = request.body or b""
    utf16 = len(body) > 4 and body.startswith((b"\xff\xfe", b"\xfe\xff"))
    return Response.of(201, {"id": "i9", "name": "lamp", "quantity": 1}) if utf16 else response


def _optional(document: dict[str, Any]) -> None:
    document["paths"]["/api/v1/items"]["post"]["requestBody"]["required"] = False


CONFORMING = (
    Example("refused, each of them", subject=_CREATE),
    Example("at the login too", subject="POST /api/v1/auth/login"),
    Example("at the refresh too", subject="POST /api/v1/auth/refresh"),
    Example("on a member", subject="PUT /api/v1/items/{item_id}"),
    Example("UTF-16 is read", subject=_CREATE, alter=_reads_utf16),
    Example("no body where it is optional", subject=_CREATE, alter=_empty_is_an_object, document=_optional),
)
BREACHING = (
    Example("the decoder fails", subject=_CREATE, alter=_fails_to_decode),
    Example("an unexpected end is an unexpected error", subject=_CREATE, alter=_crashes),
    Example("nothing is taken for an empty object", subject=_CREATE, alter=_empty_is_an_object),
    Example("422 where the contract names 400 alone", subject=_CREATE, policy={"errors": {"malformed": [400]}}),
)
