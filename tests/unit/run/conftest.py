"""What the tests of a run share: a contract, a driver over a transport of answers, checks made for the occasion."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.live.apps.notes import document

from upheld.check import Check, RawAnswer
from upheld.checks import catalogue
from upheld.contract import Contract
from upheld.contract.load import from_parts
from upheld.exchange import Request, Response
from upheld.run.addresses import Addresses
from upheld.run.budget import Budget
from upheld.run.drive import Driver
from upheld.run.watch import Watch

POLICY: dict[str, Any] = {
    "auth": {
        "register": {"op": "POST /auth/register", "body": {"email": "$user", "password": "$password"}},
        "login": {
            "op": "POST /auth/login",
            "body": {"email": "$user", "password": "$password"},
            "access": "/access_token",
        },
    }
}


class Answers:
    """A `Transport` without sockets: ``answer`` is called with each request."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self.answer = answer
        self.sent: list[tuple[Request, str | None, bool]] = []

    @property
    def counts(self) -> Counter[str]:
        return Counter(request.operation or request.path for request, _, _ in self.sent)

    async def send(self, request: Request, *, address: str | None, new_connection: bool = False) -> Response:
        self.sent.append((request, address, new_connection))
        await asyncio.sleep(0)
        return self.answer(request)

    async def raw(self, action: Any, *, address: str | None) -> RawAnswer:
        return RawAnswer((self.answer(action.request),), False)

    async def close(self) -> None:
        pass


@pytest.fixture
def contract() -> Contract:
    return from_parts(POLICY, document())


@pytest.fixture
def shop() -> Callable[..., Contract]:
    """A contract with further keys of upheld.yaml."""
    return lambda **keys: from_parts({**POLICY, **keys}, document())


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody sleeps; what would have been slept is listed."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def nap(seconds: float, *_: Any) -> None:
        if seconds:
            slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr("upheld.run.drive.asyncio.sleep", nap)
    return slept


@pytest.fixture
def drive(contract: Contract) -> Callable[..., tuple[Driver, Answers]]:
    """A driver of a target that answers as told."""

    def make(
        answer: Callable[[Request], Response],
        *,
        on: Contract | None = None,
        url: str = "http://service.test",
        budget: Budget | None = None,
        **rest: Any,
    ) -> tuple[Driver, Answers]:
        transport, used = Answers(answer), on or contract
        rest = {"token": "t1", "quota": None, "environment": {}, **rest}
        driver = Driver(
            used,
            transport,
            Addresses(url, 1),
            budget or Budget(1000, 60),
            Watch(used, rest.pop("observers", [])),
            **rest,
        )
        return driver, transport

    return make


@pytest.fixture
def dialogue() -> Callable[..., Check]:
    """A check whose dialogue is this generator function."""

    def make(converse: Any, *, id: str = "http/allow", profile: str = "raised") -> Check:
        check = catalogue()[id]
        requirement = replace(check.requirement, profile=profile)
        return replace(check, requirement=requirement, converse=converse, observe=None)

    return make
