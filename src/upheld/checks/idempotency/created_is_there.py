"""What was created is there at once.

## What it requires
After a member was created with 200 or 201, reading it as the same identity is answered 2xx. (202 promises nothing for now.)

## Why
A client that is told "created" goes on to use it. If the read goes to a replica that lags, or past a transaction that is not committed yet,
its next step fails now and then, and nobody can repeat it.

## What it sends
For each kind of thing that can be created and read: one is made and read at once, on another connection, so that another worker may answer; then
it is deleted, where that is offered.

## Example of a breach
`POST /orders` is answered 201 with `"id": "7"`, and `GET /orders/7` is answered 404.

## When to waive it
Where the service is eventually consistent on purpose: better answer 202, or state the delay (`caching: {stale_after_write: 2s}`).
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
    Requirement,
    Subjects,
    send,
    wait,
)
from upheld.exchange import Request, Response
from upheld.steps import caller, describe, discard, make, member_path, resources

if TYPE_CHECKING:
    from upheld.contract import Contract, Resource

REQUIREMENT = Requirement(
    title="what was created is there at once",
    level=MUST,
    clause=Clause(
        "RFC 9110 §15.3.2",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.3.2",
        "the request has been fulfilled and has resulted in one or more new resources being created",
    ),
    catalogue=("HTTP-11",),
    reads=("caching.stale_after_write",),
    cost=3,
    engine=("ensure_resource_availability",),
)

_LONGEST_WAIT = 10.0


def subjects(contract: Contract) -> Subjects:
    def keep(family: Resource) -> bool:
        # Members of members would need the path of the one that they were made in.
        made = family.create is not None and family.create.label not in contract.dangerous
        return made and family.read is not None and family.member.count("{") == 1

    return resources(contract, keep, "nothing can be created and read")


def converse(lane: Lane) -> Conversation:
    family = lane.subject.resource
    assert family is not None
    assert family.create is not None
    assert family.read is not None
    creator = yield from caller(lane, family.create)
    identifier, made = yield from make(lane, family, creator)
    pause = lane.contract.policy.caching.stale_after_write
    if made.status not in (200, 201) or pause > _LONGEST_WAIT:
        raise CannotProve(
            f"{family.create.label} was answered with {made.status}, which does not say that it is there now"
        )
    if pause:
        yield from wait(pause)
    request = Request(
        "GET", member_path(family, identifier, family.read.path), session=creator, operation=family.read.label
    )
    answer: Response = yield from send(request, new_connection=True)
    yield from discard(lane, family, identifier, creator)
    if answer.ok or answer.status == 304:
        return Kept()
    if answer.status not in (404, 410):
        raise CannotProve(f"{family.read.label} was answered with {describe(answer)}")
    return Finding(
        sent=f"{family.create.label}, answered {made.status}, then {family.read.label}",
        expected=f"2xx with what was created ({identifier})",
        actual=describe(answer),
        origin=f"{lane.subject.label}: not there after its creation",
        request=request,
    )


_ITEMS = "/api/v1/items"
_ORDERS = "/api/v1/orders"


def _lags(request: Request, response: Response) -> Response:
    member = request.method == "GET" and request.path.startswith(f"{_ORDERS}/")
    return Response.problem(404) if member else response


def _wrong_id(request: Request, response: Response) -> Response:
    return Response.of(201, {"id": "i77", "name": "x", "quantity": 1}) if request.method == "POST" else response


CONFORMING = (
    Example("items", subject=_ITEMS),
    Example("orders", subject=_ORDERS),
    Example("a delay that the contract states", subject=_ITEMS, policy={"caching": {"stale_after_write": "2s"}}),
)
BREACHING = (
    Example("a replica that lags", subject=_ORDERS, alter=_lags),
    Example("an id that is another's", subject=_ITEMS, alter=_wrong_id),
)
