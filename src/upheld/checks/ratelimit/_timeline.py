"""What the checks that let time pass share: whom they ask, how to ask so that it counts, and when."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from upheld.check import Action, CannotProve, Lane, Subject, Subjects, Unproven, wait
from upheld.checks.ratelimit._drain import Knock, exhaust, partition, rules
from upheld.exchange import Response, Session

if TYPE_CHECKING:
    from upheld.contract import Contract

LEAST = 8
"""Quotas below this are too few requests to tell one series of answers from another."""


def each_algorithm(contract: Contract) -> Subjects:
    """For each algorithm that the contract declares, the cheapest rule that is large enough to show it."""
    found = rules(contract)
    if isinstance(found, Unproven) or not hasattr(found, "__iter__"):
        return found
    chosen: dict[str, Subject] = {}
    for subject in sorted(found, key=lambda subject: (_of(subject)[0], _of(subject)[1])):
        quota, _, algorithm = _of(subject)
        if quota >= LEAST:
            chosen.setdefault(algorithm, subject)
    return list(chosen.values()) or Unproven(f"no rule that can be exercised has a quota of {LEAST} or more")


def _of(subject: Subject) -> tuple[int, float, str]:
    rule = subject.rule
    assert rule is not None
    return rule.quota, rule.window, rule.algorithm


def fresh_key(lane: Lane) -> Generator[Action, Any, tuple[Session | None, Knock]]:
    """A key that nobody has used, and the cheapest way to ask that this limiter counts; it was learnt on another key.

    Raises `CannotProve` when no way to ask meets a 429.
    """
    session = yield from partition(lane)
    admitted, refused, how = yield from exhaust(lane, session)
    if refused is None:
        raise CannotProve(f"{len(admitted)} requests met no 429, so there is no limit to study")
    session = yield from partition(lane)
    return session, how


def began(response: Response) -> float:
    """When its request was sent, on the clock of `Response.at`."""
    return response.at - response.elapsed


def until(first: Response, last: Response, seconds: float) -> Generator[Action, Any, None]:
    """Let time pass until ``seconds`` after ``first`` was asked for; ``last`` is the latest answer."""
    yield from wait(max(0.0, began(first) + seconds - last.at))
