"""From what was seen to verdicts: what is shown again is told, what is not is flaky, what could not be is unproven."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from upheld.check import CannotProve, Cell, Check, Finding, Kept, NotApplicable, Outcome, Subject, Timeline, Unproven
from upheld.checks import catalogue, select
from upheld.checks.latency._runs import load_run, operation_row
from upheld.contract import Contract
from upheld.contract.load import load
from upheld.errors import HarnessError
from upheld.exchange import Exchange, Headers, Request, Response
from upheld.report.mask import Masker
from upheld.run.confirm import Confirmation
from upheld.run.judge import Case, Judge
from upheld.run.plan import Promise, plan
from upheld.run.prepare import bundled
from upheld.run.watch import Watch
from upheld.verdict import Result, Verdict

FOUND = Finding(expected="good", actual="bad")


def _judge(contract: Contract) -> Judge:
    return Judge(contract, Masker({"very-secret"}), "http://127.0.0.1:1", "upheld check", fuzzed=True)


def _played(contract: Contract, outcome: Outcome, *again: Outcome) -> Any:
    promise = Promise(catalogue()["http/allow"], Subject("/me"))
    left = iter(again)

    async def replay(_: Promise) -> Outcome:
        return next(left)

    judge = _judge(contract)
    return judge.result(asyncio.run(judge.played(promise, outcome, 0.1, replay)))


def test_a_finding_is_played_again_before_it_is_told(contract: Contract) -> None:
    assert _played(contract, FOUND, FOUND).verdict in (Verdict.BREACHED, Verdict.ADVISORY)
    assert _played(contract, FOUND, Kept(), FOUND).verdict in (Verdict.BREACHED, Verdict.ADVISORY)


def test_a_finding_that_its_dialogue_has_seen_twice_is_not_played_again(contract: Contract) -> None:
    assert _played(contract, replace(FOUND, seen=2)).verdict in (Verdict.BREACHED, Verdict.ADVISORY)


def test_what_a_load_run_tells_is_told_as_everything_else_is(shop: Callable[..., Contract]) -> None:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    until = (today + datetime.timedelta(days=2)).isoformat()
    contract = shop(waive=[{"id": "latency/p95", "op": "GET /me", "reason": "a fix is on its way", "until": until}])
    missed = {"over": 900, "verdict": "missed", "reason": "30% over: very-secret"}
    load = load_run(operation_row("GET /me", **missed), operation_row("class crud", **missed))
    judge = Judge(
        contract, Masker({"very-secret"}), "http://127.0.0.1:1", "upheld check x", fuzzed=True, pressing="upheld load x --seconds 60",
    )  # fmt: skip
    waived, breached = map(judge.result, judge.measured(catalogue()["latency/p95"], load))
    assert (waived.verdict, waived.subject) == (Verdict.WAIVED, "GET /me")
    assert (breached.verdict, breached.judged, breached.seconds) == (Verdict.BREACHED, 3_000, 60.0)
    assert breached.evidence is not None
    assert breached.evidence.again == "upheld load x --seconds 60"
    assert "very-secret" not in breached.evidence.actual
    assert breached.cause == waived.cause == "class crud"


def test_what_is_not_seen_again_is_flaky(contract: Contract) -> None:
    result = _played(contract, FOUND, Kept(), Kept())
    assert result.verdict is Verdict.UNPROVEN
    assert result.flaky
    assert "1 of 3" in result.reason


CELLS = (Cell("user", "denied", "204 very-secret", "breached"), Cell("admin", "allowed", "200", "kept"))
BROKEN = replace(FOUND, cells=CELLS)


def _verdicts(result: Result) -> dict[str, Verdict]:
    return {cell.role: cell.verdict for cell in result.cells}


def test_each_role_has_a_verdict_of_its_own(contract: Contract) -> None:
    result = _played(contract, BROKEN, BROKEN)
    assert _verdicts(result) == {"user": result.verdict, "admin": Verdict.UPHELD}
    assert "very-secret" not in result.cells[0].seen
    assert _verdicts(_played(contract, Kept(cells=CELLS[1:]))) == {"admin": Verdict.UPHELD}


def test_a_role_that_was_accused_once_is_unproven_and_the_others_stand(contract: Contract) -> None:
    for again in ((Kept(), Kept()), (Unproven("the budget is spent"),)):
        result = _played(contract, BROKEN, *again)
        assert _verdicts(result) == {"user": Verdict.UNPROVEN, "admin": Verdict.UPHELD}
        assert result.cells[0].reason == result.reason


def test_what_ends_without_an_answer_has_the_roles_that_were_planned(contract: Contract) -> None:
    planned = Subject("GET /me", cells=(Cell("user", "denied"), Cell("admin", "allowed")))
    result = _judge(contract).result(Case(Promise(catalogue()["http/allow"], planned), Unproven("the budget is spent")))
    assert _verdicts(result) == {"user": Verdict.UNPROVEN, "admin": Verdict.UNPROVEN}


def test_what_a_key_met_is_told_with_what_its_rule_promises(shop: Callable[..., Contract]) -> None:
    used = shop(rate_limits=[{"op": "GET /me", "quota": "2/min"}], rate_limit={"algorithm": "moving-window"})
    seen = Timeline(((0.1, True), (0.2, True), (0.3, False)))
    (rule,) = used.rate_rules
    subjects = (Subject(rule.label, rule=rule), Subject("GET /me", operation=used.operation("GET /me")))
    for subject in subjects:
        promise = Promise(catalogue()["http/allow"], subject)
        for outcome in (Kept(timeline=seen), replace(FOUND, timeline=seen)):
            told = _judge(used).result(Case(promise, outcome)).timeline
            assert told is not None
            assert (told.rule, told.operation, told.points) == ("GET /me 2/60s", "GET /me", seen.points)
            assert (told.quota, told.window, told.algorithm) == (2, 60.0, "moving-window")
        assert _judge(used).result(Case(promise, Kept())).timeline is None
        assert _judge(used).result(Case(promise, Unproven("nothing came"))).timeline is None


def test_what_can_not_be_played_again_is_neither(contract: Contract) -> None:
    result = _played(contract, FOUND, Unproven("the budget is spent"))
    assert result.verdict is Verdict.UNPROVEN
    assert not result.flaky
    assert "the budget is spent" in result.reason


@pytest.mark.parametrize("outcome", [Kept("well"), Unproven("why"), NotApplicable("none")])
def test_only_findings_are_played_again(contract: Contract, outcome: Outcome) -> None:
    assert _played(contract, outcome).verdict is not Verdict.BREACHED


def test_evidence_is_masked(contract: Contract) -> None:
    finding = replace(FOUND, actual="it said very-secret", sent="very-secret", expected="not very-secret")
    result = _played(contract, finding, finding)
    assert "very-secret" not in repr(result)


# -- observers -----------------------------------------------------------------------------------------------------------


def _observer(observe: Callable[[Exchange, Contract], Outcome | None]) -> Check:
    check = catalogue()["http/server-error"]
    return replace(check, observe=observe, requirement=replace(check.requirement, scope="operation"))


def _fails_on_500(exchange: Exchange, contract: Contract) -> Outcome:
    return FOUND if exchange.response.status == 500 else Kept()


def _seen(status: int, source: str) -> Exchange:
    return Exchange(Request("GET", "/me", operation="GET /me"), Response(status), source=source)


def _verdict(contract: Contract, exchanges: list[Exchange], resent: list[int]) -> Any:
    check = _observer(_fails_on_500)
    watch = Watch(contract, [check])
    for exchange in exchanges:
        watch.feed(exchange)
    left = iter(resent)

    async def resend(request: Request) -> Response:
        status = next(left, None)
        if status is None:
            raise CannotProve("the budget is spent")
        return Response(status)

    async def again(promise: Promise) -> list[Exchange]:
        raise AssertionError("no dialogue sent it")

    confirmed = asyncio.run(Confirmation(watch, {}, again, resend).all())
    made = plan(contract, [check])
    judge = _judge(contract)
    (result,) = [
        judge.result(c) for c in judge.observed(made, watch, confirmed) if c.promise.subject.label == "GET /me"
    ]
    return result


def test_what_was_seen_once_and_is_seen_again(contract: Contract) -> None:
    assert _verdict(contract, [_seen(500, "a"), _seen(200, "b")], [500]).verdict is Verdict.BREACHED


def test_what_was_seen_once_and_not_again(contract: Contract) -> None:
    result = _verdict(contract, [_seen(500, "a"), _seen(200, "b")], [200])
    assert result.verdict is Verdict.UNPROVEN
    assert result.flaky
    assert "seen once" in result.reason


def test_what_is_mostly_so_needs_no_replay(contract: Contract) -> None:
    assert _verdict(contract, [_seen(500, "a"), _seen(500, "b"), _seen(200, "c")], []).verdict is Verdict.BREACHED


def test_what_is_now_and_then_so_is_flaky(contract: Contract) -> None:
    fine = [_seen(200, str(number)) for number in range(20)]
    result = _verdict(contract, [_seen(500, "a"), _seen(500, "b"), *fine], [200])
    assert result.flaky
    assert "2 of 22 times" in result.reason
    assert _verdict(contract, [_seen(500, "a"), _seen(500, "b"), *fine], [500]).verdict is Verdict.BREACHED


def test_what_made_an_account_is_sent_again_for_another_account() -> None:
    contract = load(bundled())
    register = next(op for op in contract.operations if op.path.endswith("/register"))
    body = json.dumps({"email": "ann@example.com", "password": "correct horse battery"}).encode()
    request = Request("POST", register.path, headers=Headers([("content-type", "application/json")]), body=body)
    request = request.with_(operation=register.label)

    def fails_on_201(exchange: Exchange, _: Contract) -> Outcome:
        return FOUND if exchange.response.status == 201 else Kept()

    def confirmed(statuses: list[int], sources: list[str]) -> tuple[list[bool], list[Request]]:
        watch = Watch(contract, [_observer(fails_on_201)])
        for status, source in zip(statuses, sources, strict=True):
            watch.feed(Exchange(request, Response(status), source=source))
        sent: list[Request] = []

        async def resend(again: Request) -> Response:
            sent.append(again)
            return Response(409 if again.body == body else 201)

        async def replayed(promise: Promise) -> list[Exchange]:
            raise AssertionError("no dialogue sent it")

        return list(asyncio.run(Confirmation(watch, {}, replayed, resend).all()).values()), sent

    for statuses in ([201, 409, 409], [201, 201, 409, 409, 409]):
        verdicts, sent = confirmed(statuses, list("abcde")[: len(statuses)])
        assert verdicts == [True]
        assert [again.body != body for again in sent] == [True]


def test_what_nobody_saw_is_unproven(contract: Contract) -> None:
    result = _verdict(contract, [], [])
    assert result.verdict is Verdict.UNPROVEN
    assert result.reason


def test_an_observer_that_raises_is_our_defect_and_hides_no_other(contract: Contract) -> None:
    def raises(exchange: Exchange, _: Contract) -> Outcome:
        raise KeyError("slip")

    broken, whole = _observer(raises), replace(_observer(_fails_on_500), id="http/other")
    watch = Watch(contract, [broken, whole])
    watch.feed(_seen(500, "a"))
    assert "slip" in watch.broken[broken.id]
    assert watch.tallies["http/other", "GET /me"].sightings


# -- the plan ------------------------------------------------------------------------------------------------------------


def test_a_plan_has_a_promise_for_each_subject(contract: Contract) -> None:
    made = plan(contract, select(["http"]).values())
    assert len({promise.id for promise in made.promises}) == len(made.promises)
    assert "http/challenge[GET /me]" in {promise.id for promise in made.promises}
    assert made.requests > 0


def test_what_waits_is_unproven_when_it_has_to_be_quick(contract: Contract) -> None:
    waiting = [check for check in catalogue().values() if check.requirement.waits]
    quick = plan(contract, waiting, quick=True)
    assert not quick.dialogues
    assert all(promise.settled is not None for promise in quick.promises)


def test_a_check_that_can_not_say_its_subjects_is_our_defect(contract: Contract) -> None:
    def broken(_: Contract) -> Any:
        raise KeyError("slip")

    with pytest.raises(HarnessError, match="http/allow"):
        plan(contract, [replace(catalogue()["http/allow"], subjects=broken)])
