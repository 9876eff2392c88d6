"""Sessions move by move, as the sample shop and worse services answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from upheld import sample
from upheld.check import SERVICE, Example, Lane, Outcome, Unproven
from upheld.contract.load import from_parts
from upheld.exchange import Request, Response, Session
from upheld.rehearse import Stage
from upheld.sample.document import POLICY, document
from upheld.steps import sessions

Alter = Callable[[Request, Response], Response]


def play(move: Callable[[Lane], Any], alter: Alter | None = None, lane: Lane | None = None) -> Any:
    """What the move comes to, told by the outcome of a dialogue of nothing else."""
    found: list[Any] = []

    def converse() -> Any:
        found.append((yield from move(lane or Lane(sample.contract(), SERVICE, "t"))))

    outcome: Outcome = Stage(Example("", alter=alter)).play(converse())
    return outcome if isinstance(outcome, Unproven) else found[0]


def on(path: str, *statuses: int, answer: Response) -> Alter:
    return lambda q, r: answer if q.path.endswith(path) and r.status in statuses else r


def somebody(name: str = "eve") -> Session:
    return sample.Shop().session(name)


def test_a_refresh_puts_the_new_tokens_in_the_place_of_the_old() -> None:
    def move(lane: Lane) -> Any:
        person = yield from sessions.throw_away(lane)
        return person, (yield from sessions.refreshed(lane, person))

    before, after = play(move)
    assert after.refresh not in (None, before.refresh)
    assert after.access != before.access
    assert after.headers == (("Authorization", f"Bearer {after.access}"),)
    assert (after.user, after.password) == (before.user, before.password)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Response.problem(400), "was answered with 400"),
        (Response.of(200, {"error": "expired"}), "was answered with 200"),
        (Response(200, body=b"ok"), "was answered with 200"),
    ],
)
def test_a_control_that_gives_no_tokens_proves_nothing(answer: Response, said: str) -> None:
    def move(lane: Lane) -> Any:
        return (yield from sessions.refreshed(lane, (yield from sessions.throw_away(lane))))

    outcome = play(move, on("/refresh", 200, answer=answer))
    assert said in outcome.reason


def test_without_a_refresh_token_the_line_to_add_is_told() -> None:
    outcome = play(lambda lane: sessions.refreshed(lane, replace(somebody(), refresh=None)))
    assert outcome.add == sessions.REFRESH_LINE


def test_a_crash_is_neither_of_the_two() -> None:
    def move(lane: Lane) -> Any:
        return (yield from sessions.refresh_works(lane, somebody()))

    assert play(move) is None
    assert "neither took it nor refused it" in play(move, on("/refresh", 401, answer=Response.problem(500))).reason


def test_what_lets_everybody_in_tells_nothing_of_a_session() -> None:
    def move(lane: Lane) -> Any:
        return (yield from sessions.access_works(lane, (yield from sessions.throw_away(lane))))

    assert play(move).status == 200
    outcome = play(move, on("/me", 401, answer=Response.of(200, {"id": None})))
    assert "lets in who shows no credentials too" in outcome.reason


def test_a_login_that_refuses_is_no_session() -> None:
    def move(lane: Lane) -> Any:
        person = yield from sessions.throw_away(lane)
        return (yield from sessions.signed_in_again(lane, person)), (
            yield from sessions.signed_in_again(lane, person, "not it")
        )

    again, refused = play(move)
    assert again.access
    assert refused is None


def test_nobody_who_is_declared_is_thrown_away() -> None:
    changed = document()
    paths = {path: item for path, item in changed["paths"].items() if not path.endswith("/register")}
    lane = Lane(from_parts(POLICY, {**changed, "paths": paths}), SERVICE, "t")
    assert play(sessions.throw_away, lane=lane).add == sessions.REGISTER_LINE


@pytest.mark.parametrize("password", ["Aa1-xyz", "aaaaaaaa", "abccba"])
def test_the_other_password_is_another_one_of_the_same_length(password: str) -> None:
    other = sessions.other_password(password)
    assert other != password
    assert len(other) == len(password)
