"""What is known fails nothing until its day has passed; what waives nothing any more is told."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

from upheld.check import Finding, Kept, Outcome, Subject, Unproven
from upheld.checks import catalogue
from upheld.contract import Contract
from upheld.errors import ContractError
from upheld.report.mask import Masker
from upheld.run.judge import Case, Judge
from upheld.run.plan import Promise
from upheld.run.prepare import known_breaches
from upheld.run.waivers import Waivers
from upheld.verdict import Result, Verdict

FOUND = Finding(expected="Allow", actual="no Allow")
TODAY = datetime.datetime.now(tz=datetime.UTC).date()
LATER, EARLIER = (str(TODAY + datetime.timedelta(days=days)) for days in (1, -1))
Shop = Callable[..., Contract]


def line(id: str, until: str = LATER, **rest: str) -> dict[str, str]:
    return {"id": id, "reason": "the router", "until": until, **rest}


def judged(contract: Contract, outcome: Outcome, subject: str = "GET /me") -> tuple[Result, list[str]]:
    """The verdict on one promise, and what is told of waivers after it."""
    judge = Judge(contract, Masker(()), "http://127.0.0.1:1", "upheld check", fuzzed=True)
    promise = Promise(catalogue()["http/allow"], Subject(subject, operation=contract.operation(subject)))
    result = judge.result(Case(promise, outcome))
    return result, [told for _, told in judge.waivers.idle([(promise, result)], fuzzed=True)]


@pytest.mark.parametrize(
    ("waiver", "verdict"),
    [
        (line("http/allow[GET /me]"), Verdict.WAIVED),
        (line("http/allow[service]"), Verdict.BREACHED),
        (line("http/allow[GET /notes]"), Verdict.BREACHED),
        (line("http/head[GET /me]"), Verdict.BREACHED),
        (line("http/allow"), Verdict.WAIVED),
        (line("http/allow", op="GET /me"), Verdict.WAIVED),
        (line("http/allow", op="POST /notes"), Verdict.BREACHED),
        (line("http/allow[GET /me]", TODAY.isoformat()), Verdict.WAIVED),
        (line("http/allow[GET /me]", EARLIER), Verdict.BREACHED),
    ],
)
def test_a_waiver_stands_for_a_requirement_or_for_one_promise(
    shop: Shop, waiver: dict[str, str], verdict: Verdict
) -> None:
    assert judged(shop(waive=[waiver]), FOUND)[0].verdict is verdict


def test_one_that_has_ended_is_told_with_the_breach(shop: Shop) -> None:
    result, _ = judged(shop(waive=[line("http/allow", EARLIER)]), FOUND)
    assert result.evidence is not None
    assert result.evidence.actual == f"no Allow; it was waived until {EARLIER} (the router)"
    assert result.cause == "GET /me: no Allow"
    result, _ = judged(shop(waive=[line("http/allow", EARLIER), line("http")]), FOUND)
    assert result.verdict is Verdict.WAIVED


@pytest.mark.parametrize(
    ("id", "outcome", "told"),
    [
        ("http/allow[GET /me]", Kept(), "http/allow[GET /me] is waived (upheld.yaml) and does not occur any more"),
        ("http/allow", Kept(), "does not occur any more"),
        ("http/allow", FOUND, ""),
        ("http/allow", Unproven("nothing was seen"), ""),
        ("http/allow[GET /gone]", Kept(), "but the contract has no such operation any more"),
        ("http/allow[POST /notes]", Kept(), ""),
        ("http/head", Kept(), ""),
        ("http", Kept(), ""),
    ],
)
def test_what_waives_nothing_any_more_is_told(shop: Shop, id: str, outcome: Outcome, told: str) -> None:
    _, notes = judged(shop(waive=[line(id)]), outcome)
    assert [told in note for note in notes] == ([True] if told else [])


@pytest.mark.parametrize(("id", "alone"), [("http/refusal-status", True), ("http/server-error", False)])
def test_without_fuzzing_only_what_a_dialogue_finds_is_gone(shop: Shop, id: str, alone: bool) -> None:
    waivers = Waivers(shop(waive=[line(id)]), TODAY)
    promise = Promise(catalogue()[id], Subject("GET /me"))
    contract = shop()
    kept = Judge(contract, Masker(()), "http://127.0.0.1:1", "upheld check", fuzzed=True).result(Case(promise, Kept()))
    assert [known for known, _ in waivers.idle([(promise, kept)], fuzzed=False)] == [id] * alone
    assert [known for known, _ in waivers.idle([(promise, kept)], fuzzed=True)] == [id]


def test_a_baseline_names_requirements_that_exist(tmp_path: Path) -> None:
    file = tmp_path / "baseline.yaml"
    file.write_text(f"waive:\n- {{id: 'http/allow[GET /me]', reason: r, until: {LATER}}}\n")
    ((known, place),) = known_breaches(file)
    assert (known.id, place.line) == ("http/allow[GET /me]", 2)
    file.write_text(f"waive:\n- {{id: 'http/alow[GET /me]', reason: r, until: {LATER}}}\n")
    with pytest.raises(ContractError, match=r"baseline\.yaml:2: waive: no requirement is called 'http/alow'"):
        known_breaches(file)
