"""A run that tested little says so."""

from __future__ import annotations

from typing import Any

import pytest

from upheld.run.fuzz import PhaseRun, gates


def lost(**changes: Any) -> dict[str, str]:
    given: dict[str, Any] = {
        "expected": ["GET /a", "GET /b"],
        "dangerous": {},
        "reached": {"GET /a": {200: 3}, "GET /b": {200: 1, 404: 2}},
        "errors": {},
        "silences": {},
        "cut_short": (),
    }
    return dict(gates.lost_operations(**{**given, **changes}))


def test_what_answered_2xx_is_not_lost() -> None:
    assert lost() == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reached": {"GET /a": {200: 1}}}, "no request reached it"),
        ({"reached": {"GET /a": {200: 1}, "GET /b": {404: 12, 401: 3}}}, "never answered 2xx: 404 ×12, 401 ×3"),
        ({"errors": {"GET /b": ["engine error: Runtime Error: x"] * 3}}, "engine error: Runtime Error: x"),
        ({"silences": {"GET /b": 2}}, "no answer to 2 requests"),
        (
            {"silences": {"GET /b": 1}, "reached": {"GET /a": {200: 1}}, "cut_short": ["GET /b"]},
            "no answer to 1 request",
        ),
        ({"cut_short": ["GET /b"]}, "cut short: its share of the time was over before all its cases were sent"),
        ({"reached": {"GET /a": {200: 1}}, "cut_short": ["GET /b"]}, "the time was over before it"),
        ({"dangerous": {"GET /b": "it ends the session"}}, "never sent by fuzzing: it ends the session"),
    ],
)
def test_every_way_of_being_lost_is_said(changes: dict[str, Any], why: str) -> None:
    assert lost(**changes) == {"GET /b": why}


def phase(name: str, **changes: Any) -> PhaseRun:
    given: dict[str, Any] = {"status": "success", "cases": 50, "seconds": 1.0, "scenarios": 40, "links": (5, 6)}
    return PhaseRun(name, **{**given, **changes})


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (phase("stateful"), ""),
        (None, "was not reached"),
        (phase("stateful", status="skip", skipped="not_applicable"), "did not run: the document has no links"),
        (phase("stateful", status="unfinished", cases=7), "was cut short after 7 cases"),
        (phase("stateful", scenarios=12), "ended after 12 of about 50 scenarios"),
        (phase("stateful", links=(1, 15)), "1 of 15 links between operations were followed in 40 scenarios"),
        (phase("stateful", links=(15, 69)), ""),
        (phase("stateful", scenarios=0, links=(0, 0)), ""),
    ],
)
def test_a_phase_that_ran_on_too_little_is_said(run: PhaseRun | None, said: str) -> None:
    notes = " ".join(gates.phase_notes(["stateful"], [run] if run else [], 50))
    assert said in notes
    assert bool(said) == bool(notes)


def test_a_document_without_examples_is_nothing_to_mention() -> None:
    assert gates.phase_notes(["examples"], [phase("examples", status="skip", skipped="nothing_to_test")]) == []
    assert gates.phase_notes(["coverage"], [phase("coverage", status="skip", skipped="nothing_to_test")])


def test_all_404_is_another_service() -> None:
    assert gates.is_foreign({"GET /a": {404: 30}, "GET /b": {404: 10}})
    assert not gates.is_foreign({"GET /a": {404: 30}, "GET /b": {200: 10}})
    assert not gates.is_foreign({"GET /a": {404: 3}})
    assert not gates.is_foreign({})


def test_reasons_of_the_engine_are_said_in_our_words() -> None:
    assert gates.why_skipped("no_checks_ran") == "no check applied to any of its cases"
    assert gates.why_skipped("brand_new_reason") == "brand new reason"


def test_what_was_not_tried_whole_is_told() -> None:
    assert gates.lost_notes({}, {}, ()) == []
    curl = "engine error: Runtime Error: x Last request: curl -H 'Authorization: secret'"
    errors, silences = {"GET /b": [curl, curl]}, {"GET /a": 2, "GET /c": 1}
    assert gates.lost_notes(errors, silences, {"GET /d"}) == [
        "fuzzing: GET /b: engine error: Runtime Error: x",
        "fuzzing: GET /a gave no answer to 2 requests",
        "fuzzing: GET /c gave no answer to 1 request",
        "fuzzing: not every case of 1 operation was sent, for want of time (fuzz: {seconds: …})",
    ]
    many = gates.lost_notes({}, {f"GET /{n:02}": 1 for n in range(9)}, {"GET /a", "GET /b"})
    assert len(many) == gates.MOST_TOLD + 2
    assert many[-2:] == [
        "fuzzing: 4 more operations were not tried whole",
        "fuzzing: not every case of 2 operations was sent, for want of time (fuzz: {seconds: …})",
    ]
