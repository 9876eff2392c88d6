"""From a generator's counts to a load run and its results: nothing that does not add up decides anything."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.load.making import counted, mixed, plan, pressed, result

from upheld.load.counts import Counts
from upheld.load.outcome import load_run
from upheld.verdict import LeftOut

PLAN = plan(
    pressed("GET /a"),
    pressed("GET /b"),
    pressed("GET /slow", latency_class="complex", limit_ms=500.0),
    left_out=(
        LeftOut("POST /c", "crud", 200.0, "it answers 422 on the quiet service"),
        LeftOut("PUT /d", "crud", 200.0, "x"),
    ),
)
COUNTS = {
    "GET /a": counted(mixed(1_000, 0.01)),
    "GET /b": counted(mixed(30, 0.0)),
    "GET /slow": counted(mixed(1_000, 0.2, slow=900.0), 500.0),
}


def test_rows_for_operations_and_classes() -> None:
    run = load_run(PLAN, result(PLAN, COUNTS), users=2)
    assert run.valid
    assert (run.model, run.users, run.rate, run.seconds) == ("open", 2, 30.0, 60.0)
    assert {row.name: row.verdict for row in run.rows} == {
        "GET /a": "met",
        "GET /b": "not decided",
        "GET /slow": "missed",
        "class crud": "met",
        "class complex": "missed",
    }
    crud = next(row for row in run.rows if row.name == "class crud")
    assert (crud.sent, crud.over) == (1_030, 10)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"plan": "another"}, "belong to another plan"),
        ({"operations": {}}, "no counts of GET /a"),
        ({"operations": None}, "damaged"),
        ({"delay_ms": "late"}, "damaged"),
        ({"measured": None}, "damaged"),
    ],
)
def test_counts_that_do_not_fit_decide_nothing(change: dict[str, Any], says: str) -> None:
    run = load_run(PLAN, result(PLAN, COUNTS, **change))
    assert not run.valid
    assert says in run.reason
    assert {row.verdict for row in run.rows} == {"invalid"}


def test_one_lost_sample_makes_the_run_invalid() -> None:
    lost = Counts.from_json(COUNTS["GET /a"].to_json())
    lost.ok -= 1
    run = load_run(PLAN, result(PLAN, {**COUNTS, "GET /a": lost}))
    assert not run.valid
    assert "the counts of GET /a do not add up: 1000 sent, but 999 ok" in run.reason


def test_no_counts_at_all() -> None:
    run = load_run(PLAN, None, trouble="the generator ended with status 1: boom")
    assert not run.valid
    assert run.reason == "the generator ended with status 1: boom"
    assert not load_run(PLAN, None).valid
    assert {row.verdict for row in run.rows} == {"invalid"}
    assert run.failed is None


def test_an_operation_that_was_never_sent_is_never_met() -> None:
    run = load_run(PLAN, result(PLAN, {**COUNTS, "GET /b": Counts()}))
    assert next(row for row in run.rows if row.name == "GET /b").verdict == "invalid"


def test_what_a_reader_has_to_know_is_in_the_notes() -> None:
    warm = counted(mixed(40, 0.0), throttled=2)
    run = load_run(
        PLAN,
        result(
            PLAN, COUNTS, warmup=warm.to_json(), stopped="interrupted", measured=12.5, delay_ms=30.0, cpu_seconds=64.0,
            starved={"DELETE /x": 3},
        ),
    )  # fmt: skip
    notes = "\n".join(run.notes)
    for said in ("42 requests before the measured part", "2 x 429", "stopped after 12.5 of 60 s"):
        assert said in notes
    assert "98% of a processor" in notes
    assert run.delay_ms == 30.0
    assert "DELETE /x: 3 requests were not sent" in notes
    assert run.valid
    assert run.reason == "interrupted"


def test_what_the_service_failed_and_what_was_left_out_is_told_apart() -> None:
    mixed_errors = counted(mixed(1_000, 0.0), errors={"503": 7, "ConnectionResetError": 2, "422": 4}, unfinished=1)
    run = load_run(PLAN, result(PLAN, {**COUNTS, "GET /a": mixed_errors, "GET /b": counted([], throttled=5)}))
    assert run.failed is not None
    assert (run.failed.requests, run.failed.failed) == (2_014, 10)
    assert 0 < run.failed.low < 10 / 2_014 < run.failed.high < 0.01
    assert run.left_out == PLAN.left_out


def test_each_generator_process_is_told() -> None:
    told = {"sent": 900, "cpu_seconds": 2.5, "wall_seconds": 61.0, "delay_ms": 3.0}
    run = load_run(PLAN, result(PLAN, COUNTS, noise_ms=1.5, workers={"0": told, "1": told}))
    assert [(worker.name, worker.sent) for worker in run.workers] == [("0", 900), ("1", 900)]
    assert (run.delay_ms, run.noise_ms, run.crowded) == (1.0, 1.5, "")
    crowded = load_run(PLAN, result(PLAN, COUNTS, machine={"idle": 0.02, "others": 0.6}))
    assert crowded.valid
    assert "this machine itself is too busy" in crowded.crowded
    assert not load_run(PLAN, result(PLAN, COUNTS, workers={"0": {"sent": 1}})).valid


def test_a_class_is_judged_without_what_has_a_target_of_its_own() -> None:
    made = plan(pressed("GET /a"), pressed("POST /a", limit_ms=400.0, own_target=True))
    counts = {"GET /a": counted([10.0] * 500), "POST /a": counted([300.0] * 500, 400.0)}
    rows = {row.name: row for row in load_run(made, result(made, counts)).rows}
    assert (rows["POST /a"].verdict, rows["POST /a"].limit_ms) == ("met", 400.0)
    assert (rows["class crud"].sent, rows["class crud"].limit_ms) == (500, 200.0)


def test_renewed_tokens_are_told_apart() -> None:
    told = {"asked": 3, "renewed": {"kim": 2}, "refused": {"alice": "401"}}
    made = plan(pressed("GET /a"))
    notes = load_run(made, result(made, {"GET /a": counted([10.0] * 500)}, renewals=told)).notes
    assert any("2 access tokens were renewed with 3 requests beside the load" in note for note in notes)
    assert any("the access token of alice could not be renewed" in note and "401" in note for note in notes)
