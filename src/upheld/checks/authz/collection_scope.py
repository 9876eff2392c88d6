"""A list shows everybody their own members only.

## What it requires

A collection whose members belong to whoever made them lists the caller's own: on every page, also when a filter names somebody else,
and in the total where one is told.

## Why

One missing condition in one query shows every customer's orders to every customer, all at once. Tests with a single user never see it.

## What it sends

One identity makes a member and finds it in its own list, as the control. Another of the same role reads all pages, then filters by the
owner (`?owner_id=…&user_id=…`, and parameters of the document that name an owner or a property of the member).

A list that shows a foreign member is a breach where its caller may not read that member, or where upheld.yaml states whose things are
whose (`ownership: {foreign: …}` or `shared:`). Where it is only inferred that members have owners, and the other may read them too, they
may as well be shared by design: that is unproven, with both lines to choose from.

## Example of a breach

`GET /orders?status=placed` shows Bob the orders of everybody: the filter began a new query, without the owner.

## When to waive it

Where the members are shared by design: list the collection under `ownership: {shared: […]}` instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Outcome,
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.checks.authz._listing import PAGES, Listing, first_page, ids_in, listing
from upheld.checks.authz._owners import OWNERS, Belonging, belonging, document, lines, owned, pair, stated
from upheld.contract.words import key
from upheld.exchange import Request, Response
from upheld.steps import Move, access_token, discard, resources
from upheld.steps.values import plain

if TYPE_CHECKING:
    from upheld.contract import Contract, Resource

REQUIREMENT = Requirement(
    title="A list shows everybody their own members only",
    level=MUST,
    clause=Clause(
        "ASVS 5.0 8.2.2",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x17-V8-Authorization.md",
        "Verify that the application ensures that data-specific access is restricted to consumers with explicit "
        "permissions to specific data items",
    ),
    catalogue=("AUTHZ-04",),
    reads=("identities", "ownership"),
    cost=12,
    owasp="API1:2023",
    cwe=("CWE-639",),
)

_FILTERS = 3


def subjects(contract: Contract) -> Subjects:
    families = owned(contract)
    return resources(
        contract,
        lambda family: family in families and family.list is not None and family.items_pointer is not None,
        "the contract has no list of members that belong to whoever made them",
    )


def converse(lane: Lane) -> Conversation:
    family = lane.subject.resource
    assert family is not None
    told = (
        family.paging is not None
        and family.paging.total_pointer is not None
        and lane.contract.auth.register is not None
    )
    # Only of somebody who made nothing yet is it known what the total has to be; nobody else is new.
    owner, other = yield from pair(lane, family, fresh=told)
    thing: Belonging = yield from belonging(lane, family, owner, other)
    outcome: Outcome = yield from _judged(lane, family, thing, counted=told)
    yield from discard(lane, family, thing.identifier, owner)
    return outcome


def _judged(lane: Lane, family: Resource, thing: Belonging, *, counted: bool) -> Move:
    owner, other = thing.owner, thing.other
    mine: Listing = yield from listing(lane, family, owner)
    if thing.identifier not in mine.ids:
        return Unproven(f"{owner.name}'s own list does not show what {owner.name} just made")
    theirs: Listing = yield from listing(lane, family, other)
    if thing.identifier in theirs.ids:
        outcome: Outcome = yield from _shown(lane, thing, theirs.request)
        return outcome
    if not theirs.whole:
        return Unproven(f"{other.name}'s list has more than {PAGES} pages, and {owner.name}'s may be on the others")
    if counted and theirs.total is not None and theirs.total > len(theirs.ids):
        return Finding(
            expected=f"a total of {len(theirs.ids)}, the members that {other.name} is shown on all pages",
            actual=f"a total of {theirs.total}: it counts what belongs to others",
            sent=f"{theirs.request.method} {theirs.request.target} as {other.name}",
            request=theirs.request,
        )
    plain_page: Request = yield from first_page(lane, family, other)
    filters = list(_filters(family, thing))
    for query in filters:
        request = plain_page.with_(query=(*(pair for pair in plain_page.query if pair[0] not in dict(query)), *query))
        response: Response = yield from send(request)
        if response.ok and thing.identifier in (ids_in(family, response) or ()):
            outcome = yield from _shown(lane, thing, request)
            return outcome
    return Kept(f"{len(theirs.ids)} of {other.name}'s own, none of {owner.name}'s; {len(filters)} filters")


def _shown(lane: Lane, thing: Belonging, request: Request) -> Move:
    """A list shows it to the other: is that an accident?"""
    answer: Response = yield from send(thing.read.as_(thing.other))
    if answer.ok and not stated(lane.contract):
        return Unproven(
            f"{request.method} {request.target} shows {thing.other.name} what {thing.owner.name} made, who may read it "
            "too: shared by design, or nobody is asked whose it is",
            lines(thing.family),
        )
    reading = (
        f"the contract does not list {thing.family.collection} under ownership.shared"
        if answer.ok
        else f"{thing.other.name} may not read it ({answer.status})"
    )
    return Finding(
        expected=f"{thing.other.name}'s own members, none of {thing.owner.name}'s",
        actual=f"200 with the member that {thing.owner.name} made; {reading}",
        sent=f"{request.method} {request.target} as {thing.other.name}",
        request=request,
    )


def _filters(family: Resource, thing: Belonging) -> Iterator[tuple[tuple[str, str], ...]]:
    """Queries that may bring in what the member's owner made."""
    assert family.list is not None
    shown = document(thing.shown)
    member = shown if isinstance(shown, dict) else {}
    token = access_token(thing.owner)
    subject = str(token.claims.get("sub", "")) if token is not None else ""
    named = next((plain(member[name]) for name in member if key(name) in OWNERS and _scalar(member[name])), "")
    owner = named or subject or thing.owner.user
    paging = family.paging
    own = {paging.size, paging.position} if paging is not None else set()
    declared = {key(p.name): p.name for p in family.list.query_parameters if p.name not in own}
    for name in OWNERS:
        if name in declared:
            yield ((declared[name], owner),)
    undeclared = tuple((name, owner) for name in ("owner_id", "user_id") if name not in declared)
    if undeclared:
        yield undeclared
    properties = {key(name): value for name, value in member.items() if _scalar(value)}
    same = [name for name in declared if name in properties and name not in OWNERS]
    yield from (((declared[name], plain(properties[name])),) for name in same[:_FILTERS])


def _scalar(value: object) -> bool:
    return isinstance(value, str | int | float) and value != ""


class _Total:
    """Pages that tell how many orders there are in all."""

    def __init__(self, of_all: bool) -> None:
        self.of_all = of_all
        self.made = 0

    def __call__(self, request: Request, response: Response) -> Response:
        if request.path == "/api/v1/orders" and response.status == 201:
            self.made += 1
        if request.path != "/api/v1/orders" or response.status != 200:
            return response
        items = response.json()["items"]
        return Response.of(200, {"items": items, "total": self.made if self.of_all else len(items)})


class _TotalOfAll(_Total):
    def __init__(self) -> None:
        super().__init__(of_all=True)


class _TotalOfOwn(_Total):
    def __init__(self) -> None:
        super().__init__(of_all=False)


def _with_total(document: dict[str, object]) -> None:
    schemas = document["components"]["schemas"]  # type: ignore[index]
    schemas["OrderPage"]["properties"]["total"] = {"type": "integer"}


class _ByOwner:
    """A filter that asks for an owner, and not for the caller."""

    def __init__(self) -> None:
        self.orders: list[object] = []

    def __call__(self, request: Request, response: Response) -> Response:
        if request.path == "/api/v1/orders" and response.status == 201:
            self.orders.append(response.json())
        by = dict(request.query).get("owner_id")
        return Response.of(200, {"items": self.orders}) if by and response.status == 200 else response


def _all_listed(shop: object) -> None:
    shop.skips.add("list")  # type: ignore[attr-defined]


CONFORMING = (
    Example("the sample shop", subject="/api/v1/orders"),
    Example("a total of one's own", alter=_TotalOfOwn, document=_with_total, subject="/api/v1/orders"),
    Example(
        "filters that are not known are refused",
        alter=lambda q, r: Response.problem(422) if "owner_id" in dict(q.query) else r,
        subject="/api/v1/orders",
    ),
)

BREACHING = (
    Example("everybody's orders", shop=_all_listed, subject="/api/v1/orders"),
    Example(
        "everybody's orders, which nobody else may read, where ownership is inferred",
        shop=_all_listed,
        policy={"ownership": {}},
        subject="/api/v1/orders",
    ),
    Example("a total of everybody's", alter=_TotalOfAll, document=_with_total, subject="/api/v1/orders"),
    Example("the owner is a filter", alter=_ByOwner, subject="/api/v1/orders"),
)
