"""A 201 says where the new thing is, and it is there.

## What it requires

An operation that creates and answers 201 names the new thing in `Location`; a GET of that address by the same caller is answered with 200 and shows the
id that the creation told.

## Why

Without `Location` each client builds the address of what it made by rules of its own, and breaks as soon as addresses change. With a wrong
one it goes astray at once.

## What it sends

One creation, one GET of its Location, and a DELETE to tidy up where the contract offers one.

## Example of a breach

`POST /items` is answered `201` with `{"id": "i9", …}` and no `Location`.

## When to waive it

Where what is created has no address of its own. An operation that answers 200 or 202 is not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urljoin, urlsplit

from upheld.check import (
    SHOULD,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subject,
    Subjects,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import Move, caller, control, describe, discard, id_of

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource

REQUIREMENT = Requirement(
    title="A 201 says where the new thing is, and it is there",
    level=SHOULD,
    clause=Clause(
        "RFC 9110 §9.3.3",
        "https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3",
        "the origin server SHOULD send a 201 (Created) response containing a Location header field that provides an "
        "identifier for the primary resource created",
    ),
    catalogue=("HTTP-11",),
    cost=3,
)


def subjects(contract: Contract) -> Subjects:
    creates = [(family, family.create) for family in contract.resources if family.create is not None]
    found = [
        Subject(create.label, operation=create, resource=family)
        for family, create in creates
        if create.label not in contract.dangerous
    ]
    return found or NotApplicable("no operation creates a member of a collection")


def converse(lane: Lane) -> Conversation:
    operation, family = lane.operation, lane.subject.resource
    assert family is not None
    session = yield from caller(lane, operation)
    request, made = yield from control(lane, operation, session)
    if made.status != 201:
        return NotApplicable(f"the creation is answered with {made.status}, which promises no Location")
    identifier = id_of(family, made)
    outcome: Finding | Kept = yield from _follow(lane, request, made, family.read, _told(family, made))
    if identifier is not None:
        yield from discard(lane, family, identifier, session)
    return outcome


def _follow(lane: Lane, request: Request, made: Response, read: Operation | None, told: str | None) -> Move:
    locations = made.headers.all("location")
    if not locations or not locations[0].strip():
        return Finding(
            expected="Location with the address of what was made",
            actual="201 without Location",
            request=request,
        )
    try:
        # Whose name stands in it depends on the proxies on the way, so only the path is followed.
        address = urlsplit(urljoin(request.path, locations[0].strip()))
    except ValueError:
        return Finding(expected="Location with a URI", actual=f"Location: {locations[0][:120]}", request=request)
    if read is None:
        return Kept("nothing reads it, so its Location was not followed")
    reader = request.session if read.secured else None
    if read.secured and reader is None:
        reader = yield from caller(lane, read)
    look = Request("GET", address.path, tuple(parse_qsl(address.query)), session=reader)
    answer = yield from send(look)
    if not answer.ok:
        return Finding(
            expected="GET of the Location is answered with 200",
            actual=f"Location: {locations[0][:120]}, and there {describe(answer)[:120]}",
            request=look,
        )
    if told is not None and told not in answer.text:
        return Finding(
            expected=f"the thing with id {told}, which was just made",
            actual=f"Location: {locations[0][:120]} shows {describe(answer)[:120]}",
            request=look,
        )
    return Kept()


def _told(family: Resource, made: Response) -> str | None:
    """The id that the body itself tells; `id_of` would fall back on the Location."""
    return id_of(family, Response(made.status, made.headers.with_("Location", None), made.body))


def _location(says: str, value: str | None) -> Example:
    def alter(request: Request, response: Response) -> Response:
        if response.status != 201 or request.method != "POST":
            return response
        made = response.headers.get("location", "").rsplit("/", 1)[-1]
        shown = None if value is None else value.replace("{id}", made)
        return Response(201, response.headers.with_("Location", shown), response.body)

    return Example(says, alter=alter, subject="POST /api/v1/items")


CONFORMING = (
    Example("an absolute path", subject="POST /api/v1/items"),
    Example("of something that is tidied up", subject="POST /api/v1/orders"),
    _location("a whole URL with the host that the proxy knows", "https://shop.example.test/api/v1/items/{id}"),
    _location("relative to the request", "items/{id}"),
)

BREACHING = (
    _location("no Location", None),
    _location("a slash too many", "/api/v1/items/{id}/"),
    _location("the address of something else", "/api/v1/items/i0"),
    _location("without the version prefix", "/items/{id}"),
    _location("what is no URI", "http://[items/{id}"),
)
