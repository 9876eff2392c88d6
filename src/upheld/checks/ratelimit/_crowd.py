"""Requests of one key that come on connections of their own, together or one after the other."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from upheld.check import Action, CannotProve, Lane, burst, send
from upheld.checks.ratelimit._drain import Knock, ceiling, partition, ways
from upheld.exchange import Response, Session

if TYPE_CHECKING:
    from upheld.contract import RateRule

Answers = Generator[Action, Any, list[Response]]


def in_a_row(lane: Lane, session: Session | None, ask: Knock, count: int) -> Answers:
    """One after the other on the lane's own connection."""
    answers = []
    for _ in range(count):
        response: Response = yield from send((yield from ask(lane, session)))
        answers.append(response)
    return answers


def apart(lane: Lane, session: Session | None, ask: Knock, count: int) -> Answers:
    """One after the other, each on a new connection."""
    answers = []
    for _ in range(count):
        response: Response = yield from send((yield from ask(lane, session)), new_connection=True)
        answers.append(response)
    return answers


def together(lane: Lane, session: Session | None, ask: Knock, count: int) -> Answers:
    """At once, each on a connection of its own."""
    requests = []
    for _ in range(count):
        requests.append((yield from ask(lane, session)))
    return (yield from burst(requests))


def admitted(answers: list[Response]) -> int:
    return sum(answer.status != 429 for answer in answers)


def span(answers: list[Response]) -> tuple[Response, Response]:
    """The first that was sent and the last that was answered."""
    return min(answers, key=lambda a: a.at - a.elapsed), max(answers, key=lambda a: a.at)


def most(rule: RateRule, answers: list[Response]) -> int:
    """How many of them the rule may admit. Raises `CannotProve` when they took so long that a window begins to forget them."""
    first, last = span(answers)
    if rule.algorithm != "token-bucket" and last.at - first.at + first.elapsed > rule.window / 2:
        raise CannotProve(f"{len(answers)} requests take longer than half a window")
    return ceiling(rule, [first, last])


def counted(lane: Lane) -> Generator[Action, Any, Knock]:
    """The control: how to ask so that a fresh key is counted down to 429 by requests one after the other, on new connections.

    Raises `CannotProve` where nothing is refused, or where that many are admitted even so.
    """
    rule = lane.subject.rule
    assert rule is not None
    session = yield from partition(lane)
    before = 0
    for ask in ways(lane):
        answers: list[Response] = []
        while not answers or admitted(answers) <= ceiling(rule, answers) + 1:
            answers += yield from apart(lane, session, ask, 1)
            if answers[-1].status == 429:
                if before and len(answers) <= rule.quota:
                    break  # what came before was counted as well, and there was too much of it
                return ask
        before += admitted(answers)
    raise CannotProve(
        f"{before} requests one after the other, each on a new connection, are not kept to {rule.quota} either: "
        "ratelimit/quota and ratelimit/processes say more"
    )
