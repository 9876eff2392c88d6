"""Lines of a real run as exchanges and failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from upheld.run.fuzz import events

from .conftest import ANN

Find = Callable[[str], tuple[events.Failure, events.Sent]]


def test_every_line_becomes_an_exchange(lines: list[dict[str, Any]], told: list[events.Sent]) -> None:
    assert len(told) == sum(line["t"] == "x" for line in lines) > 30
    for sent in told:
        assert sent.exchange.phase == "fuzz"
        assert sent.exchange.source.startswith("fuzz/")
        assert 100 <= sent.exchange.response.status <= 599


def test_credentials_are_the_session_and_not_in_the_request(told: list[events.Sent]) -> None:
    with_session = [sent for sent in told if sent.exchange.request.session is ANN]
    assert with_session
    assert all("authorization" not in sent.exchange.request.headers for sent in with_session)
    assert "token-of-ann" not in "".join(str(sent) for sent in told)


def test_what_the_engine_adds_to_every_request_is_left_out(told: list[events.Sent]) -> None:
    names = {name.lower() for sent in told for name, _ in sent.exchange.request.headers.pairs}
    assert not names & {"x-schemathesis-testcaseid", "x-upheld-run", "user-agent", "content-length", "connection"}
    assert "content-type" in names


def test_intent_follows_how_the_case_was_made(lines: list[dict[str, Any]], told: list[events.Sent]) -> None:
    for line, sent in zip((line for line in lines if line["t"] == "x"), told, strict=True):
        mode = line["meta"]["mode"]
        if line["probe"] or not line["own"]:
            assert sent.exchange.intent is None
        elif mode == "positive":
            assert sent.exchange.intent == "valid"
            assert sent.exchange.broken == ""
        elif line["st"] >= 300:
            assert sent.exchange.intent == "invalid"
            assert sent.exchange.broken


def test_another_method_reaches_no_operation(told: list[events.Sent]) -> None:
    others = [sent for sent in told if not sent.is_own_method]
    assert others
    assert all(sent.exchange.operation is None for sent in others)
    assert all(sent.label for sent in others)


def _line(**changes: Any) -> dict[str, Any]:
    meta = {"mode": "negative", "scenario": "incorrect_type", "place": "QUERY", "parameter": "limit", "mutations": [], "negative": ["QUERY"]}  # fmt: skip
    line = {
        "s": "s1", "id": "c1", "phase": "coverage", "op": "GET /items", "own": True, "probe": False, "parent": None,
        "m": "GET", "u": "/items", "q": "limit=%27a%20b&limit=&x", "h": [["Accept", "text/csv"]], "b": None, "long": [False, True],
        "who": "", "st": 200, "rh": [["vary", "a"], ["vary", "b"]], "rb": "e30=", "el": 0.01, "at": 103.5, "known": True,
        "meta": meta, "failures": [],
    }  # fmt: skip
    return {**line, **changes}


def test_queries_bodies_and_repeated_fields_survive() -> None:
    sent = events.sent(_line(b="eyJhIjogMX0="), {}, 100.0)
    request, response = sent.exchange.request, sent.exchange.response
    assert request.query == (("limit", "'a b"), ("limit", ""), ("x", ""))
    assert request.body == b'{"a": 1}'
    assert request.headers["accept"] == "text/csv"
    assert response.headers.all("vary") == ("a", "b")
    assert response.truncated
    assert response.at == pytest.approx(3.5)


def test_a_broken_value_that_is_accepted_without_complaint_was_not_broken_on_the_wire() -> None:
    assert events.sent(_line(), {}, 0.0).exchange.intent is None
    complaint = [{"check": "negative_data_rejection", "code": "ST201", "data": {}}]
    assert events.sent(_line(failures=complaint), {}, 0.0).exchange.intent == "invalid"


def test_a_request_that_was_recorded_in_part_is_not_whole() -> None:
    assert events.sent(_line(), {}, 0.0).whole
    assert not events.sent(_line(long=[True, False]), {}, 0.0).whole


def test_failures_of_one_kind_have_one_key(told: list[events.Sent], by_code: Find) -> None:
    allow = {
        events.key(failure, sent)
        for sent in told
        for failure in sent.failures
        if failure.code == "ST204" and sent.label == "POST /items"
    }
    assert len(allow) == 1
    failure, sent = by_code("ST103")
    assert events.key(failure, sent) == (
        sent.label,
        "status_code_conformance",
        "ST103",
        str(sent.exchange.response.status),
    )


def test_ignored_constraints_are_told_apart() -> None:
    failure = events.Failure("negative_data_rejection", "ST201", {})
    meta = _line()["meta"]
    left = events.sent(_line(failures=[{"check": failure.check, "code": "ST201", "data": {}}]), {}, 0.0)
    other = {**meta, "parameter": "page"}
    right = events.sent(_line(meta=other, failures=[{"check": failure.check, "code": "ST201", "data": {}}]), {}, 0.0)
    assert events.key(failure, left) != events.key(failure, right)
