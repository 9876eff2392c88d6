"""Nobody reads what belongs to somebody else.

## What it requires

A member that one identity made is not shown to another identity of the same role: 404, or 403 where the contract says so.

## Why

Ids travel in links, logs and screenshots, and many can be guessed. Object level authorization is the first entry of OWASP's list
because it is missing so often: the token is checked, the owner is not.

## What it sends

One identity makes a member and reads it, as the control. Another identity of the same role lists the collection, then asks for
that member.

## Example of a breach

Bob's `GET /orders/{id of Alice's order}` is answered `200` with Alice's order.

## When to waive it

Where the members are shared by design: list the collection under `ownership: {shared: […]}` instead.
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
    Unproven,
    send,
    sign_in,
)
from upheld.exchange import Request, Response
from upheld.steps import describe, discard, make, member_path, resources

if TYPE_CHECKING:
    from upheld.contract import Contract, Resource

REQUIREMENT = Requirement(
    title="Nobody reads what belongs to somebody else",
    level=MUST,
    clause=Clause(
        "OWASP API1:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa1-broken-object-level-authorization/",
        "Object level authorization checks should be considered in every function that accesses a data source using an ID "
        "from the user.",
    ),
    catalogue=("AUTHZ-01",),
    reads=("identities", "ownership"),
    cost=6,
    owasp="API1:2023",
    cwe=("CWE-639", "CWE-285"),
)


def subjects(contract: Contract) -> Subjects:
    def shared(family: Resource) -> bool:
        listed = family.list or family.read
        return listed is not None and any(contract.matches(p, listed) for p in contract.policy.ownership.shared)

    return resources(
        contract,
        lambda f: f.owned and f.create is not None and f.read is not None and "{" not in f.collection and not shared(f),
        "the contract has no members that belong to whoever made them",
    )


def converse(lane: Lane) -> Conversation:
    family = lane.subject.resource
    assert family is not None
    assert family.create is not None
    assert family.read is not None
    allowed = lane.contract.roles(family.create)
    role = allowed[0] if allowed else None
    owner = yield from sign_in(role)
    other = yield from sign_in(role)
    identifier: str
    identifier, _ = yield from make(lane, family, owner)
    path = member_path(family, identifier)
    request = Request("GET", path, session=owner, operation=family.read.label)
    control: Response = yield from send(request)
    if not control.ok:
        raise CannotProve(f"its owner can't read it either: {family.read.label} was answered with {describe(control)}")
    if family.list is not None:
        page = yield from send(Request("GET", family.collection, session=other, operation=family.list.label))
        if page.ok and identifier in page.text:
            yield from discard(lane, family, identifier, owner)
            return Unproven(
                f"{family.list.label} shows everybody's members to everybody, so they seem to be shared by design",
                f"ownership: {{shared: [{family.collection}]}}",
            )
    foreign = yield from send(request.as_(other))
    yield from discard(lane, family, identifier, owner)
    expected = _expected(lane.contract)
    if foreign.ok:
        return Finding(
            expected=" or ".join(map(str, expected)),
            actual=f"{foreign.status}: {other.name} read what {owner.name} made",
            sent=f"{family.create.label} as {owner.name}, then {family.read.label} as {other.name}",
            request=request.as_(other),
        )
    if foreign.status not in expected and foreign.status in (401, 403, 404, 410):
        return Finding(
            expected=" or ".join(map(str, expected)),
            actual=f"{foreign.status} for somebody else's member",
            sent=f"{family.read.label} as {other.name}",
            required=f"the contract says ownership: {{foreign: {lane.contract.policy.ownership.foreign}}}",
            request=request.as_(other),
        )
    return Kept(f"{foreign.status} for {other.name}")


def _expected(contract: Contract) -> tuple[int, ...]:
    foreign = contract.policy.ownership.foreign
    return (int(foreign),) if foreign in (403, 404, "403", "404") else (403, 404)


def _all_see(request: Request, response: Response) -> Response:
    mine = request.path.startswith("/api/v1/orders/") and response.status == 404 and request.session is not None
    return Response.of(200, {"id": request.path.rsplit("/", 1)[1], "note": "a", "owner_id": "x"}) if mine else response


CONFORMING = (
    Example("the sample shop"),
    Example("either refusal where the contract leaves it open", policy={"ownership": {"foreign": "any"}}),
)

BREACHING = (
    Example("the owner is not asked for", alter=_all_see),
    Example(
        "403 where the contract promises 404",
        alter=lambda q, r: Response.problem(403) if r.status == 404 and q.path.startswith("/api/v1/orders/") else r,
    ),
)
