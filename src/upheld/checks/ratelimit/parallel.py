"""Requests that come together get no more than the quota.

## What it requires

Of many requests that one key sends at the same moment, on connections of their own, no more are admitted than the quota leaves. A token
bucket may admit what it earned meanwhile.

## Why

A limiter that reads its counter, compares, and writes it back in steps of its own admits everybody who reads before the first one has
written. Who guesses passwords or coupon codes sends them together for that reason.

## What it sends

Three times the quota, at most sixty requests, in one volley from a fresh key; of a large quota it first uses up all but twenty. Small
quotas get two volleys, each from another key. When too many are admitted, it asks one after the other as a control.

## Example of a breach

`POST /auth/login` promises 10 a minute; of 30 logins at once 27 are answered.

## When to waive it

Where the contract means an approximate limit, and says so.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    Action,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Requirement,
    Subjects,
)
from upheld.checks.ratelimit._crowd import admitted, counted, in_a_row, most, span, together
from upheld.checks.ratelimit._drain import Knock, partition, rules, ways
from upheld.exchange import Request, Response

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="Requests that come together get no more than the quota",
    level=MUST,
    clause=Clause(
        "The contract's rate_limits, and CWE-362",
        "https://cwe.mitre.org/data/definitions/362.html",
        "a timing window exists in which the shared resource can be modified by another code sequence operating concurrently",
    ),
    catalogue=("RATE-10",),
    reads=("rate_limits", "rate_limit.algorithm"),
    profile="shipped",
    dear=True,
    cost=60,
    quotas=1,
    owasp="API4:2023",
    cwe=("CWE-362", "CWE-367", "CWE-799"),
)

VOLLEYS = 2
LARGEST_VOLLEY = 60


def subjects(contract: Contract) -> Subjects:
    return rules(contract)


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    ask, is_counted = ways(lane)[0], False
    # A window that ends in the midst of a volley admits two quotas, but not in two volleys one after the other.
    needed = 1 if rule.algorithm == "token-bucket" else 2
    over: list[list[Response]] = []
    held: list[list[Response]] = []
    for _ in range(VOLLEYS):
        answers = yield from _volley(lane, ask)
        if not is_counted and admitted(answers) > min(most(rule, answers), len(answers) - 1):
            ask, is_counted = (yield from counted(lane)), True
            answers = yield from _volley(lane, ask)
        if most(rule, answers) >= len(answers):
            raise CannotProve(f"{len(answers)} requests at once take so long that the key may have earned that many")
        (over if admitted(answers) > most(rule, answers) else held).append(answers)
        if not over and rule.quota > LARGEST_VOLLEY // 3:
            break  # it has cost more than it may tell
    if len(over) < needed:
        return Kept(f"{', '.join(f'{admitted(a)} of {len(a)}' for a in (*held, *over))} admitted")
    answers = over[0]
    first, last = span(answers)
    return Finding(
        expected=f"at most {most(rule, answers)} of {len(answers)} admitted in {last.at - first.at + first.elapsed:.1f} s",
        actual=f"{admitted(answers)} admitted, though one after the other they are counted to {rule.quota}; "
        "likely: the counter is read and written in steps of their own",
        sent=f"{_together(rule.quota)} × {lane.operation.label} at once from a fresh key, "
        f"{len(answers) - _together(rule.quota)} before",
        request=Request(lane.operation.method, lane.operation.path, operation=lane.operation.label),
    )


def _together(quota: int) -> int:
    return min(3 * quota, LARGEST_VOLLEY)


def _volley(lane: Lane, ask: Knock) -> Generator[Action, Any, list[Response]]:
    """From a fresh key: what is left of a large quota before the volley, then the volley."""
    rule = lane.subject.rule
    assert rule is not None
    session = yield from partition(lane)
    before = yield from in_a_row(lane, session, ask, rule.quota - LARGEST_VOLLEY // 3)
    return before + (yield from together(lane, session, ask, _together(rule.quota)))


LOGIN = "POST /auth/login 10/60s"


def _read_before_written(shop: Shop) -> None:
    """Of requests that come together, none sees that another has been counted."""
    limited = shop._limited
    setattr(shop, "_limited", lambda request: limited(request) if shop.at_once == 1 else None)  # noqa: B010


CONFORMING = (
    Example("the sample shop's login", subject=LOGIN),
    Example("a large quota, keyed by user", subject="** 100/60s"),
    Example("a window, whose end may fall into a volley", subject=LOGIN, policy={"rate_limit": {"algorithm": "any"}}),
)

BREACHING = (
    Example("read before it is written", subject=LOGIN, shop=_read_before_written),
    Example("so too by user", subject="** 100/60s", shop=_read_before_written),
)
