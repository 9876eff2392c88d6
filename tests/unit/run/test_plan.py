"""What a plan says that the rate limits will cost."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from upheld.check import Check
from upheld.checks import catalogue, select
from upheld.contract import Contract
from upheld.report import planned
from upheld.run.plan import NO_LOAD, Plan, plan


@pytest.fixture
def contract(shop: Callable[..., Contract]) -> Contract:
    login = {"op": "POST /auth/login", "quota": "10/min", "key": "ip"}
    return shop(rate_limits=[login, {"op": "**", "quota": "100/min"}])


@pytest.fixture
def limits() -> list[Check]:
    """One check that only drains (a quota and a request), and one that waits for one and a half windows besides."""
    quota, waits = (catalogue()[name] for name in ("ratelimit/quota", "ratelimit/retry-after"))
    return [
        replace(quota, requirement=replace(quota.requirement, cost=1, quotas=1)),
        replace(waits, requirement=replace(waits.requirement, cost=2, quotas=2, windows=1.5)),
    ]


def shown(contract: Contract, made: Plan) -> str:
    console = Console(file=io.StringIO(), width=100)
    planned.render(contract, made, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_drains_a_rule_costs_its_quota(contract: Contract, limits: list[Check]) -> None:
    made = plan(contract, limits)
    login, rest = made.limits["POST /auth/login 10/60s"], made.limits["** 100/60s"]
    assert (login.requests, login.waiting, login.quick) == (10 + 1 + 2 * 10 + 2, 90.0, 11)
    assert (rest.requests, rest.waiting, rest.quick) == (100 + 1 + 2 * 100 + 2, 90.0, 101)
    assert made.requests == sum(cost.requests for cost in made.limits.values())
    assert made.by_rule == {rule: cost.requests for rule, cost in made.limits.items()}


def test_waits_of_all_rules_overlap(contract: Contract, limits: list[Check]) -> None:
    made = plan(contract, limits)
    assert made.waiting == 90.0
    assert planned.seconds(made) == planned._took(made.requests, 90.0) + 5


def test_what_a_load_run_decides_waits_for_one(contract: Contract) -> None:
    measurements = select(["latency/p95", "latency/error-rate"]).values()
    without, with_ = plan(contract, measurements).promises, plan(contract, measurements, load=True).promises
    assert {promise.settled for promise in without} == {NO_LOAD}
    assert {promise.settled for promise in with_} == {None}
    assert "upheld load" in NO_LOAD.add


def test_a_quick_plan_drains_and_does_not_wait(contract: Contract, limits: list[Check]) -> None:
    made = plan(contract, limits, quick=True)
    assert made.waiting == 0
    assert {cost.requests for cost in made.limits.values()} == {cost.quick for cost in made.limits.values()}
    assert "with --quick" not in planned.limits(made)


def test_a_plan_says_what_the_limits_cost(contract: Contract, limits: list[Check]) -> None:
    made = plan(contract, limits)
    rules, requests = len(made.limits), made.requests
    seconds, quick = planned._took(requests, 90), planned._took(sum(cost.quick for cost in made.limits.values()), 0)
    said = f"limits: {rules} rules, about {requests} requests, {seconds} s (with --quick {quick} s)"
    assert planned.limits(made) == said
    told = shown(contract, made)
    assert said in told
    assert "33 requests   91 s  POST /auth/login 10/60s" in told
    assert planned.to_json(contract, made)["limits"]["POST /auth/login 10/60s"] == {"requests": 33, "seconds": 91}


def test_a_plan_says_that_quotas_by_address_will_be_unproven(contract: Contract, limits: list[Check]) -> None:
    made, said = plan(contract, limits), "All requests come from one address there"
    assert said not in shown(contract, made)
    assert said in shown(contract, replace(made, one_address=True))
    assert planned.to_json(contract, replace(made, one_address=True))["one_address"] is True
    without = replace(plan(contract, select(["http"]).values()), one_address=True)
    assert said not in shown(contract, without)


def test_a_rule_that_nothing_can_try_is_not_passed_over(shop: Callable[..., Contract], limits: list[Check]) -> None:
    used = shop(rate_limits=[{"op": "POST /auth/login", "quota": "10/min"}, {"op": "**", "quota": "1000/min"}])
    told = shown(used, plan(used, limits))
    assert "limits: 1 rule, about 33 requests" in told
    assert "no operation or too large a quota to try  ** 1000/60s" in told


def test_without_limits_nothing_is_said_of_them(contract: Contract) -> None:
    made = plan(contract, select(["http"]).values())
    assert made.limits == {}
    assert "limits:" not in shown(contract, made)
    assert planned.to_json(contract, made)["limits"] == {}
