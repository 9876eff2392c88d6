"""What was deleted stays deleted.

## What it requires
After a member was deleted, reading it gives 404 or 410, its collection does not list it, and deleting it once more is no error of the
server. A representation that says itself that it is deleted (`deleted_at`, `status: cancelled`) is accepted in the place of a 404.

## Why
"Deleted" is a promise to people (CWE-459). Rows that are only marked come back through the one query that forgot the mark, and a cache that is not
told goes on serving them.

## What it sends
For each kind of thing that can be created and deleted: a member is made and read, deleted, read again, looked for in the list, and deleted again.

## Example of a breach
`GET /orders/{id}` is answered 200 after `DELETE /orders/{id}` was answered 204. Or 404, but `GET /orders` still lists it.

## When to waive it
When deleting only hides things from others on purpose. A delay is stated instead: `caching: {stale_after_write: 2s}`.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    wait,
)
from upheld.exchange import NotJson, Request, Response
from upheld.steps import caller, describe, make, member_path, pointed, resources

if TYPE_CHECKING:
    from upheld.contract import Contract, Resource

REQUIREMENT = Requirement(
    title="what was deleted stays deleted",
    level=MUST,
    clause=Clause(
        "RFC 9110 §9.3.5, §9.2.2",
        "https://www.rfc-editor.org/rfc/rfc9110#section-9.3.5",
        "remove the association between the target resource and its current functionality",
    ),
    catalogue=("IDEM-02",),
    reads=("caching.stale_after_write",),
    cost=6,
    engine=("use_after_free",),
    cwe=("CWE-459", "CWE-672"),
)

_TOMBSTONES = (
    "deleted_at",
    "deletedAt",
    "deleted",
    "is_deleted",
    "isDeleted",
    "revoked_at",
    "archived_at",
    "removed_at",
)
_ENDED = frozenset({"deleted", "cancelled", "canceled", "revoked", "archived", "removed", "closed", "inactive"})
_LONGEST_WAIT = 10.0


def subjects(contract: Contract) -> Subjects:
    def keep(family: Resource) -> bool:
        needed = (family.create, family.delete)
        possible = all(op is not None and op.label not in contract.dangerous for op in needed)
        # Members of members would need the path of the one that they were made in.
        return possible and family.member.count("{") == 1 and (family.read is not None or family.list is not None)

    return resources(contract, keep, "nothing can be created, deleted and looked at")


def converse(lane: Lane) -> Conversation:
    family = lane.subject.resource
    assert family is not None
    assert family.create is not None
    assert family.delete is not None
    creator = yield from caller(lane, family.create)
    allowed = lane.contract.roles(family.delete)
    able = creator is not None and (not allowed or creator.role in allowed)
    deleter = creator if able else (yield from caller(lane, family.delete))
    identifier, _ = yield from make(lane, family, creator)
    label = family.read.label if family.read is not None else None
    read = Request("GET", member_path(family, identifier), session=creator, operation=label)
    if family.read is not None:
        before = yield from send(read)
        if not before.ok:
            raise CannotProve(f"{family.read.label} was answered with {describe(before)} before anything was deleted")
    path = member_path(family, identifier, family.delete.path)
    delete = Request("DELETE", path, session=deleter, operation=family.delete.label)
    answer: Response = yield from send(delete)
    if not answer.ok:
        raise CannotProve(f"{family.delete.label} was answered with {describe(answer)}")
    pause = lane.contract.policy.caching.stale_after_write
    if answer.status == 202 or pause > _LONGEST_WAIT:
        raise CannotProve("deleting is not done at once (202, or a long caching.stale_after_write)")
    if pause:
        yield from wait(pause)
    if family.read is not None:
        after: Response = yield from send(read)
        if after.ok and not _says_so(after):
            return _finding(
                lane, read, "404 or 410", f"{family.read.label} after that: {describe(after)}", "is still read"
            )
    if family.list is not None:
        listing = Request("GET", family.collection, session=creator, operation=family.list.label)
        page: Response = yield from send(listing)
        if _lists(family, page, identifier):
            expected = f"a list without {identifier}"
            return _finding(lane, listing, expected, f"{family.list.label} still lists {identifier}", "is still listed")
    again: Response = yield from send(delete)
    if again.status >= 500 and again.status != 503:
        return _finding(
            lane, delete, "404, 410 or 204", f"deleted once more: {describe(again)}", "cannot be deleted twice"
        )
    return Kept(f"deleted once more: {again.status}")


def _finding(lane: Lane, request: Request, expected: str, actual: str, what: str) -> Finding:
    sent = f"a new member of {lane.subject.label}, deleted with 2xx"
    return Finding(
        sent=sent, expected=expected, actual=actual, origin=f"{lane.subject.label}: it {what}", request=request
    )


def _says_so(response: Response) -> bool:
    """The representation itself tells that its subject is gone."""
    try:
        document = response.json()
    except NotJson:
        return False
    if not isinstance(document, Mapping):
        return False
    words = {str(document.get(name, "")).lower() for name in ("status", "state")}
    return bool(words & _ENDED) or any(document.get(name) for name in _TOMBSTONES)


def _lists(family: Resource, page: Response, identifier: str) -> bool:
    try:
        members = pointed(page.json(), family.items_pointer or "") if page.ok else []
    except (NotJson, LookupError):
        return False
    if not isinstance(members, list):
        return False
    return any(_is(family, member, identifier) and not _marked(member) for member in members)


def _is(family: Resource, member: Any, identifier: str) -> bool:
    try:
        return str(pointed(member, family.id_pointer)) == identifier
    except LookupError:
        return False


def _marked(member: Any) -> bool:
    return isinstance(member, Mapping) and _says_so(Response.of(200, dict(member)))


_ITEMS = "/api/v1/items"
_ORDERS = "/api/v1/orders"


def _still_read(request: Request, response: Response) -> Response:
    gone = request.method == "GET" and request.path.startswith(f"{_ITEMS}/") and response.status == 404
    return Response.of(200, {"id": "i9", "name": "lamp", "quantity": 1}) if gone else response


def _still_listed(request: Request, response: Response) -> Response:
    everything = {"items": [{"id": f"o{number}", "note": "x"} for number in range(99)]}
    return Response.of(200, everything) if request.method == "GET" and request.path == _ORDERS else response


def _listed_as_gone(request: Request, response: Response) -> Response:
    everything = {"items": [{"id": f"o{number}", "deleted_at": "2026-11-22"} for number in range(99)]}
    return Response.of(200, everything) if request.method == "GET" and request.path == _ORDERS else response


def _twice_is_an_error(request: Request, response: Response) -> Response:
    return Response.problem(500) if request.method == "DELETE" and response.status == 404 else response


def _no_matter_how_often(request: Request, response: Response) -> Response:
    return Response.of(204) if request.method == "DELETE" and response.status == 404 else response


def _marks(request: Request, response: Response) -> Response:
    gone = request.method == "GET" and response.status == 404 and request.path.startswith(_ORDERS)
    return Response.of(200, {"id": "o1", "status": "cancelled"}) if gone else response


CONFORMING = (
    Example("items, which an admin deletes", subject=_ITEMS),
    Example("orders, which their owner deletes", subject=_ORDERS),
    Example("a second 204", subject=_ORDERS, alter=_no_matter_how_often),
    Example("it says itself that it is gone", subject=_ORDERS, alter=_marks),
    Example("so does the list", subject=_ORDERS, alter=_listed_as_gone),
)
BREACHING = (
    Example("it is still read", subject=_ITEMS, alter=_still_read),
    Example("it is still listed", subject=_ORDERS, alter=_still_listed),
    Example("deleting it twice is too much", subject=_ORDERS, alter=_twice_is_an_error),
)
