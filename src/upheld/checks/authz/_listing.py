"""A collection read to its end, page by page, as one identity sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upheld.check import CannotProve, Lane, send
from upheld.checks.authz._owners import document
from upheld.exchange import Request, Response, Session
from upheld.steps import Move, describe, pointed, valid_request
from upheld.steps.values import plain

if TYPE_CHECKING:
    from upheld.contract import Paging, Resource

PAGES = 20
_SIZE = 100


@dataclass(frozen=True, slots=True)
class Listing:
    """What a collection shows to one identity."""

    request: Request
    """That of the first page."""
    ids: frozenset[str]
    total: int | None
    """What the first page says that there are; None where it says nothing."""
    whole: bool
    """The last page was read."""


def listing(lane: Lane, family: Resource, session: Session) -> Move:
    """``seen = yield from listing(lane, family, session)``: at most `PAGES` pages. Raises `CannotProve` when it is refused."""
    request = yield from first_page(lane, family, session)
    found: set[str] = set()
    total: int | None = None
    page: Request | None = request
    for number in range(PAGES):
        assert page is not None
        response: Response = yield from send(page)
        ids = ids_in(family, response)
        if not response.ok or ids is None:
            raise CannotProve(f"{page.operation} shows no members that could be read: {describe(response)}")
        total = _total(family, response) if number == 0 else total
        fresh = [identifier for identifier in ids if identifier not in found]
        found.update(fresh)
        page = _next(family, page, response, number, len(found)) if fresh else None
        if page is None:
            return Listing(request, frozenset(found), total, whole=True)
    return Listing(request, frozenset(found), total, whole=False)


def first_page(lane: Lane, family: Resource, session: Session) -> Move:
    """The request of the first page, as large as the contract allows, at most a hundred members."""
    assert family.list is not None
    request: Request = yield from valid_request(lane, family.list, session)
    paging = family.paging
    if paging is None:
        return request
    query = tuple(pair for pair in request.query if pair[0] not in (paging.size, paging.position))
    size = ((paging.size, str(min(paging.maximum or _SIZE, _SIZE))),) if paging.size else ()
    return request.with_(query=(*query, *size))


def ids_in(family: Resource, response: Response) -> list[str] | None:
    """Ids of the members on this page; None where there is no array of members."""
    try:
        items = pointed(document(response), family.items_pointer or "")
    except LookupError:
        return None
    return [found for item in items for found in _id(family, item)] if isinstance(items, list) else None


def _id(family: Resource, item: Any) -> Iterable[str]:
    for pointer in (family.id_pointer, "/" + family.id_pointer.rsplit("/", 1)[-1]):
        try:
            return [plain(pointed(item, pointer))]
        except LookupError:
            continue
    return [item] if isinstance(item, str) else []


def _next(family: Resource, page: Request, response: Response, number: int, so_far: int) -> Request | None:
    paging = family.paging
    if paging is None or paging.position is None:
        return None
    if paging.kind == "cursor":
        position = _cursor(paging, response)
    elif paging.kind == "offset":
        position = str(so_far)
    else:
        position = str(number + 2)
    query = tuple(pair for pair in page.query if pair[0] != paging.position)
    return page.with_(query=(*query, (paging.position, position))) if position else None


def _cursor(paging: Paging, response: Response) -> str:
    try:
        value = pointed(document(response), paging.next_pointer) if paging.next_pointer else None
    except LookupError:
        value = None
    return "" if value is None or isinstance(value, list | Mapping | bool) else plain(value)


def _total(family: Resource, response: Response) -> int | None:
    pointer = family.paging.total_pointer if family.paging else None
    try:
        value = pointed(document(response), pointer) if pointer else None
    except LookupError:
        value = None
    return value if type(value) is int else None
