"""What was measured and does not decide accuses nobody and passes nothing; one cause is told once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from upheld import sample
from upheld.check import Example, Finding, Kept, Outcome, SpreadAnswer, Unproven
from upheld.checks import catalogue
from upheld.checks.latency._runs import load_run, operation_row
from upheld.contract import Contract
from upheld.exchange import Request, Response
from upheld.rehearse import Stage, rehearse
from upheld.verdict import FailedShare, LeftOut

CHECKS = catalogue()
CONTRACT = sample.contract()
NONE_FAILED = FailedShare(3_000, 0, 0.0, 0.000998)


def measured(id: str, load: Any, contract: Contract = CONTRACT) -> dict[str, Outcome]:
    measure = CHECKS[id].measure
    assert measure is not None
    return {each.subject.label: each.outcome for each in measure(load, contract)}


# -- latency/p95 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["not decided", "invalid"])
def test_what_is_not_decided_is_unproven_and_says_why(verdict: str) -> None:
    told = measured("latency/p95", load_run(operation_row(verdict=verdict, reason="about 41 s more would decide")))
    assert told == {"GET /items": Unproven("about 41 s more would decide")}


def test_what_was_left_out_of_the_load_is_unproven_with_the_line_to_add() -> None:
    left_out = (LeftOut("POST /c", "crud", 200.0, "it answers 422 on the quiet service", "examples: …"),)
    told = measured("latency/p95", load_run(operation_row(), left_out=left_out))
    assert told["POST /c"] == Unproven("left out of the load: it answers 422 on the quiet service", add="examples: …")
    assert isinstance(told["GET /items"], Kept)


def test_errors_are_told_by_one_requirement_and_slowness_by_the_other() -> None:
    failing = operation_row(errors=300, over=300, verdict="missed", reason="10.00% of 3000 were errors")
    slow = operation_row(errors=30, over=900, verdict="missed", reason="30.00% of 3000 over 200 ms")
    assert isinstance(measured("latency/p95", load_run(failing))["GET /items"], Unproven)
    assert isinstance(measured("latency/p95", load_run(slow))["GET /items"], Finding)


def test_an_operation_and_its_class_are_one_finding_and_a_target_of_its_own_is_another() -> None:
    missed = {"over": 900, "verdict": "missed", "reason": "30.00% of 3000 over 200 ms"}
    own, other = (operation.label for operation in CONTRACT.operations[:2])
    with_own = sample.contract(Example("", policy={"latency": {"ops": {own: "50ms"}}}))
    rows = (
        operation_row(own, limit_ms=50.0, **missed),
        operation_row(other, **missed),
        operation_row("class crud", **missed),
    )
    found = measured("latency/p95", load_run(*rows), with_own)
    assert all(isinstance(outcome, Finding) for outcome in found.values())
    assert {name: outcome.origin for name, outcome in found.items() if isinstance(outcome, Finding)} == {
        own: own, other: "class crud", "class crud": "class crud",
    }  # fmt: skip
    assert isinstance(mine := found[own], Finding)
    assert isinstance(whole := found["class crud"], Finding)
    assert "latency.ops: 50ms" in mine.required
    assert "95% of the requests are answered within 200 ms (contract: latency.crud: 200ms)" in whole.required


def test_a_measurement_knows_the_operation_so_that_a_waiver_reaches_it() -> None:
    measure = CHECKS["latency/p95"].measure
    assert measure is not None
    label = CONTRACT.operations[0].label
    (told,) = measure(load_run(operation_row(label)), CONTRACT)
    assert told.subject.operation is CONTRACT.operations[0]
    assert told.samples == 3_000


# -- latency/error-rate --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("load", "says"),
    [
        (load_run(operation_row(), valid=False, reason="two workers are missing"), "two workers are missing"),
        (load_run(operation_row(sent=0, over=0), rate=0.0, failed=FailedShare(0, 0, 0.0, 1.0)), "no request was sent"),
        (load_run(operation_row(sent=300), seconds=6.0, failed=FailedShare(300, 0, 0.0, 0.0099)), "it takes 2995 to prove"),
        (
            load_run(operation_row(sent=300, errors=1, failures=(("500", 1),)), failed=FailedShare(300, 1, 0.0002, 0.016)),
            "GET /items 1 x 500; 0.1% may, and these are too few to tell",
        ),
        (
            load_run(operation_row(over=50, unfinished=50), delay_ms=80.0, failed=FailedShare(3_000, 50, 0.013, 0.021)),
            "50 requests had no answer in time, and this machine was itself 80 ms late",
        ),
        (
            load_run(operation_row(over=50, unfinished=50), crowded="others", failed=FailedShare(3_000, 50, 0.013, 0.021)),
            "50 requests had no answer in time, and others",
        ),
        (load_run(operation_row(), rate=90.0, failed=NONE_FAILED), "3000 requests were sent, and 5400 were due"),
        (load_run(operation_row(throttled=200), failed=NONE_FAILED), "200 of 3000 answers were 429"),
        (
            load_run(operation_row(errors=200, failures=(("422", 200),)), failed=NONE_FAILED),
            "200 of 3000 of our own requests were refused",
        ),
    ],
)  # fmt: skip
def test_a_load_that_was_not_carried_proves_nothing(load: Any, says: str) -> None:
    outcome = measured("latency/error-rate", load)["service"]
    assert isinstance(outcome, Unproven), outcome
    assert says in outcome.reason


def test_how_long_it_takes_to_prove_so_few_errors_is_said() -> None:
    load = load_run(operation_row(sent=300), seconds=6.0, failed=FailedShare(300, 0, 0.0, 0.0099))
    outcome = measured("latency/error-rate", load)["service"]
    assert isinstance(outcome, Unproven)
    assert outcome.add == "--seconds 60"


def test_the_operations_that_failed_are_named() -> None:
    rows = (
        operation_row("GET /a", over=41, errors=41, failures=(("503", 40), ("422", 1))),
        operation_row("GET /b", over=9, unfinished=9),
        operation_row("class crud", sent=6_000, over=50, errors=41, unfinished=9),
    )
    outcome = measured("latency/error-rate", load_run(*rows, failed=FailedShare(6_000, 49, 0.0064, 0.0104)))["service"]
    assert isinstance(outcome, Finding)
    assert outcome.actual == "49 of 6000 requests (0.82%) failed: GET /a 40 x 503; GET /b 9 x never"


# -- by the clock --------------------------------------------------------------------------------------------------------


class Late(Stage):
    """A machine that is late itself, so many times."""

    times = 99

    def answer(self, action: Any) -> Any:
        answer = super().answer(action)
        if isinstance(answer, SpreadAnswer) and self.times > 0:
            self.times -= 1
            return replace(answer, late=0.04)
        return answer


def on_a_late_machine(id: str, example: Example, times: int, monkeypatch: pytest.MonkeyPatch) -> Outcome | None:
    monkeypatch.setattr("upheld.rehearse.Stage", type("LateFor", (Late,), {"times": times}))
    return rehearse(CHECKS[id], example)


@pytest.mark.parametrize("id", ["latency/hashing-blocks-nobody", "latency/recovers"])
def test_a_busy_machine_is_no_witness(id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for example in (CHECKS[id].conforming[0], CHECKS[id].breaching[0]):
        outcome = on_a_late_machine(id, example, 99, monkeypatch)
        assert isinstance(outcome, Unproven), outcome
        assert "this machine is too busy" in outcome.reason
        assert "40 ms late" in outcome.reason


@pytest.mark.parametrize("id", ["latency/hashing-blocks-nobody", "latency/recovers"])
def test_one_that_was_busy_for_a_moment_is_asked_again(id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check = CHECKS[id]
    assert isinstance(on_a_late_machine(id, check.conforming[0], 2, monkeypatch), Kept)
    assert isinstance(on_a_late_machine(id, check.breaching[0], 2, monkeypatch), Finding)


@pytest.mark.parametrize(
    ("example", "says"),
    [
        (Example("a stub", alter=lambda q, r: replace(r, elapsed=0.003)), "too short for anybody to wait"),
        (
            Example("nobody gets in", alter=lambda q, r: Response.problem(403) if q.method == "POST" else r),
            "a login with the right password was answered with 403",
        ),
        (
            Example("in maintenance", alter=lambda q, r: Response.problem(500) if q.method == "GET" else r),
            "was answered with 500",
        ),
    ],
)
def test_logins_that_say_nothing_about_hashing(example: Example, says: str) -> None:
    outcome = rehearse(CHECKS["latency/hashing-blocks-nobody"], example)
    assert isinstance(outcome, Unproven), outcome
    assert says in outcome.reason


class SlowOnce:
    """Slow from the first burst on, until the second has come."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, request: Request) -> Response:
        self.seen += 1
        return replace(Response.of(200, []), elapsed=0.3 if 200 < self.seen < 300 else 0.004)


def test_what_only_one_burst_left_slower_is_unproven() -> None:
    outcome = rehearse(CHECKS["latency/recovers"], Example("slow once", service=SlowOnce))
    assert isinstance(outcome, Unproven), outcome
    assert "after one burst, and not after the next" in outcome.reason


def test_a_lasting_harm_was_seen_twice_by_the_dialogue_itself() -> None:
    slower, gone = (rehearse(CHECKS["latency/recovers"], example) for example in CHECKS["latency/recovers"].breaching)
    assert isinstance(slower, Finding)
    assert isinstance(gone, Finding)
    assert (slower.seen, gone.seen) == (2, 1)
