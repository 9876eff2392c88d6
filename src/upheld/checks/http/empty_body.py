"""What must be empty is empty on the wire.

## What it requires

After an answer to HEAD, and after 204 and 304, not one octet follows. 204 has neither `Transfer-Encoding` nor a `Content-Length` (of 0, as some
proxies add it, is let through).

## Why

Such an answer ends with its header section. Whoever sends more has it read as the beginning of the next answer on the same connection: at
best an error in a client that did nothing wrong, at worst somebody else's answer (request smuggling).

## What it sends

As raw octets, because client libraries hide what is wrong here: a HEAD to each GET operation, a GET with its ETag if there is one, and each
operation that the contract answers with 204, on a member made for it.

## Example of a breach

`DELETE /orders/{id}` is answered `204 No Content` with `Content-Length: 17` and `{"deleted": true}` after it.

## When to waive it

Never: repair the server or the proxy.
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
    RawAnswer,
    Requirement,
    Subjects,
    Unproven,
    raw,
)
from upheld.exchange import Request, Response
from upheld.steps import caller, describe, octets, operations, unmade_path, valid_request

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="What must be empty is empty on the wire",
    level=MUST,
    clause=Clause(
        "RFC 9110 §15.3.5",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.3.5",
        "A 204 response is terminated by the end of the header section; it cannot contain content or trailers.",
    ),
    catalogue=("HTTP-12",),
    cost=2,
    cwe=("CWE-444",),
)


def subjects(contract: Contract) -> Subjects:
    return operations(
        contract, lambda op: op.method == "GET" or "204" in op.responses, "no GET, and nothing answers 204"
    )


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    session = yield from caller(lane, operation)
    if operation.method != "GET":
        request = yield from valid_request(lane, operation, session)
        answer = yield from raw(octets(request), request=request)
        final = _final(answer)
        if final.status != 204:
            return Unproven(f"{operation.label} was answered with {describe(final)}, not with 204")
        return _judge(request, answer, final) or Kept()
    # A HEAD of what is missing must be as empty, so nothing is made for it.
    head = Request("HEAD", unmade_path(lane, operation.path), session=session)
    answer = yield from raw(octets(head), request=head)
    final = _final(answer)
    finding = _judge(head, answer, final)
    tag = final.headers.get("etag")
    if finding is not None or tag is None or not final.ok:
        return finding or Kept(f"HEAD, answered with {final.status}")
    get = head.with_(method="GET", operation=operation.label).with_headers(if_none_match=tag)
    answer = yield from raw(octets(get), request=get)
    final = _final(answer)
    if final.status != 304:
        return Kept("HEAD")
    return _judge(get, answer, final) or Kept("HEAD and 304")


def _final(answer: RawAnswer) -> Response:
    for response in answer.responses:
        if response.status >= 200:
            return response
    raise CannotProve("no whole answer came back" + (": the connection was closed" if answer.closed else ""))


def _judge(request: Request, answer: RawAnswer, final: Response) -> Finding | None:
    after = final.body + answer.rest
    name = "HEAD" if request.method == "HEAD" else str(final.status)
    if after:
        actual = f"{len(after)} octets: {after[:60].decode('utf-8', 'replace')}"
        return _finding(request, name, f"nothing after the header section of the answer to {name}", actual)
    if final.status != 204:
        return None
    # RFC 9112 §6.1: "A server MUST NOT send a Transfer-Encoding header field in any response with a status code of ... 204".
    coding = final.headers.get("transfer-encoding")
    if coding is not None:
        return _finding(request, name, "204 without Transfer-Encoding (RFC 9112 §6.1)", f"Transfer-Encoding: {coding}")
    length = final.headers.get("content-length", "0").strip()
    if length != "0":
        return _finding(request, name, "204 without Content-Length (RFC 9110 §8.6)", f"Content-Length: {length}")
    return None


def _finding(request: Request, name: str, expected: str, actual: str) -> Finding:
    return Finding(expected=expected, actual=actual, origin=f"{name}: {actual[:40]}", request=request)


def _with(says: str, subject: str, body: bytes = b"", **fields: str) -> Example:
    def alter(request: Request, response: Response) -> Response:
        if request.method not in ("HEAD", "DELETE") and response.status != 304:
            return response
        headers = response.headers
        for name, value in fields.items():
            headers = headers.with_(name.replace("_", "-"), value)
        return Response(response.status, headers, body)

    return Example(says, alter=alter, subject=subject)


def _unchanged(request: Request, response: Response) -> Response:
    """A service that knows its ETag, and repeats the thing with 304 all the same."""
    if "if-none-match" in request.headers:
        return Response(304, response.headers, response.body)
    return Response(response.status, response.headers.with_("ETag", '"1"'), response.body)


_HEAD = "GET /api/v1/items"
_GONE = "DELETE /api/v1/orders/{order_id}"

CONFORMING = (
    Example("HEAD", subject=_HEAD),
    Example("204", subject=_GONE),
    _with("HEAD tells the length that GET has", _HEAD, content_length="17"),
    _with("a proxy adds a length of 0", _GONE, content_length="0"),
)

BREACHING = (
    _with("HEAD with content", _HEAD, b'{"items": []}'),
    _with("204 with content", _GONE, b'{"deleted": true}'),
    _with("204 that announces content", _GONE, content_length="17"),
    _with("204 in chunks", _GONE, transfer_encoding="chunked"),
    Example("304 with content", alter=_unchanged, subject=_HEAD),
)
