"""Plays a check's examples without a server: the sample shop answers, and time is virtual.

Dialogues see here exactly what the driver would send them, so an example is a unit test of the check that holds it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from upheld.check import (
    SERVICE,
    Action,
    Burst,
    CannotProve,
    Check,
    Control,
    Example,
    Kept,
    Lane,
    Move,
    NotApplicable,
    Outcome,
    Raw,
    RawAnswer,
    Secret,
    Send,
    SignIn,
    Spread,
    SpreadAnswer,
    Subject,
    Unproven,
    Wait,
)
from upheld.errors import CheckIncomplete
from upheld.exchange import Exchange, Headers, Request, Response, Session
from upheld.sample import ENVIRONMENT, Shop, contract


def rehearse(check: Check, example: Example) -> Outcome | None:
    """The outcome of one example; None when an observer says that the exchange is none of its business."""
    promises = contract(example)
    if check.observe is not None:
        assert example.exchange is not None
        return check.observe(example.exchange, promises)
    if check.measure is not None:
        assert example.load is not None
        told = {measured.subject.label: measured.outcome for measured in check.measure(example.load, promises)}
        return next(iter(told.values())) if example.subject is None else told[example.subject]
    assert check.converse is not None
    assert check.subjects is not None
    subjects = check.subjects(promises)
    if isinstance(subjects, Unproven | NotApplicable):
        return subjects
    subject = _pick(list(subjects), example, check)
    return Stage(example).play(check.converse(Lane(promises, subject, "t3st")))


def exchanges(check: Check, example: Example) -> list[Exchange]:
    """What the observers would have seen of this dialogue's example."""
    stage = Stage(example)
    promises = contract(example)
    assert check.converse is not None
    assert check.subjects is not None
    subjects = check.subjects(promises)
    if not isinstance(subjects, Unproven | NotApplicable):
        stage.play(check.converse(Lane(promises, _pick(list(subjects), example, check), "t3st")))
    return stage.exchanges


def _pick(subjects: list[Subject], example: Example, check: Check) -> Subject:
    if example.subject is None and subjects:
        return subjects[0]
    for subject in subjects:
        if subject.label == example.subject:
            return subject
    labels = [subject.label for subject in subjects] or [SERVICE.label]
    raise CheckIncomplete(f"{check.id}: example {example.says!r} names no subject; there are {labels}")


class Stage:
    """Answers a dialogue's actions from the example's service."""

    def __init__(self, example: Example) -> None:
        self.example = example
        self.shop = Shop()
        if example.shop is not None:
            example.shop(self.shop)
        self.service = example.service() if example.service else self.shop
        self.alter = example.alter() if isinstance(example.alter, type) else example.alter
        self.exchanges: list[Exchange] = []
        self._people = 0
        self._moves = 0
        self._connections = 0

    def play(self, conversation: Generator[Action, Any, Outcome]) -> Outcome:
        """Run the dialogue to its end."""
        answer: Any = None
        try:
            action = next(conversation)
            while True:
                try:
                    answer = self.answer(action)
                except CannotProve as cannot:
                    action = conversation.throw(cannot)
                else:
                    action = conversation.send(answer)
        except StopIteration as end:
            return end.value if end.value is not None else Kept()
        except CannotProve as cannot:
            return cannot.outcome

    def answer(self, action: Action) -> Any:
        match action:
            case Send(request, new_connection):
                return self.connected(request) if new_connection else self.exchange(request)
            case Burst(requests):
                self.shop.at_once = len(requests)
                answers = [self.connected(request) for request in requests]
                self.shop.at_once = 1
                return answers
            case Spread(timed):
                return SpreadAnswer(tuple(self.connected(request) for _, request in timed))
            case Raw(data=data, request=request):
                parsed = parse_raw(data)
                if request is not None and parsed is not None:
                    parsed = parsed.with_(operation=request.operation, session=request.session)
                if parsed is None:
                    return RawAnswer((Response.problem(400),), closed=True)
                return RawAnswer((self.exchange(parsed),), closed=True)
            case Wait(seconds):
                self.shop.now += seconds
                return None
            case SignIn(role, fresh):
                return self.person(role, fresh)
            case Secret(variable):
                return ENVIRONMENT.get(variable)
            case Control(deed):
                self.shop.done_to_it(deed)
                return None
            case Move():
                self._moves += 1
                self.shop.address = f"127.0.0.{3 + self._moves}"
                return None

    def exchange(self, request: Request) -> Response:
        response = self.service(request)
        if self.alter is not None:
            response = self.alter(request, response)
        self.exchanges.append(Exchange(request, response, source="example"))
        return response

    def connected(self, request: Request) -> Response:
        """One exchange on a connection of its own."""
        self._connections += 1
        self.shop.connection = self._connections
        try:
            return self.exchange(request)
        finally:
            self.shop.connection = 0

    def person(self, role: str | None, fresh: bool) -> Session:
        self._people += 1
        names = ("alice", "bob", "carol", "dave")
        name = names[(self._people - 1) % 4] if role != "admin" else "admin"
        return self.shop.session(f"{name}{self._people}" if fresh else name, role or "user")


def parse_raw(data: bytes) -> Request | None:
    """Read octets as a request, leniently; None when they are none."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    parts = line.split(" ")
    if len(parts) != 3:
        return None
    path, _, query = parts[1].partition("?")
    from urllib.parse import parse_qsl

    pairs = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    return Request(parts[0], path, tuple(parse_qsl(query)), Headers(pairs), body or None)
