"""Quotas in people's words, and the rules that stand for them."""

from __future__ import annotations

import pytest

from upheld.contract import Contract
from upheld.contract.load import from_parts
from upheld.run.handover.rates import read_rate, rule_for, with_rules, written


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("10/min", (10, 60.0, "ip")),
        ("10/minute", (10, 60.0, "ip")),
        ("5 requests per minute per user", (5, 60.0, "user")),
        ("100 req/15 min", (100, 900.0, "ip")),
        ("3 attempts an hour by address", (3, 3600.0, "ip")),
        ("10/s per user or ip", (10, 1.0, "user-or-ip")),
        ("60 per 1m per API key", (60, 60.0, "api_key")),
        ("1000/day", (1000, 86400.0, "ip")),
        ("a lot", None),
        ("10", None),
        ("0/min", None),
        ("10/month", None),
    ],
)
def test_what_people_write(text: str, quota: tuple[int, float, str] | None) -> None:
    assert read_rate(text, "ip") == quota


def notes(*rules: dict[str, str]) -> Contract:
    answers = {"responses": {"200": {"description": "ok"}}}
    paths = {"/notes": {"get": answers}, "/health": {"get": answers}}
    document = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths}
    return from_parts({"rate_limits": list(rules)}, document)


def test_a_claim_that_says_what_the_contract_says_is_its_rule() -> None:
    contract = notes({"op": "GET /notes", "quota": "10/min", "key": "user"})
    operation = contract.by_label["GET /notes"]
    assert rule_for(contract, operation, "10/min") is contract.rate_rules[0]
    assert rule_for(contract, operation, "lots") is None


def test_another_quota_is_a_rule_that_comes_first() -> None:
    contract = notes({"op": "**", "quota": "10/min", "key": "user"})
    operation = contract.by_label["GET /notes"]
    rule = rule_for(contract, operation, "20/min")
    assert rule is not None
    laid = with_rules(contract, [rule])
    assert laid.rate_rule(operation) is rule
    assert (rule.quota, rule.window, rule.key) == (20, 60.0, "user")
    assert laid.rate_rule(contract.by_label["GET /health"]) is contract.rate_rules[0]


def test_what_is_written_is_read_again() -> None:
    contract = notes({"op": "**", "quota": "100/15m", "key": "user-or-ip"})
    assert read_rate(written(contract.rate_rules[0]), "ip") == (100, 900.0, "user-or-ip")
    minute = notes({"op": "**", "quota": "10/min", "key": "ip"}).rate_rules[0]
    assert written(minute) == "10/min per ip"
