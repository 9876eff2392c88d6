"""What is done to a case before it is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from upheld.run.fuzz.steering import Steering, at, pointed

Make = Callable[..., Steering]


def steering(**changes: Any) -> Steering:
    job: dict[str, Any] = {
        "token": "t1",
        "unique": {"POST /items": [{"path": "/sku", "kind": "text", "min": 3, "max": 40}]},
        "keys": {"POST /items": {"path": "Idempotency-Key", "kind": "text", "min": 8, "max": 12, "pattern": None}},
        "paths": {
            "GET /items/{id}": {"id": ["/items/{id}", "integer"]},
            "DELETE /items/{id}": {"id": ["/items/{id}", "integer"]},
            "GET /users/{name}": {"name": ["/users/{name}", "string"]},
        },
        "bodies": {"POST /orders": [["/item_id", "/items/{id}"], ["/lines/*/item_id", "/items/{id}"]]},
        "makers": {"POST /items": ["/items/{id}", "/id"]},
        "lists": {"GET /items": ["/items/{id}", "/items", "/id"]},
        "known": {},
        "login": {
            "label": "POST /login",
            "fields": {"/user": "$user", "/password": "$password"},
            "refresh": "/refresh_token",
        },
        "refresh": {"label": "POST /refresh", "fields": {"/token": "$refresh"}, "refresh": "/refresh_token"},
        "protected": ["ann", "17"],
        "danger": [["DELETE", "/users/me"]],
    }
    return Steering({**job, **changes})


def test_unique_fields_differ_from_case_to_case() -> None:
    steer = steering()
    bodies = [
        steer.body("POST /items", {"sku": "abc", "name": "x"}, positive=True, is_boundary=False) for _ in range(20)
    ]
    assert len({body["sku"] for body in bodies}) == 20
    assert {body["name"] for body in bodies} == {"x"}


def test_negative_cases_get_fresh_values_too_but_not_in_the_broken_part() -> None:
    steer = steering()
    broken_elsewhere = {"sku": "abc", "name": 5}
    assert steer.body("POST /items", broken_elsewhere, positive=False, is_boundary=False)["sku"] != "abc"
    for broken in ({"sku": "ab"}, {"sku": None}, {"sku": "x" * 41}, {}, {"sku": ["abc"]}):
        assert steer.body("POST /items", broken, positive=False, is_boundary=False) is broken


def test_other_operations_are_left_alone() -> None:
    body = {"sku": "abc"}
    assert steering().body("POST /other", body, positive=True, is_boundary=False) is body


def test_a_key_that_makes_a_request_the_same_again_differs_from_case_to_case() -> None:
    steer = steering()
    made = [
        steer.headers("POST /items", {"idempotency-key": "demo-key", "Accept": "text/csv"})["idempotency-key"]
        for _ in range(20)
    ]
    assert len(set(made)) == 20
    assert all(8 <= len(value) <= 12 for value in made)


def test_a_key_that_is_what_the_case_broke_stays() -> None:
    steer = steering()
    for broken in ("short", "x" * 13, "", None):
        assert steer.headers("POST /items", {"Idempotency-Key": broken}) == {}
    assert steer.headers("POST /items", {"Accept": "text/csv"}) == {}
    assert steer.headers("POST /other", {"Idempotency-Key": "demo-key"}) == {}


def test_ids_that_answers_show_are_used_in_paths() -> None:
    steer = steering()
    steer.learn("POST /items", "POST", 201, {}, lambda: {"id": 41}, "")
    steer.learn("GET /items", "GET", 200, {}, lambda: {"items": [{"id": 42}, {"id": 43}]}, "")
    chosen = [steer.path("GET /items/{id}", "GET", {"id": 999}, may_choose=True).get("id", 999) for _ in range(9)]
    assert set(chosen) == {41, 42, 43, 999}
    assert chosen.count(999) == 3
    assert all(isinstance(value, int) for value in chosen)
    assert steer.path("GET /items/{id}", "GET", {"id": 999}, may_choose=False) == {}
    assert steer.is_known("GET /items/{id}", {"id": 41})
    assert not steer.is_known("GET /items/{id}", {"id": 999})
    assert steer.is_known("GET /health", {})


def test_ids_come_from_location_too_and_leave_with_a_deletion() -> None:
    steer = steering()
    steer.learn("POST /items", "POST", 201, {}, lambda: None, "http://host/items/7?x=1")
    assert steer.is_known("GET /items/{id}", {"id": 7})
    steer.learn("DELETE /items/{id}", "DELETE", 404, {"id": 7}, lambda: None, "")
    assert steer.is_known("GET /items/{id}", {"id": 7})
    steer.learn("DELETE /items/{id}", "DELETE", 204, {"id": 7}, lambda: None, "")
    assert not steer.is_known("GET /items/{id}", {"id": 7})


def test_the_last_members_are_not_deleted() -> None:
    steer = steering(known={"/items/{id}": ["1", "2"]})
    assert all(steer.path("DELETE /items/{id}", "DELETE", {"id": 9}, may_choose=True) == {} for _ in range(6))


def test_known_ids_of_the_parent_have_the_type_of_the_parameter() -> None:
    steer = steering(known={"/items/{id}": ["1", "2", "3"], "/users/{name}": ["bea"]})
    numbers = {steer.path("GET /items/{id}", "GET", {"id": 9}, may_choose=True).get("id") for _ in range(9)}
    assert numbers <= {None, 1, 2, 3}
    names = {steer.path("GET /users/{name}", "GET", {"name": "zz"}, may_choose=True).get("name") for _ in range(9)}
    assert names == {None, "bea"}


def test_bodies_refer_to_what_exists() -> None:
    steer = steering(known={"/items/{id}": [5]})
    bodies = [
        steer.body("POST /orders", {"item_id": 1, "lines": [{"item_id": 2}, {}]}, positive=True, is_boundary=False)
        for _ in range(6)
    ]
    assert {body["item_id"] for body in bodies} <= {1, 5}
    assert any(body["item_id"] == 5 for body in bodies)
    assert steer.names_only_known("POST /orders", {"item_id": 5, "lines": [{"item_id": 5}]})
    assert not steer.names_only_known("POST /orders", {"item_id": 5, "lines": [{"item_id": 6}]})
    assert steer.names_only_known("POST /items", {"anything": 1})


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST", "PATCH"])
def test_no_unsafe_request_names_our_own_accounts(method: str) -> None:
    steer = steering()
    for values in ({"id": 17}, {"id": "17"}, {"name": "ann"}):
        changed = steer.path("any", method, values, may_choose=False)
        assert changed
        assert not set(map(str, changed.values())) & {"17", "ann"}
        assert all(type(changed[name]) is type(values[name]) for name in changed)
    body = steer.unprotected(method, {"user": "ann", "n": 17, "other": "bea"})
    assert body["other"] == "bea"
    assert body["user"] != "ann"
    assert body["n"] != 17


def test_safe_requests_may_name_them() -> None:
    steer = steering()
    assert steer.path("any", "GET", {"name": "ann"}, may_choose=False) == {}
    body = {"user": "ann"}
    assert steer.unprotected("GET", body) is body


def test_protected_ids_are_never_learnt() -> None:
    steer = steering()
    steer.learn("POST /items", "POST", 201, {}, lambda: {"id": 17}, "")
    assert not steer.known.get("/items/{id}")


def test_a_dangerous_operation_is_not_reached_through_another_template() -> None:
    steer = steering()
    assert steer.is_dangerous("DELETE /users/{id}", "DELETE", "/users/me")
    assert not steer.is_dangerous("DELETE /users/{id}", "DELETE", "/users/8")
    assert not steer.is_dangerous("GET /users/{id}", "GET", "/users/me")
    assert steer.elsewhere({"id": "me"}) != {"id": "me"}


def test_a_login_gets_credentials_that_work_a_few_times() -> None:
    steer = steering()
    body = {"user": "x", "password": "y", "remember": True}
    assert steer.session("POST /login", body) is body
    steer.credentials = {"$user": "ann", "$password": "secret"}
    filled = [steer.session("POST /login", body) for _ in range(9)]
    assert filled[:5] == [{"user": "ann", "password": "secret", "remember": True}] * 5
    assert filled[5:] == [body] * 4
    assert steer.session("POST /other", body) is body


def test_a_renewal_gets_the_token_of_such_a_login_once() -> None:
    steer = steering()
    body = {"token": "x"}
    assert steer.session("POST /refresh", body) is body
    steer.learn("POST /login", "POST", 200, {}, lambda: {"refresh_token": "r1"}, "")
    assert steer.session("POST /refresh", body) == {"token": "r1"}
    assert steer.session("POST /refresh", body) is body
    steer.learn("POST /refresh", "POST", 200, {}, lambda: {"refresh_token": "r2"}, "")
    assert steer.session("POST /refresh", body) == {"token": "r2"}


def test_pointers() -> None:
    assert list(pointed({"a": [{"b/c": 1}]}, "/a/0/b~1c")) == [1]
    assert list(pointed({"a": 1}, "/b")) == []
    assert list(pointed([1], "")) == [[1]]
    value = {"a": [{"b": 1}, {"c": 2}]}
    changed = at(value, ["a", "*", "b"], lambda x: x + 1)
    assert changed == {"a": [{"b": 2}, {"c": 2}]}
    assert value == {"a": [{"b": 1}, {"c": 2}]}
    assert at(value, ["x", "y"], lambda x: 0) is value
