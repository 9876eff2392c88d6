"""What the engine's process writes down, from objects shaped like the engine's."""

from __future__ import annotations

from types import SimpleNamespace as Like
from typing import Any

from upheld.run.fuzz import record

CREDENTIALS = {"user": [["Authorization", "Bearer secret"]], "admin": [["X-Key", "k1"], ["Cookie", "s=1"]]}


def interaction(headers: dict[str, list[str]], body: bytes | None = None, answer: bytes = b"{}") -> Any:
    request = Like(uri="http://h:1/items/a%2Fb?x=1&y", method="POST", body=body, headers=headers)
    response = Like(status_code=200, headers={"vary": ["a", "b"]}, content=answer, body_size=len(answer), elapsed=0.1)
    return Like(request=request, response=response, timestamp=5.0)


def node(parent: str | None = None, transition: Any = None) -> Any:
    case = Like(operation=Like(label="POST /items/{id}", method="post"), meta=None)
    return Like(value=case, parent_id=parent, transition=transition)


def test_an_exchange_is_plain_values() -> None:
    line = record.exchange(node(), interaction({"Accept": ["*/*"]}, b"abc"), CREDENTIALS, 100)
    assert (line["u"], line["q"]) == ("/items/a%2Fb", "x=1&y")
    assert (line["own"], line["probe"], line["who"], line["meta"]) == (True, False, "", None)
    assert line["b"] == "YWJj"
    assert line["rh"] == [["vary", "a"], ["vary", "b"]]
    assert line["long"] == (False, False)


def test_credentials_are_named_and_never_told() -> None:
    line = record.exchange(node(), interaction({"authorization": ["Bearer secret"], "A": ["b"]}), CREDENTIALS, 100)
    assert (line["who"], line["h"]) == ("user", [["A", "b"]])
    line = record.exchange(node(), interaction({"X-Key": ["k1"], "Cookie": ["s=1"]}), CREDENTIALS, 100)
    assert (line["who"], line["h"]) == ("admin", [])
    line = record.exchange(node(), interaction({"Authorization": ["Bearer forged"]}), CREDENTIALS, 100)
    assert (line["who"], line["h"]) == ("", [["Authorization", "Bearer forged"]])


def test_bodies_are_bounded() -> None:
    line = record.exchange(node(), interaction({}, b"x" * 50, b"y" * 5), {}, 10)
    assert len(line["b"]) == 16
    assert line["long"] == (True, False)


def test_a_case_that_a_check_made_is_a_probe() -> None:
    assert record.exchange(node("c1"), interaction({}), {}, 10)["probe"]
    assert not record.exchange(node("c1", Like(id="link")), interaction({}), {}, 10)["probe"]


class Base:
    __slots__ = ("case_id", "message", "operation", "title")


class Schema(Base):
    code = "ST108"
    __slots__ = ("_private", "instance", "schema_path", "validation_message")


def test_failures_are_facts_not_titles() -> None:
    failure = Schema()
    failure.operation, failure.title, failure.message, failure.case_id = "GET /x", "Title", "Long", "c1"
    failure.instance, failure.schema_path, failure._private = {"a": "b" * 500}, ["properties", 0], 1
    failure.validation_message = "is wrong"
    failures = record.Failures()
    line = failures.line("response_schema_conformance", failure)
    assert (line["check"], line["code"]) == ("response_schema_conformance", "ST108")
    data = line["data"]
    assert data["schema_path"] == ["properties", 0]
    assert data["validation_message"] == "is wrong"
    assert len(data["instance"]) == 200
    assert not {"title", "message", "case_id", "_private"} & data.keys()


def test_an_operation_that_took_its_whole_share_was_cut() -> None:
    shares = record.Shares({"engine_seconds": 60, "phases": ["coverage", "stateful"], "operations": ["a", "b", "c"]})
    shares.begin(100.0)
    shares.phase("coverage", 100.0, None)
    # Half of the minute is kept for the stateful phase; a third of the rest is the first operation's.
    shares.take("one", 100.0)
    assert shares.is_spent("one", 10.0)
    shares.take("two", 102.0)
    # What the first one left over is handed on.
    assert not shares.is_spent("two", 13.0)
    shares.phase("stateful", 120.0, None)
    shares.take("three", 120.0)
    assert not shares.is_spent("three", 1000.0)
