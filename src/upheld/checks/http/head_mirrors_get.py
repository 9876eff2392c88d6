"""HEAD answers as GET does, without the content.

## What it requires

HEAD has the status and the `Content-Type` of the same GET, and its `Content-Length` if it tells one. With `head: 405` in the contract, HEAD is
refused with 405; without a word on it in the contract, either is right.

## Why

Caches, link checkers, load balancers and resumable downloads ask with HEAD and believe what they hear about the GET. A 405 that nobody
decided on reads as "down", a wrong length breaks the download.

## What it sends

For each GET operation one GET that succeeds, and the same with HEAD; both once more where the lengths differ, to see whether the
content itself changes from one request to the next.

## Example of a breach

`GET /items` is answered 200, `HEAD /items` 405, and the contract says `head: mirror`.

## When to waive it

For operations that stream or whose GET is too costly to ask for its length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
    SHOULD,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import caller, control, describe, operations

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="HEAD answers as GET does, without the content",
    level=SHOULD,
    clause=Clause(
        "RFC 9110 §9.3.2",
        "https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2",
        "The server SHOULD send the same header fields in response to a HEAD request as it would have sent if the "
        "request method had been GET.",
    ),
    catalogue=("HTTP-05",),
    reads=("head",),
    cost=2,
)


def subjects(contract: Contract) -> Subjects:
    def has_content(op: Operation) -> bool:
        return op.method == "GET" and not op.redirects and not _streams(op)

    return operations(contract, has_content, "the contract has no GET")


def converse(lane: Lane) -> Conversation:
    operation, wanted = lane.operation, lane.contract.policy.head
    session = yield from caller(lane, operation)
    get, first = yield from control(lane, operation, session)
    head = get.with_(method="HEAD", operation=None)
    answer = yield from send(head)
    if answer.status in (401, 403) and session is not None:
        return Unproven(f"HEAD was answered with {describe(answer)}, as if it carried no credentials")
    if wanted == 405 or (wanted == "any" and answer.status in (405, 501)):
        if answer.status in (405, 501):
            return Kept(f"HEAD is refused with {answer.status}")
        return Finding(expected="405 (contract: head: 405)", actual=describe(answer), request=head)
    if answer.status != first.status:
        return Finding(
            expected=f"{first.status}, as GET is answered",
            actual=describe(answer),
            origin="HEAD refused by the router" if answer.status in (404, 405, 501) else "",
            request=head,
        )
    if "content-type" in answer.headers and answer.media_type != first.media_type:
        return Finding(
            expected=f"Content-Type: {first.media_type}, as GET has it",
            actual=f"Content-Type: {answer.media_type}",
            request=head,
        )
    told, real = _length(answer), _length(first)
    if told is None or real is None or told == real:
        return Kept()
    # Others may write at the same time: only what stands still twice is compared.
    again, repeated = (yield from send(get)), (yield from send(head))
    if _length(again) != real or _length(repeated) != told:
        return Kept("the content changes from one request to the next, so lengths were not compared")
    return Finding(
        expected=f"Content-Length: {real}, as GET has it, or none", actual=f"Content-Length: {told}", request=head
    )


def _streams(operation: Operation) -> bool:
    return any("event-stream" in media_type for spec in operation.responses.values() for media_type in spec.content)


def _length(response: Response) -> str | None:
    if response.headers.get("content-encoding", "identity") != "identity":
        return None
    return response.headers.get("content-length")


def _head(says: str, made: Response | None = None, **rest: object) -> Example:
    def alter(request: Request, response: Response) -> Response:
        length = str(len(response.body))
        if request.method != "HEAD":
            return Response(response.status, response.headers.with_("Content-Length", length), response.body)
        return made or Response(response.status, response.headers)

    return Example(says, alter=alter, subject="GET /api/v1/items", policy=rest)


CONFORMING = (
    _head("mirrored, the length left out"),
    _head("refused, and the contract is silent about it", Response.problem(405, allow="GET, POST")),
    _head("refused, as the contract says", Response.problem(405, allow="GET, POST"), head=405),
)

BREACHING = (
    _head("refused, though the contract says mirror", Response.problem(405, allow="GET, POST"), head="mirror"),
    _head("not found", Response.problem(404)),
    _head("a length that GET does not have", Response.of(200, content_type="application/json", content_length="0")),
    _head("another type", Response.of(200, content_type="text/html")),
    _head("answered, though the contract says 405", head=405),
)
