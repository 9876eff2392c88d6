"""What is made of the answers to wrong tokens."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from upheld.check import CannotProve, Finding, Kept, NoAnswer, Outcome, Send, Unproven
from upheld.exchange import Request, Response, Session
from upheld.steps import Good, read_token, show
from upheld.steps.tokens import forged

TOKEN = read_token(forged({"alg": "HS256"}, {"sub": "1"}, b"key"))
assert TOKEN is not None
GOOD = Good(Session("alice", "user"), TOKEN, Request("GET", "/me", operation="GET /me"))
WRONG = [("one", "a"), ("another", "b")]


def played(answers: dict[str, Response | NoAnswer], **options: Any) -> Outcome:
    """Tokens by their text, ``""`` for none, and what each is answered; everything else is refused."""
    conversation: Generator[Any, Any, Outcome] = show(GOOD, WRONG, **options)
    answer: Any = None
    try:
        while True:
            action = conversation.throw(answer) if isinstance(answer, NoAnswer) else conversation.send(answer)
            assert isinstance(action, Send)
            token = action.request.headers.get("authorization", "")[7:]
            answer = answers.get(token, Response.problem(401))
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    except CannotProve as cannot:
        return cannot.outcome


def test_every_refusal_is_one() -> None:
    assert played({"a": Response(404), "b": Response(302)}) == Kept("2 wrong tokens refused")
    assert isinstance(played({"a": NoAnswer("closed", "it closed")}), Kept)


def test_accepted_ones_are_told_by_name() -> None:
    found = played({"b": Response(204)})
    assert isinstance(found, Finding)
    assert found.actual == "204 for another"


@pytest.mark.parametrize(("status", "crash", "kind"), [(500, True, Finding), (500, False, Kept), (503, True, Kept)])
def test_a_crash_counts_where_it_is_asked_for(status: int, crash: bool, kind: type[Outcome]) -> None:
    assert isinstance(played({"a": Response(status)}, crash=crash), kind)


def test_an_operation_that_is_open_to_everybody_proves_nothing() -> None:
    outcome = played({"a": Response(200), "": Response(200)})
    assert isinstance(outcome, Unproven)
    assert "without any token" in outcome.reason


def test_silence_proves_nothing() -> None:
    assert isinstance(played({"a": NoAnswer("silent", "nothing came")}), Unproven)
