"""Without the store of its counters the service answers as declared, and counts again when it is back.

## What it requires

While the store of the rate limits is away, requests are admitted (`on_store_down: open`) or refused with `429` or `503` and a
problem document (`closed`): not with `500`, and not after a long wait. When the store is back, quotas hold again.

## Why

A limiter stands before every request. If it fails with its store, a small outage stops the whole service; if it waits for a
connection each time, it stops it slowly; and if it does not come back by itself, the limits stay off unnoticed.

## What it sends

After everything else in the run: a read five times, then the store is stopped by the command that `target.store` states, or as the
container that it names; the same read five times, and the store is started again. Then it uses a fresh key's quota up, until a request
is refused.

## Example of a breach

`GET /api/v1/products` was answered `200`, and is answered `500` as soon as Redis is stopped.

## When to waive it

Where the store can't be away without the service being away too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

from upheld.check import (
    SHOULD,
    Action,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NoAnswer,
    NotApplicable,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    control,
    send,
    wait,
)
from upheld.checks.ratelimit._drain import exhaust, partition, smallest
from upheld.exchange import Request, Response, Session
from upheld.steps import caller, canary, describe, plain_get, valid_request

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="Without the store of its counters the service answers as declared",
    level=SHOULD,
    clause=Clause(
        "the contract's rate_limit.on_store_down; CWE-636",
        "https://cwe.mitre.org/data/definitions/636.html",
    ),
    catalogue=("RATE-12",),
    reads=("rate_limit.on_store_down", "rate_limits", "target.store", "errors.format"),
    profile="shipped",
    alone=True,
    cost=20,
    owasp="API4:2023",
    cwe=("CWE-636",),
)

TIMES = 5
PARTS = 10
"""How often it is looked, within one window, whether the service has noticed that its store is back."""
SLOW = 1.0
"""Seconds within which an answer comes at any rate, or four times as long as with the store, if that is more."""


def subjects(contract: Contract) -> Subjects:
    if contract.policy.rate_limit.on_store_down == "any":
        return NotApplicable("the contract doesn't say what happens without the store (rate_limit.on_store_down)")
    found = smallest(contract)
    return [replace(found, label="service")] if isinstance(found, Subject) else found


def converse(lane: Lane) -> Conversation:
    operation = plain_get(lane.contract) or canary(lane.contract)
    if operation is None:
        return Unproven("there is no read that shows how requests fare without the store")
    session: Session | None = None
    if operation.secured:
        session = yield from caller(lane, operation, fresh=True)
    for part in range(PARTS + 1):
        before = yield from _asked(lane, operation, session)
        failed = [answer for answer in before if not answer.ok]
        if not failed:
            break
        if part == PARTS:
            return Unproven(f"{operation.label} was answered with {describe(failed[0])} before anything was stopped")
        # An outage that went before may not be over for the service yet.
        yield from wait(lane.subject.rule.window / PARTS if lane.subject.rule else SLOW)
    yield from control("store-down")
    try:
        during = yield from _asked(lane, operation, session)
    except NoAnswer as none:
        yield from control("store-up")
        return _finding(lane, operation, f"no answer: {none}")
    yield from control("store-up")
    bound = max(SLOW, 4 * median(answer.elapsed for answer in before))
    if wrong := [answer for answer in during if not _as_declared(lane.contract, operation, answer)]:
        return _finding(lane, operation, describe(wrong[0]))
    if (took := median(answer.elapsed for answer in during)) >= bound:
        return _finding(lane, operation, f"answered after {took:.1f} s, within {bound:.1f} s when the store was there")
    return (yield from _enforced(lane, operation))


def _asked(lane: Lane, operation: Operation, session: Session | None) -> Generator[Action, Any, list[Response]]:
    answers = []
    for _ in range(TIMES):
        request = yield from valid_request(lane, operation, session)
        answer: Response = yield from send(request)
        answers.append(answer)
    return answers


def _as_declared(contract: Contract, operation: Operation, answer: Response) -> bool:
    if contract.policy.rate_limit.on_store_down == "open":
        return answer.ok
    is_problem = answer.media_type == "application/problem+json"
    wants_problem = contract.policy.errors.format == "rfc9457" and not contract.has_own_errors(operation)
    return answer.status in (429, 503) and (is_problem or not wants_problem)


def _enforced(lane: Lane, read: Operation) -> Conversation:
    """Whether quotas hold again, within a window of the store's return."""
    rule = lane.subject.rule
    assert rule is not None
    for part in range(PARTS + 1):
        session = yield from partition(lane)
        admitted, refused, _ = yield from exhaust(lane, session)
        if refused is not None:
            policy = lane.contract.policy.rate_limit.on_store_down
            return Kept(f"{policy} without the store, and {len(admitted)} admitted and then refused when it was back")
        if part < PARTS:
            yield from wait(rule.window / PARTS)
    return Finding(
        expected=f"429 after {rule.quota} requests as soon as the store is back",
        actual=f"{len(admitted)} requests admitted, {rule.window:g} s after the store came back",
        sent=f"{lane.operation.label} until 429, after the store was stopped and started",
        request=Request(lane.operation.method, lane.operation.path, operation=lane.operation.label),
    )


def _finding(lane: Lane, operation: Operation, actual: str) -> Finding:
    is_open = lane.contract.policy.rate_limit.on_store_down == "open"
    return Finding(
        expected="2xx, as with the store, and about as fast"
        if is_open
        else "429 or 503 with a problem document, at once",
        actual=actual,
        sent=f"{TIMES} × {operation.label} while the store was stopped",
        required=f"on_store_down: {'open' if is_open else 'closed'} (contract: rate_limit)",
        request=Request(operation.method, operation.path, operation=operation.label),
    )


OPEN = {"rate_limit": {"on_store_down": "open"}}
CLOSED = {"rate_limit": {"on_store_down": "closed"}}


def _answers(status: int, problem: bool = True) -> Callable[[Shop], object]:
    """The shop with these answers while its store is away."""

    def change(shop: Shop) -> None:
        limited = shop._limited

        def without(request: Request) -> Response | None:
            if shop.has_store:
                return limited(request)
            return Response.problem(status) if problem else Response(status)

        setattr(shop, "_limited", without)  # noqa: B010

    return change


def _stays_off(shop: Shop) -> None:
    shop.done_to_it = lambda deed: setattr(shop, "has_store", shop.has_store and deed != "store-down")


CONFORMING = (
    Example("requests pass", policy=OPEN),
    Example("requests are refused", policy=CLOSED, shop=_answers(503)),
)

BREACHING = (
    Example("it breaks", policy=OPEN, shop=_answers(500)),
    Example("requests are refused that are to pass", policy=OPEN, shop=_answers(503)),
    Example("requests pass that are to be refused", policy=CLOSED),
    Example("refused without a word", policy=CLOSED, shop=_answers(503, problem=False)),
    Example("the limits stay off", policy=OPEN, shop=_stays_off),
)
