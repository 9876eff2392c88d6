"""What is unique is made once, also when many ask at the same moment.

## What it requires

Of ten identical requests that create something unique, sent together, one is answered 2xx. The others are refused with a 4xx, 409 or 422; none
crashes.

## Why

Looking whether a name is taken, and then taking it, are two steps. Between them somebody else looks too: two accounts with one address, one
coupon used twice. Where the database notices, the crash is often what the caller gets to see.

## What it sends

Ten registrations of one new user, and ten creations of one thing with a field that is unique, each ten in one volley on connections of their
own. When several succeed, it sends another one twice, one after the other, as a control: whether it is unique at all.

## Example of a breach

Ten registrations of one e-mail address at once: three are answered 201, seven 409. Or one is answered 201, and nine 500.

## When to waive it

Never where the field identifies somebody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

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
    burst,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import Move, another, caller, crashed, describe, step_request, tidy, valid_request

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="What is unique is made once, also when many ask at the same moment",
    level=MUST,
    clause=Clause(
        "RFC 9110 §15.5.10, and CWE-362",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.10",
        "The 409 (Conflict) status code indicates that the request could not be completed due to a conflict with the current state "
        "of the target resource.",
    ),
    catalogue=("IDEM-05",),
    reads=("unique", "auth.register"),
    dear=True,
    cost=12,
    owasp="API6:2023",
    cwe=("CWE-362",),
)

TOGETHER = 10


def subjects(contract: Contract) -> Subjects:
    register = contract.auth.register
    found = [Subject(register.operation.label, operation=register.operation)] if register else []
    for family in contract.resources:
        create = family.create
        if create is None or create.label in contract.dangerous or (register and create == register.operation):
            continue
        if _unique(contract, create) and not _repeatable(create):
            found.append(Subject(create.label, operation=create, resource=family))
    return found or NotApplicable("nothing is known to be unique: no registration, and no field under unique:")


def _unique(contract: Contract, operation: Operation) -> list[str]:
    from upheld.contract.shapes import properties

    schema = operation.body.json_schema if operation.body else None
    # What is stated goes before what a documented 409 lets us guess: it may be about something else.
    names = contract.policy.unique or contract.unique_fields
    return [] if schema is None else [name for name in properties(contract.schemas, schema) if name in names]


def _repeatable(operation: Operation) -> bool:
    """It takes an Idempotency-Key, so that repeating the same request is answered the same."""
    return any("idempotency" in parameter.name.lower() for parameter in operation.parameters)


def converse(lane: Lane) -> Conversation:
    request = yield from _new(lane)
    answers = yield from burst([request] * TOGETHER)
    made = [answer for answer in answers if answer.ok]
    told = _counted(answers)
    sent = f"{TOGETHER} × {lane.operation.label} at once, all the same"
    for answer in made:
        yield from tidy(lane, lane.operation, answer, request.session)
    if made and any(crashed(answer) for answer in answers):
        return Finding(
            expected="one 2xx, and 409 or 422 for the others",
            actual=f"{told}; likely: that the name is taken is found out by the database, and nobody expects it there",
            sent=sent,
            request=request,
        )
    if not made:
        return Unproven(f"none of them succeeded: {describe(answers[0])}")
    if len(made) == 1:
        return Kept(told)
    control = another(lane, lane.operation, request)
    first: Response = yield from send(control)
    second: Response = yield from send(control)
    yield from tidy(lane, lane.operation, first, request.session)
    if not first.ok or second.ok:
        return Unproven(
            f"one after the other they are answered {first.status} and {second.status}, so it need not be unique"
        )
    return Finding(
        expected=f"one 2xx, and {second.status} for the others, as when they come one after the other",
        actual=f"{told}; likely: whether it is taken is looked up first, and not held by the database",
        sent=sent,
        request=request,
    )


def _new(lane: Lane) -> Move:
    register = lane.contract.auth.register
    if register is not None and register.operation == lane.operation:
        return step_request(lane, register, None)
    session = yield from caller(lane, lane.operation)
    return (yield from valid_request(lane, lane.operation, session))


def _counted(answers: Iterable[Response]) -> str:
    counts = Counter(answer.status for answer in answers)
    return ", ".join(f"{count} × {status}" for status, count in sorted(counts.items()))


def _looks_first(shop: Shop) -> None:
    """All that come together find the name free."""
    answer = shop._answer
    seen: list[bytes] = []

    def answered(request: Request) -> Response:
        if shop.at_once > 1 and request.path.endswith("/auth/register") and seen.count(request.body or b"") < 3:
            seen.append(request.body or b"")
            name = request.json()["email"].lower()
            shop.users.pop(name, None)
        return answer(request)

    setattr(shop, "_answer", answered)  # noqa: B010


def _crashes(shop: Shop) -> None:
    """The database refuses the second one, and nobody has thought of that."""
    answer = shop._answer

    def answered(request: Request) -> Response:
        response = answer(request)
        return Response.problem(500) if shop.at_once > 1 and response.status == 409 else response

    setattr(shop, "_answer", answered)  # noqa: B010


CONFORMING = (Example("the sample shop's registration"),)

BREACHING = (
    Example("looked up first", shop=_looks_first),
    Example("a crash for who comes second", shop=_crashes),
)
