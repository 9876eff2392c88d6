"""Requests, seconds and source addresses of one run."""

from __future__ import annotations

import asyncio
import ipaddress
import time

import pytest

from upheld.run.addresses import Addresses, loopback
from upheld.run.budget import Budget, BudgetSpent


def test_requests_are_counted_and_end() -> None:
    budget = Budget(2, 60)
    budget.take()
    budget.take()
    assert not budget.refused
    with pytest.raises(BudgetSpent, match="2 requests"):
        budget.take()
    assert budget.sent == 2
    assert "2 requests" in budget.refused


def test_seconds_end() -> None:
    budget = Budget(9, 0.01)
    time.sleep(0.02)
    assert budget.left == 0
    with pytest.raises(BudgetSpent, match=r"0\.01 s"):
        budget.take()


def test_a_wait_that_does_not_fit_is_refused_and_ends_nothing() -> None:
    budget = Budget(9, 10)
    with pytest.raises(BudgetSpent, match="60 s does not fit"):
        budget.allow(60)
    budget.allow(1)
    budget.take()
    assert not budget.refused


def test_what_is_going_on_is_broken_off() -> None:
    async def work() -> None:
        budget = Budget(9, 0.05)
        with pytest.raises(BudgetSpent):
            async with budget.within():
                await asyncio.sleep(5)
        assert budget.refused

    began = time.monotonic()
    asyncio.run(work())
    assert time.monotonic() - began < 2


def test_a_time_out_of_somebody_else_passes() -> None:
    async def work() -> None:
        with pytest.raises(TimeoutError):
            async with Budget(9, 60).within():
                await asyncio.wait_for(asyncio.sleep(5), 0.01)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("url", "free"),
    [
        ("http://127.0.0.1:80", True),
        ("http://127.3.4.5", True),
        ("http://localhost", True),
        ("http://[::1]:80", False),
        ("http://10.0.0.1", False),
        ("http://shop.test", False),
        ("nonsense", False),
    ],
)
def test_where_addresses_can_be_chosen(url: str, free: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert loopback(url) is free
    monkeypatch.setattr("sys.platform", "darwin")
    assert loopback(url) is False


def test_addresses_are_loopback_and_never_twice() -> None:
    addresses = Addresses("http://127.0.0.1:80", 7)
    if not addresses.available:
        pytest.skip("addresses can't be chosen here")
    given = [addresses.fresh() for _ in range(1000)]
    assert len(set(given)) == 1000
    assert all(ipaddress.IPv4Address(address).is_loopback for address in given if address)
    assert not any(address.endswith((".0", ".255")) for address in given if address)
    assert Addresses("http://10.0.0.1", 7).fresh() is None
    forwarded = Addresses("http://127.0.0.1:80", 7, seen=False)
    assert forwarded.fresh() is None
    assert "sees one address, whoever calls" in forwarded.why_none
    assert forwarded.line.startswith("target: {start:")
