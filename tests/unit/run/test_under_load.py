"""What shows only under load is told, once it showed twice; what the quiet service shows too is not the load's."""

from __future__ import annotations

import pytest

from upheld import sample
from upheld.check import SERVICE, Finding, Kept, Subject, Unproven
from upheld.checks import catalogue
from upheld.exchange import Exchange, Request, Response
from upheld.report.mask import Masker
from upheld.run.judge import Case, Judge
from upheld.run.plan import Promise
from upheld.run.under_load import UnderLoad
from upheld.run.watch import Watch
from upheld.verdict import Verdict

ITEMS = "GET /api/v1/items"
PROBLEM = "errors/problem-json"
CRASH = Response.of(500, "pool exhausted", content_type="text/plain")


def exchange(source: str, response: Response, label: str = ITEMS) -> Exchange:
    method, _, path = label.partition(" ")
    return Exchange(Request(method, path, operation=label), response, phase="load", source=source)


def under(*heard: tuple[str, Response]) -> UnderLoad:
    contract = sample.contract()
    found = UnderLoad(contract, [catalogue()[PROBLEM]], Watch(contract, [catalogue()[PROBLEM]]))
    for source, response in heard:
        found.hear(exchange(source, response))
    return found


def test_what_breaks_only_under_load_is_told_with_its_request() -> None:
    found = under(
        ("quiet 1", Response.of(200, {})), ("load 1", CRASH), ("load 2", Response.problem(500)), ("load 3", CRASH)
    )
    (case,) = found.into([])
    assert case.promise.id == f"{PROBLEM}[service]"
    result = Judge(
        sample.contract(),
        Masker(set()),
        "http://127.0.0.1:1",
        "upheld check",
        fuzzed=False,
        pressing="upheld load shop",
    ).result(case)
    assert result.verdict is Verdict.BREACHED
    assert result.evidence is not None
    assert "only under load, in 2 of 3 answers that were judged" in result.evidence.actual
    assert result.evidence.again == "upheld load shop"
    assert "/api/v1/items" in result.evidence.curl
    assert found.note == ""


def test_what_was_heard_is_coverage() -> None:
    found = under(("quiet 1", Response.of(200, {})), ("load 1", CRASH), ("load 2", CRASH))
    watch = Watch(sample.contract(), [])
    found.count_into(watch.coverage)
    assert watch.coverage[ITEMS] == {"200": 1, "500": 2}


def test_what_was_seen_once_is_flaky() -> None:
    (case,) = under(("load 1", CRASH), ("load 2", Response.problem(500))).into([])
    assert case.flaky
    assert isinstance(case.outcome, Unproven)
    assert "seen once in 2 answers that were judged under load" in case.outcome.reason


def test_what_the_quiet_service_shows_is_not_the_loads() -> None:
    found = under(("load 1", CRASH), ("load 2", CRASH), ("quiet 9", CRASH))
    assert found.into([]) == []
    assert found.note.startswith(f"{PROBLEM}: what the load met there the quiet service shows too")


@pytest.mark.parametrize("status", [429, 503, 0])
def test_backing_off_and_no_answer_are_no_answers(status: int) -> None:
    busy = Response.of(status, "later", content_type="text/plain")
    assert under(("load 1", busy), ("load 2", busy)).into([]) == []


def test_what_the_run_saw_before_is_told_there() -> None:
    found = under(("load 1", CRASH), ("load 2", CRASH))
    found._before.feed(exchange("dialogue", CRASH))
    assert found.into([]) == []
    assert found.note == ""


def test_a_promise_that_was_kept_without_a_load_is_told_once() -> None:
    promise = Promise(catalogue()[PROBLEM], SERVICE)
    other = Case(Promise(catalogue()[PROBLEM], Subject("GET /health")), Kept("fine"))
    found = under(("load 1", CRASH), ("load 2", CRASH)).into([Case(promise, Kept("9 answers"), judged=9), other])
    assert [(type(case.outcome), case.judged) for case in found] == [(Finding, 11), (Kept, 0)]


def test_a_promise_that_was_broken_before_keeps_its_evidence() -> None:
    shown = Finding(expected="good", actual="shown without a load")
    promise = Promise(catalogue()[PROBLEM], SERVICE)
    (case,) = under(("load 1", CRASH), ("load 2", CRASH)).into([Case(promise, shown)])
    assert case.outcome is shown
    assert not case.pressed
    assert "only under load" in case.also[0].actual
