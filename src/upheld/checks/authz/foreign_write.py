"""Nobody changes or deletes what belongs to somebody else.

## What it requires

An operation that changes a member, deletes it, or does something with it (`POST /orders/{id}/cancel`) is refused to everybody but the
one whom the member belongs to, with 404, or with 403 where the contract says so. A refusal changes nothing.

## Why

Reading is guarded first, because everybody sees it. The handlers of `PUT`, `DELETE` and small actions are written later, look the
member up by its id, and nobody asks whose it is.

## What it sends

One identity makes a member. Another of the same role sends a valid request to change it; then its owner reads it again. Last, the
owner sends the same request, which has to be carried out: only then does the refusal mean something.

Where upheld.yaml states no ownership and the other may read the member as well, it seems to be everybody's: unproven. A 2xx alone
accuses nobody either: some services answer `DELETE` with 204 whatever is named. It is a breach when the member is changed
afterwards, or when an id that names nothing is refused where the foreign one is not.

## Example of a breach

Bob's `DELETE /orders/{id of Alice's order}` is answered `204`, and Alice's order is gone.

## When to waive it

Where everybody may edit everything, such as a wiki: list the collection under `ownership: {shared: […]}` instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.checks.authz._owners import (
    GONE,
    above,
    differing,
    document,
    pair,
    promised,
    shared_by_design,
    state,
    statuses,
    stranger,
)
from upheld.exchange import Request, Response, Session
from upheld.steps import Move, describe, discard, operations, valid_request
from upheld.steps.values import plain

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource

REQUIREMENT = Requirement(
    title="Nobody changes or deletes what belongs to somebody else",
    level=MUST,
    clause=Clause(
        "OWASP API1:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa1-broken-object-level-authorization/",
        "Object level authorization checks should be considered in every function that accesses a data source using an ID "
        "from the user.",
    ),
    catalogue=("AUTHZ-02",),
    reads=("identities", "ownership", "volatile"),
    cost=9,
    owasp="API1:2023",
    cwe=("CWE-639", "CWE-285"),
)


def subjects(contract: Contract) -> Subjects:
    creates = {family.create for family in contract.resources}
    return operations(
        contract,
        lambda op: not op.safe and op not in creates and above(contract, op) is not None,
        "the contract has no operation that changes a member which belongs to whoever made it",
    )


@dataclass(frozen=True, slots=True)
class _Aim:
    """The owner's request that changes a member, and the one that shows the member."""

    request: Request
    read: Request
    before: Mapping[str, str]
    moving: frozenset[str]
    """Properties that change while nobody touches them."""


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    family = above(lane.contract, operation)
    assert family is not None
    owner, other = yield from pair(lane, family)
    aim = yield from _aim(lane, operation, family, owner)
    unproven: Unproven | None = yield from shared_by_design(lane, family, aim.read, other)
    if unproven is not None:
        return unproven
    foreign = aim.request.as_(other)
    answer: Response = yield from send(foreign)
    seen: Response = yield from send(aim.read)
    after = state(lane.contract, seen)
    changed = differing(aim.before, after) - aim.moving
    sent = f"{aim.read.operation} as {owner.name}, {operation.label} as {other.name}, the first again"
    expected = f"{_refusals(lane.contract)}, and {owner.name}'s member as it was"
    if answer.ok and changed:
        what = "it is gone" if after is GONE else f"{', '.join(sorted(changed))} changed"
        return Finding(
            expected=expected, actual=f"{answer.status}, and {what} for {owner.name}", sent=sent, request=foreign
        )
    if answer.ok and (missing := (yield from _missing(lane, foreign, aim.read))) is not None:
        return Finding(
            expected=expected,
            actual=f"{answer.status}, where an id that names nothing is answered with {missing.status}",
            sent=sent,
            request=foreign,
        )
    if not answer.ok and _done(aim, after):
        return Finding(
            expected=expected,
            actual=f"{answer.status}, but it was carried out all the same: {owner.name} "
            + ("finds it gone" if after is GONE else "reads what was sent"),
            sent=sent,
            request=foreign,
        )
    if answer.status >= 500:
        raise CannotProve(f"{operation.label} as {other.name} was answered with {describe(answer)}")
    own: Response = yield from send(aim.request)
    if operation.method != "DELETE":
        yield from discard(lane, family, aim.read.path.rsplit("/", 1)[-1], owner)
    if not own.ok:
        raise CannotProve(f"{operation.label} is refused to its owner too, with {describe(own)}")
    if (
        promised(lane.contract)
        and answer.status in (401, 403, 404, 410)
        and answer.status not in statuses(lane.contract)
    ):
        return Finding(
            expected=_refusals(lane.contract),
            actual=f"{answer.status} for somebody else's member",
            sent=f"{operation.label} as {other.name}",
            required=promised(lane.contract),
            request=foreign,
        )
    if answer.ok and operation.method != "DELETE":
        return Unproven(f"{operation.label} is answered with {answer.status} whatever is named; nothing was changed")
    return Kept(f"{answer.status} for {other.name}, {own.status} for {owner.name}")


def _aim(lane: Lane, operation: Operation, family: Resource, owner: Session) -> Move:
    request: Request = yield from valid_request(lane, operation, owner)
    assert family.read is not None
    depth = family.member.rstrip("/").count("/") + 1
    path = "/".join(request.path.split("/")[:depth])
    read = Request("GET", path, session=owner, operation=family.read.label)
    first: Response = yield from send(read)
    before = state(lane.contract, first)
    if before is None or before is GONE:
        raise CannotProve(f"its owner can't read it: {family.read.label} was answered with {describe(first)}")
    second: Response = yield from send(read)
    request = _different(lane, operation, request, before)
    return _Aim(request, read, before, differing(before, state(lane.contract, second)))


def _different(lane: Lane, operation: Operation, request: Request, before: Mapping[str, str]) -> Request:
    """The request with another text or number in it, where it says what is there already and so would change nothing."""
    body = document(request)
    schema = operation.body.json_schema if operation.body is not None else None
    if schema is None or not isinstance(body, dict) or any(before.get(n) != plain(v) for n, v in body.items()):
        return request
    validator = lane.contract.validator(schema, "request")
    for name, value in body.items():
        other = lane.unique("w") if isinstance(value, str) else value + 1 if type(value) is int else None
        if other is not None and validator.is_valid({**body, name: other}):
            changed = request.with_json({**body, name: other})
            return changed.with_headers(content_type=request.headers.get("content-type"))
    return request


def _done(aim: _Aim, after: Mapping[str, str] | None) -> bool:
    """What was asked for is there now and was not before. Other changes may have had other causes."""
    if after is None:
        return False
    if after is GONE:
        return aim.request.method == "DELETE"
    body = document(aim.request)
    wanted = {name: plain(value) for name, value in body.items()} if isinstance(body, dict) else {}
    return any(after.get(name) == value != aim.before.get(name) for name, value in wanted.items())


def _missing(lane: Lane, foreign: Request, read: Request) -> Move:
    """How the same request is refused where its id names nothing; None when it is not."""
    identifier = read.path.rsplit("/", 1)[-1]
    path = read.path.removesuffix(identifier) + stranger(lane, identifier) + foreign.path.removeprefix(read.path)
    answer: Response = yield from send(foreign.with_(path=path))
    return answer if answer.status in (403, 404, 410) else None


def _refusals(contract: Contract) -> str:
    return " or ".join(map(str, statuses(contract)))


_PUT, _DELETE = "PUT /api/v1/orders/{order_id}", "DELETE /api/v1/orders/{order_id}"


def _late(request: Request, response: Response) -> Response:
    by_another = request.session is not None and request.session.name == "bob"
    return Response.problem(404) if by_another and response.ok else response


def _whatever(request: Request, response: Response) -> Response:
    return Response.of(204) if request.method == "DELETE" and response.status == 404 else response


CONFORMING = (
    Example("the sample shop, PUT", subject=_PUT),
    Example("the sample shop, DELETE", subject=_DELETE),
    Example("either refusal where the contract leaves it open", policy={"ownership": {"foreign": "any"}}),
    Example("204 whatever is named, and nothing is deleted", alter=_whatever, subject=_DELETE),
    Example(
        "its own words for what is not the caller's",
        alter=lambda q, r: Response.problem(422) if q.method == "PUT" and r.status == 404 else r,
        subject=_PUT,
    ),
)

BREACHING = (
    Example("anybody replaces", shop=lambda shop: shop.skips.add("owner"), subject=_PUT),
    Example("anybody deletes", shop=lambda shop: shop.skips.add("owner"), subject=_DELETE),
    Example("refused after the deed", shop=lambda shop: shop.skips.add("owner"), alter=_late, subject=_DELETE),
    Example(
        "403 where the contract promises 404",
        alter=lambda q, r: Response.problem(403) if q.method == "PUT" and r.status == 404 else r,
        subject=_PUT,
    ),
)
