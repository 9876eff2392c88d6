"""A change touches the operations that it speaks of, and all of them where it speaks of none."""

from __future__ import annotations

from typing import Any

import pytest

from upheld.contract.load import from_parts
from upheld.contract.touched import Touched, touched

from .conftest import answer, document, operation

A, B, ID = "GET /a", "POST /b", "GET /c/{id}"
POLICY: dict[str, Any] = {
    "rate_limits": [{"op": "POST /b", "quota": "10/min", "key": "ip"}, {"op": "**", "quota": "100/min", "key": "ip"}],
    "identities": {"admin": {"role": "admin", "token_env": "ADMIN"}},
    "latency": {"crud": "200ms"},
}


def paths() -> dict[str, Any]:
    return {"/a": {"get": operation()}, "/b": {"post": operation()}, "/c/{id}": {"get": operation()}}


def change(policy: dict[str, Any] | None = None, after: dict[str, Any] | None = None) -> Touched:
    one = from_parts(POLICY, document(paths()))
    return touched(one, from_parts({**POLICY, **(policy or {})}, document(after or paths())))


def test_nothing_differs_in_other_words() -> None:
    renamed = paths()
    renamed["/c/{name}"] = renamed.pop("/c/{id}")
    renamed["/a"]["get"]["summary"] = "said otherwise"
    found = change(
        {"target": {"url": "http://127.0.0.1:1"}, "fuzz": {"seed": 1}, "checks": {"fail_on": "MAY"}}, renamed
    )
    assert not found


def test_an_operation_that_differs_or_is_new() -> None:
    after = paths()
    after["/a"]["get"]["responses"] = answer({"type": "string"})
    after["/new"] = {"get": operation()}
    del after["/b"]
    assert change({"rate_limits": POLICY["rate_limits"][1:]}, after) == Touched(frozenset({A, "GET /new"}))
    renamed = paths()
    renamed["/c/{name}"] = renamed.pop("/c/{id}")
    renamed["/c/{name}"]["get"]["responses"] = answer({"type": "string"})
    assert change(after=renamed).operations == {"GET /c/{name}"}


@pytest.mark.parametrize(
    ("policy", "labels"),
    [
        ({"roles": [{"op": "GET /a", "allow": ["admin"]}]}, {A}),
        ({"never": ["POST /b"]}, {B}),
        ({"latency": {"crud": "200ms", "ops": {"GET /c/*": "1s"}}}, {ID}),
        ({"latency": {"crud": "300ms"}}, {A, B, ID}),
        ({"caching": {"routes": {"GET /a": "60s"}}}, {A}),
        ({"caching": {"etag": ["GET /c/*"]}}, {ID}),
    ],
)
def test_lines_that_name_operations(policy: dict[str, Any], labels: set[str]) -> None:
    assert change(policy) == Touched(frozenset(labels))


def test_a_rate_rule_is_itself_touched() -> None:
    tighter = [{"op": "POST /b", "quota": "5/min", "key": "ip"}, POLICY["rate_limits"][1]]
    found = change({"rate_limits": tighter})
    assert found.operations == {B}
    assert [rule.quota for rule in found.rules] == [5]


@pytest.mark.parametrize(
    "policy", [{"errors": {"format": "any"}}, {"caching": {"stale_after_write": "0s"}}, {"cors": {}}]
)
def test_what_holds_for_all_touches_all(policy: dict[str, Any]) -> None:
    (key,) = policy
    assert change(policy).everything == key
