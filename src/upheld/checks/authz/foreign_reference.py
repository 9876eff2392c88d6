"""What belongs to somebody else cannot be reached through its children, nor named in a request.

## What it requires

The owner is asked for wherever an id arrives: in the path above a child (`/orders/{id}/notes`), in a query parameter (`?order_id=`), and
in a body (`{"order_id": …}`). Who does not own the thing gets nothing of it, and attaches nothing to it.

## Why

`GET /orders/{id}` is guarded. `GET /orders/{id}/notes` looks for notes, and `POST /returns` for a valid body: both take an order's id
and forget that it is one.

## What it sends

One identity makes a member, with a child where there are children. Another of the same role asks for what is below it, adds something
below it, or names it in a request that is right otherwise. The controls: the owner is shown it, and the other's own id is taken.

Any 4xx is a refusal here, and so is a list without the owner's things. A breach is told only where the other may not read the thing itself
(that would be authz/foreign-read's to tell), and where an id that names nothing is answered differently.

## Example of a breach

Bob's `POST /returns` with `{"order_id": "…"}` of Alice's order is answered `201`.

## When to waive it

Where references to foreign things are meant, such as reviews: list their collection under `ownership: {shared: […]}` instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Kept,
    Lane,
    Outcome,
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.checks.authz._owners import (
    Belonging,
    above,
    belonging,
    owned,
    pair,
    shared_by_design,
    stranger,
)
from upheld.checks.authz._told import judged_read, told
from upheld.contract.links import body_links
from upheld.contract.words import key, singular
from upheld.exchange import Request, Response
from upheld.steps import Move, describe, discard, operations, tidy, valid_request, with_valid_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from upheld.contract import Contract, Operation, Resource
    from upheld.exchange import Session

REQUIREMENT = Requirement(
    title="What belongs to somebody else is not reached through its children, nor named in a request",
    level=MUST,
    clause=Clause(
        "OWASP API1:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa1-broken-object-level-authorization/",
        "Every API endpoint that receives an ID of an object, and performs any action on the object, should implement "
        "object-level authorization checks.",
    ),
    catalogue=("AUTHZ-03",),
    reads=("identities", "ownership"),
    cost=10,
    owasp="API1:2023",
    cwe=("CWE-639", "CWE-285"),
)


def subjects(contract: Contract) -> Subjects:
    creates = {family.create for family in contract.resources}

    def keep(op: Operation) -> bool:
        if op.secured and _below(contract, op) is not None:
            return op.method == "GET" or op in creates
        return op.secured and (_query(contract, op) is not None or bool(_body(contract, op)))

    return operations(
        contract, keep, "no operation takes the id of something that belongs to somebody, besides its own"
    )


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    parent = _below(lane.contract, operation)
    if parent is not None:
        owner, other = yield from pair(lane, parent)
        outcome: Outcome = yield from _beneath(lane, parent, owner, other)
        return outcome
    named = _query(lane.contract, operation)
    if named is not None:
        name, family = named
        owner, other = yield from pair(lane, family)
        thing: Belonging = yield from belonging(lane, family, owner, other)
        request: Request = yield from valid_request(lane, operation, owner)
        shared: Unproven | None = yield from shared_by_design(lane, family, thing.read, other, even_if_stated=True)
        outcome = shared or (yield from judged_read(lane, _asking(request, name), thing.identifier, other))
        yield from discard(lane, family, thing.identifier, owner)
        return outcome
    outcome = yield from _named(lane, *next(iter(_body(lane.contract, operation).items())))
    return outcome


# -- below somebody's member ---------------------------------------------------------------------------------------------


def _below(contract: Contract, operation: Operation) -> Resource | None:
    family = above(contract, operation)
    return family if family is not None and operation.path.rstrip("/") != family.member.rstrip("/") else None


def _beneath(lane: Lane, parent: Resource, owner: Session, other: Session) -> Move:
    request: Request = yield from valid_request(lane, lane.operation, owner)
    identifier = _id_in(parent, request)
    assert parent.read is not None
    read = Request("GET", _above(parent, request), session=owner, operation=parent.read.label)
    outcome: Outcome | None = yield from shared_by_design(lane, parent, read, other, even_if_stated=True)
    if outcome is None:
        judge = _read_below if lane.operation.safe else _added_below
        outcome = yield from judge(lane, parent, request, owner, other)
    yield from discard(lane, parent, identifier, owner)
    return outcome


def _read_below(lane: Lane, parent: Resource, request: Request, owner: Session, other: Session) -> Move:
    children = lane.contract.resource_of(lane.operation)
    if children is not None and children.list == lane.operation and children.create is not None:
        plain = Request("POST", request.path, session=owner, operation=children.create.label)
        yield from send(with_valid_body(lane, plain, children.create))

    def at(wanted: str) -> Request:
        return request.with_(path=_at(parent, request, wanted))

    outcome = yield from judged_read(lane, at, _id_in(parent, request), other)
    return outcome


def _added_below(lane: Lane, parent: Resource, request: Request, owner: Session, other: Session) -> Move:
    control: Response = yield from send(request)
    if not control.ok:
        raise CannotProve(f"the control request {lane.operation.label} was answered with {describe(control)}")
    foreign = with_valid_body(lane, request, lane.operation).as_(other)
    answer: Response = yield from send(foreign)
    outcome: Outcome = Kept(f"{answer.status} for {other.name}, {control.status} for {owner.name}")
    if answer.ok:
        nowhere = foreign.with_(path=_at(parent, request, stranger(lane, _id_in(parent, request))))
        nothing: Response = yield from send(nowhere)
        outcome = told(lane, foreign, answer, nothing, f"below what belongs to {owner.name}")
    elif answer.status >= 500:
        raise CannotProve(f"{lane.operation.label} as {other.name} was answered with {describe(answer)}")
    return outcome


def _above(parent: Resource, request: Request) -> str:
    """The path of the parent that the request names."""
    return "/".join(request.path.split("/")[: parent.member.rstrip("/").count("/") + 1])


def _id_in(parent: Resource, request: Request) -> str:
    return request.path.split("/")[parent.member.rstrip("/").count("/")]


def _at(parent: Resource, request: Request, identifier: str) -> str:
    segments = request.path.split("/")
    segments[parent.member.rstrip("/").count("/")] = identifier
    return "/".join(segments)


# -- named in a request --------------------------------------------------------------------------------------------------


def _query(contract: Contract, operation: Operation) -> tuple[str, Resource] | None:
    """A query parameter of a GET that names a member of an owned family, and the family."""
    families = {f"{singular(key(family.name))}_id": family for family in owned(contract)}
    found = ((p.name, families[key(p.name)]) for p in operation.query_parameters if key(p.name) in families)
    return next(found, None) if operation.method == "GET" else None


def _asking(request: Request, name: str) -> Any:
    others = tuple(pair for pair in request.query if pair[0] != name)
    return lambda wanted: request.with_(query=(*others, (name, wanted)))


def _body(contract: Contract, operation: Operation) -> Mapping[str, Resource]:
    families = owned(contract)
    takes = operation.method in ("POST", "PUT", "PATCH")
    return {n: f for n, f in body_links(contract, operation).items() if f in families} if takes else {}


def _named(lane: Lane, name: str, family: Resource) -> Move:
    operation = lane.operation
    owner, other = yield from pair(lane, family)
    allowed = lane.contract.roles(operation)
    if allowed is not None and other.role not in allowed:
        raise CannotProve(f"{operation.label} may not be called by those who own {family.collection}")
    thing: Belonging = yield from belonging(lane, family, owner, other)
    lane.known.pop(name, None)
    control: Request = yield from valid_request(lane, operation, other)
    taken: Response = yield from send(control)
    if not taken.ok:
        raise CannotProve(f"the control request {operation.label} was answered with {describe(taken)}")
    foreign = _naming(lane, control, name, thing.identifier)
    answer: Response = yield from send(foreign)
    outcome: Outcome = Kept(
        f"{answer.status} for what belongs to {owner.name}, {taken.status} for what is {other.name}'s"
    )
    if answer.ok:
        shared: Unproven | None = yield from shared_by_design(lane, family, thing.read, other, even_if_stated=True)
        nothing: Response = yield from send(_naming(lane, control, name, stranger(lane, thing.identifier)))
        outcome = shared or told(lane, foreign, answer, nothing, f"whose {name} belongs to {owner.name}")
    elif answer.status >= 500:
        raise CannotProve(f"{operation.label} as {other.name} was answered with {describe(answer)}")
    for made in (taken, answer):
        yield from tidy(lane, operation, made, other)
    yield from discard(lane, family, thing.identifier, owner)
    return outcome


def _naming(lane: Lane, request: Request, name: str, identifier: str) -> Request:
    number = identifier.isascii() and identifier.isdecimal()
    lane.known[name] = int(identifier) if number else identifier
    named = with_valid_body(lane, request, lane.operation)
    if identifier.encode() not in (named.body or b""):
        raise CannotProve(f"no valid body of {lane.operation.label} was found that names a {name}")
    return named


_NOTES = "/api/v1/orders/{order_id}/notes"


def _parents_alone(shop: Any) -> None:
    shop.skips.add("parent")


CONFORMING = (
    Example("children that are listed", subject=f"GET {_NOTES}"),
    Example("children that are made", subject=f"POST {_NOTES}"),
    Example("a child", subject=f"GET {_NOTES}/{{note_id}}"),
    Example("an order named in a body", subject="POST /api/v1/returns"),
    Example(
        "an empty list of what is not the caller's",
        alter=lambda q, r: Response.of(200, {"items": []}) if q.path.endswith("/notes") and r.status == 404 else r,
        subject=f"GET {_NOTES}",
    ),
)

BREACHING = (
    Example("children are listed for anybody", shop=_parents_alone, subject=f"GET {_NOTES}"),
    Example("children are made by anybody", shop=_parents_alone, subject=f"POST {_NOTES}"),
    Example("a child is shown to anybody", shop=_parents_alone, subject=f"GET {_NOTES}/{{note_id}}"),
    Example(
        "anybody's order may be named",
        shop=lambda shop: shop.skips.add("reference"),
        subject="POST /api/v1/returns",
    ),
)
