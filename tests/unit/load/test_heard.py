"""What generators kept becomes exchanges."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from upheld.exchange import Session
from upheld.load.heard import heard, under_load
from upheld.load.kept import BODY, Exchange, text


def kept(**changes: Any) -> Exchange:
    values: dict[str, Any] = {
        "operation": "POST /a", "identity": "alice", "method": "POST", "path": "/a?x=1&y=a%26b", "headers": {"X-A": "b"},
        "body": None, "status": 500, "answer_headers": (("Set-Cookie", "a"), ("Set-Cookie", "b")), "answer_body": "", "due": 2.5,
        "latency_ms": 30.0,
    }  # fmt: skip
    return Exchange(**{**values, **changes})


@given(st.binary(max_size=50), st.none() | st.binary(max_size=50))
def test_octets_survive_the_journey(answer: bytes, body: bytes | None) -> None:
    item = kept(answer_body=text(answer), body=None if body is None else text(body))
    (exchange,) = heard([json.loads(json.dumps(asdict(item)))], [])
    assert (exchange.response.body, exchange.request.body) == (answer, body)


def test_an_exchange_is_what_an_observer_sees() -> None:
    session = Session("alice", "user")
    (exchange,) = heard([asdict(kept())], [session])
    assert exchange.request.session is session
    assert exchange.request.query == (("x", "1"), ("y", "a&b"))
    assert exchange.operation == "POST /a"
    assert exchange.response.headers.all("set-cookie") == ("a", "b")
    assert (exchange.response.elapsed, exchange.response.at, exchange.response.truncated) == (0.03, 2.5, False)
    assert under_load(exchange)


def test_a_body_that_was_cut_says_so() -> None:
    (exchange,) = heard([asdict(kept(answer_body="x" * BODY))], [])
    assert exchange.response.truncated
