"""What looks like a way past a limit and is none, and what can't be told apart: neither is a finding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from upheld.check import Action, CannotProve, Example, Finding, Kept, Lane, Move, Unproven
from upheld.checks import catalogue
from upheld.checks.ratelimit._limiters import (
    AlignedWindow,
    FixedWindow,
    Make,
    MovingWindow,
    SlidingCounter,
    StrictMovingWindow,
    TokenBucket,
)
from upheld.checks.ratelimit._rehearsed import limited
from upheld.exchange import Request, Response
from upheld.rehearse import Stage, rehearse
from upheld.sample import Shop, contract

CHECKS = catalogue()
LOGIN = "POST /auth/login 10/60s"


def breaching(id: str, says: str) -> Example:
    return next(example for example in CHECKS[id].breaching if says in example.says)


def test_processes_with_counters_of_their_own_are_no_race() -> None:
    outcome = rehearse(CHECKS["ratelimit/parallel"], replace(breaching("ratelimit/processes", "3 c"), subject=LOGIN))
    assert isinstance(outcome, Unproven), outcome
    assert "ratelimit/processes" in outcome.reason


def test_a_race_is_no_sign_of_processes() -> None:
    race = replace(breaching("ratelimit/parallel", "read before"), subject=None)
    outcome = rehearse(CHECKS["ratelimit/processes"], race)
    assert isinstance(outcome, Unproven), outcome
    assert "ratelimit/parallel" in outcome.reason


@pytest.mark.parametrize(("keys", "likely"), [("2 c", "2 processes"), ("3 c", "3 processes"), ("1000", "connection")])
def test_the_likely_cause_follows_from_what_was_admitted(keys: str, likely: str) -> None:
    outcome = rehearse(CHECKS["ratelimit/processes"], breaching("ratelimit/processes", keys))
    assert isinstance(outcome, Finding)
    assert likely in outcome.actual


class OneAddress(Stage):
    """Towards a target where source addresses can't be chosen."""

    def answer(self, action: Action) -> Any:
        if isinstance(action, Move):
            raise CannotProve("another source address is needed")
        return super().answer(action)


@pytest.mark.parametrize("name", ["forwarded-headers", "login-attempts", "parallel", "processes", "path-variants"])
def test_where_addresses_cannot_be_chosen_nothing_is_drained(name: str) -> None:
    check = CHECKS[f"ratelimit/{name}"]
    assert check.subjects is not None
    assert check.converse is not None
    promises = contract()
    subjects = check.subjects(promises)
    assert not isinstance(subjects, Unproven)
    subject = next(iter(subjects))  # type: ignore[arg-type]
    stage = OneAddress(Example("one address"))
    outcome = stage.play(check.converse(Lane(promises, subject, "t3st")))
    assert isinstance(outcome, Unproven), outcome
    assert not [seen for seen in stage.exchanges if seen.response.status == 429]


def slow(shop: Shop, seconds: float) -> None:
    limited = shop._limited

    def waited(request: Request) -> Response | None:
        shop.now += seconds
        return limited(request)

    shop._limited = waited  # type: ignore[method-assign]


@pytest.mark.parametrize("name", ["forwarded-headers", "path-variants", "login-attempts"])
@pytest.mark.parametrize("seconds", [0.5, 2.0, 4.0])
def test_what_a_slow_service_earns_meanwhile_is_no_way_past_it(name: str, seconds: float) -> None:
    example = Example("slow", subject=LOGIN, shop=lambda shop: slow(shop, seconds))
    outcome = rehearse(CHECKS[f"ratelimit/{name}"], example)
    assert isinstance(outcome, Kept), outcome


@pytest.mark.parametrize("seconds", [0.5, 2.0, 4.0])
def test_a_slow_service_with_a_way_past_it_is_never_told_to_be_sound(seconds: float) -> None:
    trusting = breaching("ratelimit/forwarded-headers", "X-Real-IP")

    def both(shop: Shop) -> None:
        assert trusting.shop is not None
        trusting.shop(shop)
        slow(shop, seconds)

    outcome = rehearse(CHECKS["ratelimit/forwarded-headers"], Example("slow", subject=LOGIN, shop=both))
    assert isinstance(outcome, Finding | Unproven), outcome


class Window:
    """A fixed window of ten requests an address, which ends after so many requests of all."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.shop = Shop()
        self.total = 0
        self.counts: dict[str, int] = {}

    def __call__(self, request: Request) -> Response:
        if self.total % self.length == 0:
            self.counts.clear()
        self.total += 1
        count = self.counts[self.shop.address] = self.counts.get(self.shop.address, 0) + 1
        return Response.problem(429) if count > 10 else Response.problem(401)


@pytest.mark.parametrize("length", range(11, 40))
@pytest.mark.parametrize("name", ["forwarded-headers", "path-variants"])
def test_a_window_that_ends_meanwhile_is_no_way_past_it(name: str, length: int) -> None:
    window = Window(length)
    policy = {"rate_limits": [{"op": "POST /auth/login", "quota": "10/min", "key": "ip"}]}
    example = Example("a window", subject=LOGIN, service=lambda: window, policy=policy)
    stage = Stage(example)
    stage.shop = window.shop
    check = CHECKS[f"ratelimit/{name}"]
    assert check.subjects is not None
    assert check.converse is not None
    promises = contract(example)
    (subject,) = check.subjects(promises)  # type: ignore[misc]
    outcome = stage.play(check.converse(Lane(promises, subject, "t3st")))
    assert isinstance(outcome, Kept | Unproven), outcome


LIMITERS = {
    AlignedWindow: "fixed-window",
    FixedWindow: "fixed-window",
    MovingWindow: "moving-window",
    SlidingCounter: "sliding-window",
    StrictMovingWindow: "moving-window",
    TokenBucket: "token-bucket",
}


@pytest.mark.parametrize("seconds", [0.0, 0.3, 1.1, 2.7, 5.3])
@pytest.mark.parametrize("make", LIMITERS)
@pytest.mark.parametrize("name", ["forwarded-headers", "path-variants", "login-attempts", "parallel", "processes"])
def test_no_limiter_that_keeps_its_word_is_accused_however_slow_it_is(name: str, make: Make, seconds: float) -> None:
    def change(shop: Shop) -> None:
        limited(make, begins=-31.7)(shop)
        slow(shop, seconds)

    rule = {"op": "POST /auth/login", "quota": "10/min", "key": "ip"}
    for algorithm in (LIMITERS[make], "any"):  # type: ignore[index]
        policy = {"rate_limits": [rule], "rate_limit": {"algorithm": algorithm}}
        outcome = rehearse(CHECKS[f"ratelimit/{name}"], Example("slow", shop=change, policy=policy))
        assert isinstance(outcome, Kept | Unproven), (algorithm, outcome)
        if seconds < 0.2:
            assert isinstance(outcome, Kept), (algorithm, outcome)


def test_an_account_that_is_locked_is_not_told_to_be_guessed() -> None:
    def change(shop: Shop) -> None:
        answer, failed = shop._answer, []

        def locking(request: Request) -> Response:
            response = Response.problem(403) if len(failed) >= 5 and "login" in request.path else answer(request)
            if response.status == 401 and request.path.endswith("/auth/login"):
                failed.append(request)
            return response

        shop._limited = lambda request: None  # type: ignore[method-assign]
        shop._answer = locking  # type: ignore[method-assign]

    outcome = rehearse(CHECKS["ratelimit/login-attempts"], Example("locks", subject=LOGIN, shop=change))
    assert isinstance(outcome, Unproven), outcome
    assert "locked" in outcome.reason


def test_what_may_be_made_twice_is_no_race() -> None:
    """Registrations that are answered 201 whoever asks, so that nobody learns who has an account."""

    def alike(request: Request, response: Response) -> Response:
        return Response.of(201, {}) if response.status == 409 else response

    outcome = rehearse(CHECKS["idempotency/unique-race"], Example("always 201", alter=alike))
    assert isinstance(outcome, Unproven), outcome


def test_an_address_that_registers_nobody_accuses_nobody() -> None:
    example = next(e for e in CHECKS["ratelimit/refused-does-nothing"].conforming)

    def closed(request: Request, response: Response) -> Response:
        return Response.problem(403) if response.status == 201 else response

    outcome = rehearse(CHECKS["ratelimit/refused-does-nothing"], replace(example, alter=closed))
    assert isinstance(outcome, Unproven), outcome


@pytest.mark.parametrize("begins", [-30.0, -45.0, -52.0, -55.0, -57.5, -58.0, -59.5])
@pytest.mark.parametrize("seconds", [0.1, 0.5, 2.0])
def test_a_window_that_ends_meanwhile_is_no_second_quota(begins: float, seconds: float) -> None:
    make = limited(AlignedWindow, begins=begins)

    def both(shop: Shop) -> None:
        make(shop)
        slow(shop, seconds)

    for algorithm in ("fixed-window", "any"):
        line = {"op": "POST /auth/login", "quota": "10/min", "key": "ip", "algorithm": algorithm}
        example = Example("an edge", subject=LOGIN, shop=both, policy={"rate_limits": [line]})
        outcome = rehearse(CHECKS["ratelimit/quota"], example)
        assert isinstance(outcome, Kept | Unproven), outcome
