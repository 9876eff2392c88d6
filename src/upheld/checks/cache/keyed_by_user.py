"""A cache keeps users apart.

## What it requires

What one user was shown under a URL is not shown to another user, nor to nobody, under the same URL.

## Why

A cache whose key forgets the user shows everybody the first visitor's account. In tests there is one user, and all is well.

## What it sends

One user asks several times, so that every cache is warm; then another user of the same role asks for the same URL, and then
somebody without credentials.

## Example of a breach

Bob's `GET /users/me`, a second after Alice's, is answered with Alice's profile.

## When to waive it

Where the answer is the same for every user by design: list the operation under `ownership: {shared: […]}`.
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
    NotApplicable,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    send,
    sign_in,
)
from upheld.exchange import Request, Response
from upheld.steps import describe, discard, make, member_path

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="A cache keeps users apart",
    level=MUST,
    clause=Clause(
        "OWASP ASVS 5.0, 14.2.2",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x23-V14-Data-Protection.md",
        "Verify that the application prevents sensitive data from being cached in server components.",
    ),
    catalogue=("CACHE-08",),
    reads=("identities", "ownership.shared"),
    cost=10,
    owasp="API1:2023",
    cwe=("CWE-524", "CWE-639"),
)

_WARM = 3


def subjects(contract: Contract) -> Subjects:
    found = [Subject(op.label, operation=op) for op in contract.operations if _about_me(contract, op)]
    for family in contract.resources:
        listed = family.list
        if family.owned and family.create and listed and "{" not in family.collection and not _shared(contract, listed):
            found.append(Subject(listed.label, operation=listed, resource=family))
    return found or NotApplicable("the contract has no operation whose answer depends on who asks")


def _about_me(contract: Contract, operation: Operation) -> bool:
    last = operation.path.rstrip("/").rsplit("/", 1)[-1]
    return (
        operation.method == "GET"
        and last in ("me", "self", "profile", "whoami")
        and not contract.is_public(operation)
        and not _shared(contract, operation)
    )


def _shared(contract: Contract, operation: Operation) -> bool:
    return any(contract.matches(pattern, operation) for pattern in contract.policy.ownership.shared)


def converse(lane: Lane) -> Conversation:
    operation, family = lane.operation, lane.subject.resource
    allowed = lane.contract.roles(operation)
    first = yield from sign_in(allowed[0] if allowed else None)
    second = yield from sign_in(allowed[0] if allowed else None)
    mark = first.user
    if family is not None:
        mark, _ = yield from make(lane, family, first)
    request = Request("GET", operation.path, operation=operation.label)
    answer: Response | None = None
    for _ in range(_WARM):
        answer = yield from send(request.as_(first), new_connection=True)
    assert answer is not None
    if not answer.ok:
        raise CannotProve(f"{operation.label} was answered with {describe(answer)}")
    if family is None and (not mark or mark.encode() not in answer.body):
        # Somebody else may have asked before us: then both are shown a third user's answer.
        other: Response = yield from send(request.as_(second), new_connection=True)
        if other.ok and other.body == answer.body:
            return Finding(
                expected=f"{first.name}'s own answer for {first.name}, {second.name}'s for {second.name}",
                actual=f"{other.status}: both were shown the same, {describe(other)}",
                sent=f"{operation.label} as {first.name}, then as {second.name}",
                request=request.as_(second),
            )
    if not mark or mark.encode() not in answer.body:
        what = "what the user made is not on its first page" if family else "the answer does not name the user"
        return Unproven(f"{what}, so a mix-up could not be told")
    if family is not None and family.read is not None:
        # Nobody has asked for the member yet, so no cache answers: who may read it there may see it in the list.
        path = member_path(family, mark, family.read.path)
        shown: Response = yield from send(Request("GET", path, session=second, operation=family.read.label))
        if shown.ok:
            yield from discard(lane, family, mark, first)
            line = f"ownership: {{shared: [{family.collection.rstrip('/')}/**]}}"
            return Unproven(
                f"{second.name} may read what {first.name} made, so its list does not depend on who asks", line
            )
    leaked = ""
    for asker, who in ((second, second.name), (None, "somebody without credentials")):
        response: Response = yield from send(request.as_(asker), new_connection=True)
        if response.ok and mark.encode() in response.body:
            leaked = f"{response.status}: {who} was shown what belongs to {first.name}"
            break
    if family is not None:
        yield from discard(lane, family, mark, first)
    if leaked:
        return Finding(
            expected=f"{second.name}'s own answer, and 401 without credentials",
            actual=leaked,
            sent=f"{_WARM} × {operation.label} as {first.name}, then the same as {second.name} and without credentials",
            request=request.as_(second),
        )
    return Kept("another user has an answer of its own, and nobody has none")


class _KeyedByPath:
    """A cache of the sample shop that forgets who asks."""

    def __init__(self) -> None:
        self.kept: dict[str, Response] = {}

    def __call__(self, request: Request, response: Response) -> Response:
        if request.method == "GET" and request.path in self.kept:
            return self.kept[request.path]
        if request.method == "GET" and response.ok:
            self.kept[request.path] = response
        return response


CONFORMING = (
    Example("the sample shop's profile", subject="GET /api/v1/users/me"),
    Example("the sample shop's orders", subject="GET /api/v1/orders"),
)

BREACHING = (
    Example("the profile of whoever asked first", subject="GET /api/v1/users/me", alter=_KeyedByPath),
    Example(
        "a third user's profile for everybody",
        subject="GET /api/v1/users/me",
        alter=lambda q, r: Response.of(200, {"id": "z", "email": "z@example.test", "role": "user"}) if r.ok else r,
    ),
    Example("the orders of whoever asked first", subject="GET /api/v1/orders", alter=_KeyedByPath),
)
