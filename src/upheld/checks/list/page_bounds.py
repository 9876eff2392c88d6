"""No page is larger than the contract allows.

## What it requires

A collection that lets the client choose the size of a page refuses a size over the maximum with a 4xx, or gives no more than the maximum. The
maximum is that of the parameter in the document, else `limits.page_max`.

## Why

One parameter decides how many rows are read, held in memory and written out. Without a bound, one cheap request after another takes the
database down, and the whole of the data can be carried off in one.

## What it sends

A page of the default size, then pages of one more than the maximum, of a million and of a thousand million. If they are granted and the
collection has fewer members than the maximum, the answer's own word (`limit`, `per_page`, …) decides; without one it stays unproven.

## Example of a breach

`GET /items?limit=1000000` is answered with 200 and `"limit": 1000000`.

## When to waive it

For a collection that can never have more members than fit a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
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
    Unproven,
    send,
)
from upheld.exchange import NotJson, Request, Response
from upheld.steps import caller, control, describe, pointed

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource
    from upheld.contract.model import Paging

REQUIREMENT = Requirement(
    title="No page is larger than the contract allows",
    level=MUST,
    clause=Clause(
        "OWASP API4:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa4-unrestricted-resource-consumption/",
        "Add proper server-side validation for query string and request body parameters, specifically the one that "
        "controls the number of records to be returned in the response.",
    ),
    catalogue=("LIST-01",),
    reads=("limits.page_max",),
    cost=4,
    owasp="API4:2023",
    cwe=("CWE-770",),
)

_TOLD = frozenset({"limit", "size", "pagesize", "perpage", "pagelimit", "maxresults", "maxitems"})


def subjects(contract: Contract) -> Subjects:
    families = {family.list.label: family for family in contract.resources if family.list is not None}
    found = [
        Subject(op.label, operation=op, resource=families.get(op.label))
        for op in contract.operations
        if _paging(contract, op) is not None and op.label not in contract.dangerous
    ]
    return found or NotApplicable("no collection lets the client choose the size of a page")


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    paging = _paging(lane.contract, operation)
    assert paging is not None
    assert paging.size is not None
    most = paging.maximum or lane.contract.policy.limits.page_max
    if most is None:
        return Unproven("nobody says how large a page may be", "limits: {page_max: 100}")
    session = yield from caller(lane, operation)
    request, _ = yield from control(lane, operation, session)
    bounded: list[str] = []
    silent = 0
    for size in (most + 1, 10**6, 10**9):
        query = (*((k, v) for k, v in request.query if k != paging.size), (paging.size, str(size)))
        probe = request.with_(query=query)
        response = yield from send(probe)
        if 400 <= response.status < 500:
            bounded.append(f"{size}: {response.status}")
            continue
        if not response.ok:
            return Finding(expected=f"a 4xx, or at most {most} members", actual=describe(response), request=probe)
        count, told = _count(lane.subject.resource, response), _told(response)
        if (count or 0) > most or (told or 0) > most:
            seen = f"{count} members" if (count or 0) > most else f"the answer says that {told} is the size of its page"
            return Finding(
                expected=f"a 4xx, or at most {most} members",
                actual=f"{response.status}: {seen}",
                sent=f"GET {probe.target} (the maximum is {most})",
                request=probe,
            )
        if told is not None or count == most:
            bounded.append(f"{size}: cut to {told or count}")
        else:
            silent += 1
    if silent:
        return Unproven(
            f"a size over {most} is granted, and the collection has too few members to show whether it is cut"
        )
    return Kept(", ".join(bounded))


def _paging(contract: Contract, operation: Operation) -> Paging | None:
    paging = contract.paging(operation)
    return paging if paging is not None and paging.size is not None else None


def _count(family: Resource | None, response: Response) -> int | None:
    try:
        document = response.json()
        items = pointed(document, family.items_pointer or "") if family else document
    except (NotJson, LookupError):
        return None
    if isinstance(items, dict):
        lists = [value for value in items.values() if isinstance(value, list)]
        items = lists[0] if len(lists) == 1 else None
    return len(items) if isinstance(items, list) else None


def _told(response: Response) -> int | None:
    """The size of the page, as the answer itself tells it at its top or one level below (``meta``, ``page``)."""
    try:
        document = response.json()
    except NotJson:
        return None
    levels = [document, *document.values()] if isinstance(document, dict) else []
    for level in levels:
        for name, value in level.items() if isinstance(level, dict) else ():
            plain = str(name).lower().replace("_", "").replace("-", "")
            if plain in _TOLD and type(value) is int:
                return value
    return None


def _unbounded(says: str, rows: int, *, echo: bool = False, cut: int | None = None) -> Example:
    def alter(request: Request, response: Response) -> Response:
        if request.path != "/api/v1/items" or response.status not in (200, 422):
            return response
        size = int(dict(request.query).get("limit", "20"))
        size = min(size, cut) if cut else size
        page: dict[str, Any] = {"items": [{"id": f"i{n}", "name": "x", "quantity": 1} for n in range(min(size, rows))]}
        return Response.of(200, {**page, "limit": size} if echo else page)

    return Example(says, alter=alter, subject="GET /api/v1/items")


CONFORMING = (
    Example("refused with 422"),
    _unbounded("cut to the maximum", 150, cut=100),
    _unbounded("cut, few members, and the answer says so", 3, echo=True, cut=50),
)

BREACHING = (
    _unbounded("as many as are asked for", 150),
    _unbounded("few members, and the answer grants a million", 3, echo=True),
)
