"""Tokens that are renewed while the load lasts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.load.making import plan, pressed

from upheld.load.plan import Renewal, Secrets, Template
from upheld.load.renewal import AGAIN, Credentials, escaped

RENEWAL = Renewal(
    identity="alice",
    operation="POST /refresh",
    method="POST",
    template=Template(
        ("/refresh",), "", "alice", (("Content-Type", ("application/json",)),), ('{"t": "', "refresh", '"}')
    ),
    access="/data/access",
    refresh="/data/refresh",
    field="Authorization",
    value=("Token ", "access", ""),
    first=10.0,
    every=700.0,
)
SECRETS: Secrets = {
    "alice": {"headers": [["authorization", "Token old"], ["X-Tenant", "7"]], **escaped("refresh", 'r"1')},
    "bob": {"headers": [["Authorization", "Token his"]]},
}


def credentials(renewal: Renewal = RENEWAL) -> Credentials:
    return Credentials(plan(pressed(), renewals=(renewal,)), SECRETS)


def answer(access: Any = "new", refresh: Any = "r2") -> bytes:
    return json.dumps({"data": {"access": access, "refresh": refresh}}).encode()


def test_a_renewed_token_takes_the_place_of_the_old_one_and_nothing_else() -> None:
    known = credentials()
    method, path, headers, body = known.request(RENEWAL, "u1")
    assert (method, path, headers) == ("POST", "/refresh", {"Content-Type": "application/json"})
    assert json.loads(body or b"") == {"t": 'r"1'}
    assert known.book(RENEWAL, 200, {}, answer()) == 700.0
    assert known.headers("alice") == (("Authorization", "Token new"), ("X-Tenant", "7"))
    assert known.headers("bob") == (("Authorization", "Token his"),)
    # A refresh token that rotates: the next request carries the next one.
    assert json.loads(known.request(RENEWAL, "u2")[3] or b"") == {"t": "r2"}
    assert known.to_json() == {"asked": 2, "renewed": {"alice": 1}, "refused": {}}


def test_a_refresh_token_that_stays_is_used_again() -> None:
    known = credentials()
    known.request(RENEWAL, "u1")
    known.book(RENEWAL, 200, {}, answer(refresh=None))
    assert json.loads(known.request(RENEWAL, "u2")[3] or b"") == {"t": 'r"1'}


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_what_may_pass_is_asked_again_soon(status: int) -> None:
    known = credentials()
    assert known.book(RENEWAL, status, {}, b"") == AGAIN
    assert known.refused == {"alice": str(status or "no answer")}
    assert known.book(RENEWAL, 200, {}, answer()) == 700.0
    assert known.refused == {}


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (401, b"", "401"),
        (302, b"", "302"),
        (200, b"<html>", "200 without a token"),
        (200, answer(None), "200 without a token"),
    ],
)
def test_a_refusal_is_told_and_not_repeated(status: int, body: bytes, why: str) -> None:
    known = credentials()
    assert known.book(RENEWAL, status, {}, body) is None
    assert known.to_json()["refused"] == {"alice": why}
    assert known.headers("alice")[0] == ("authorization", "Token old")


def test_a_token_may_come_in_a_header() -> None:
    from dataclasses import replace

    renewal = replace(RENEWAL, access="header:X-Token", refresh="")
    known = credentials(renewal)
    assert known.book(renewal, 204, {"x-token": "new"}, b"") == 700.0
    assert known.headers("alice")[0] == ("Authorization", "Token new")


def test_other_generators_take_over_what_one_renewed() -> None:
    one, other = credentials(), credentials()
    one.book(RENEWAL, 200, {}, answer())
    other.take_over("alice", json.loads(json.dumps(one.of("alice"))))
    assert other.headers("alice") == one.headers("alice")
    assert other.request(RENEWAL, "u")[3] == one.request(RENEWAL, "u")[3]
