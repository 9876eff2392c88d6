"""How a key is used up: with requests that are cheap for the service, as long as its limiter counts those."""

from __future__ import annotations

import pytest

from upheld.check import Example, Kept, Subject
from upheld.checks import catalogue
from upheld.checks.ratelimit._drain import smallest
from upheld.rehearse import exchanges, rehearse
from upheld.sample import contract

LOGIN = "POST /auth/login 10/60s"
CHECKS = catalogue()


@pytest.mark.parametrize("name", ["ratelimit/isolation", "ratelimit/retry-after"])
def test_no_password_is_sent_where_the_limiter_counts_what_lacks_one(name: str) -> None:
    asked = [seen.request for seen in exchanges(CHECKS[name], Example("the shop", subject=LOGIN))]
    assert len(asked) > 10
    assert {request.body for request in asked} == {b"{}"}


def test_whole_requests_are_sent_where_it_does_not() -> None:
    (example,) = [e for e in CHECKS["ratelimit/isolation"].conforming if "validation" in e.says]
    asked = [seen.request for seen in exchanges(CHECKS["ratelimit/isolation"], example)]
    assert b"password" in (asked[-1].body or b"")
    assert isinstance(rehearse(CHECKS["ratelimit/isolation"], example), Kept)


def test_a_quota_is_counted_in_whole_requests() -> None:
    asked = [seen.request for seen in exchanges(CHECKS["ratelimit/quota"], Example("the shop", subject=LOGIN))]
    assert all(b"password" in (request.body or b"") for request in asked)


@pytest.mark.parametrize(
    ("target", "key"), [({}, "ip"), ({"compose": "compose.yaml"}, "user-or-ip"), ({"image": "shop"}, "user-or-ip")]
)
def test_in_a_container_a_quota_by_user_is_drained_rather_than_one_by_address(target: object, key: str) -> None:
    found = smallest(contract(Example("there", policy={"target": target})))
    assert isinstance(found, Subject)
    assert found.rule is not None
    assert found.rule.key == key
