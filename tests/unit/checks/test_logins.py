"""Logins that cannot be judged accuse nobody, and nobody who is declared is locked out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from upheld.check import Example, Kept, Unproven
from upheld.checks import catalogue
from upheld.exchange import Request, Response
from upheld.rehearse import exchanges, rehearse

CHECKS = catalogue()


class Locks:
    """Four failed logins of one user, and whatever follows is 403."""

    def __init__(self) -> None:
        self.failed = 0

    def __call__(self, request: Request, response: Response) -> Response:
        self.failed += b'"n' not in (request.body or b"")
        return Response.problem(403) if self.failed > 4 and b'"n' not in (request.body or b"") else response


class Scattered:
    """Known users take longer by 100 ms on the whole, and as much longer or shorter from one login to the next."""

    def __init__(self) -> None:
        self.pairs = {True: 0, False: 0}

    def __call__(self, request: Request, response: Response) -> Response:
        known = b'"n' not in (request.body or b"")
        self.pairs[known] += 1
        return replace(response, elapsed=0.5 + 0.1 * known + 0.15 * (self.pairs[known] % 3))


def _nobody_registers(document: dict[str, Any]) -> None:
    del document["paths"]["/api/v1/auth/register"]


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (Example("it locks", alter=Locks), "it locks"),
        (Example("it scatters", alter=Scattered), "scatter too much"),
        (Example("nobody can be registered", document=_nobody_registers), "nobody can be registered"),
    ],
)
def test_times_that_tell_nothing(example: Example, reason: str) -> None:
    outcome = rehearse(CHECKS["auth/login-time"], example)
    assert isinstance(outcome, Unproven), outcome
    assert reason in outcome.reason


def test_six_pairs_are_enough_where_they_decide() -> None:
    logins = [seen.request for seen in exchanges(CHECKS["auth/login-time"], Example("the sample shop"))]
    assert len(logins) == 2 + 12


def test_a_declared_identity_is_never_tried_with_a_default_password() -> None:
    policy = {"identities": {"admin": {"user": "admin@example.com", "password_env": "SHOP_ADMIN_PASSWORD"}, "a": {}}}
    example = Example("an administrator of that name", policy=policy)
    bodies = [seen.request.json() for seen in exchanges(CHECKS["auth/default-accounts"], example)]
    assert "admin@example.com" not in [body["email"] for body in bodies]
    assert isinstance(rehearse(CHECKS["auth/default-accounts"], example), Kept)


@pytest.mark.parametrize("name", ["auth/default-accounts", "auth/login-injection"])
def test_a_login_that_lets_everybody_in_is_not_judged(name: str) -> None:
    tokens = {"access_token": "a", "refresh_token": "b"}
    outcome = rehearse(CHECKS[name], Example("a stub", alter=lambda q, r: Response.of(200, tokens)))
    assert isinstance(outcome, Unproven), outcome
