"""How the driver takes answers that ask for patience."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.contract.conftest import contract, operation

from upheld.exchange import Request, Response
from upheld.run.addresses import Addresses
from upheld.run.budget import Budget
from upheld.run.drive import Driver
from upheld.run.watch import Watch


class Scripted:
    """Answers with these statuses in turn, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.sent = 0

    async def send(self, request: Request, *, address: str | None, new_connection: bool = False) -> Response:
        self.sent += 1
        return Response(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])

    async def close(self) -> None:
        pass

    async def raw(self, action: Any, *, address: str | None) -> Any:
        raise NotImplementedError


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []

    async def nap(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", nap)
    return taken


def asked(statuses: tuple[int, ...], times: int) -> tuple[list[int], int]:
    made = contract({"/items": {"get": operation()}})
    transport = Scripted(*statuses)
    # No loopback address: the driver has to wait, it can't move on.
    addresses = Addresses("https://api.example.test", 1)
    driver = Driver(made, transport, addresses, Budget(100, 60), Watch(made, ()), token="t", quota=None)

    async def ask() -> list[int]:
        request = Request("GET", "/items", operation="GET /items")
        return [(await driver.send_from(request, None)).status for _ in range(times)]

    return asyncio.run(ask()), transport.sent


def test_an_operation_that_is_switched_off_is_waited_for_once(naps: list[float]) -> None:
    assert asked((503,), 3) == ([503, 503, 503], 5)
    assert len(naps) == 2


def test_one_that_came_back_is_waited_for_again(naps: list[float]) -> None:
    assert asked((503, 503, 503, 200, 503, 200), 3) == ([503, 200, 200], 6)


def test_a_limit_is_waited_out(naps: list[float]) -> None:
    assert asked((429, 429, 200), 1) == ([200], 3)
