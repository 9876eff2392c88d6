"""JUnit XML as the readers of build servers take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.report import junit
from upheld.verdict import Evidence, Result, Run, Verdict


def parse(run: Run) -> ET.Element:
    return ET.fromstring(junit.render(run).encode("utf-8"))


def cases(root: ET.Element) -> dict[str, ET.Element]:
    return {case.get("classname", ""): case for case in root.iter("testcase")}


def test_a_suite_a_group_and_a_case_a_promise(rich_run: Run) -> None:
    root = parse(rich_run)
    assert [suite.get("name") for suite in root] == ["auth", "cache", "cors", "errors", "http", "ratelimit"]
    assert len(list(root.iter("testcase"))) == len(rich_run.results)
    assert root.get("tests") == str(len(rich_run.results))
    assert root.get("failures") == "14"
    assert root.get("errors") == "0"
    assert root.get("skipped") == "6"


def test_counts_of_each_suite_add_up(rich_run: Run) -> None:
    for suite in parse(rich_run):
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("skipped", "")) == len(suite.findall("testcase/skipped"))
        assert next(iter(suite)).tag == "properties"


def test_a_breach_is_a_failure_with_its_block(rich_run: Run) -> None:
    case = cases(parse(rich_run))["ratelimit.retry-after"]
    assert case.get("name") == "ratelimit/retry-after[POST /api/v1/auth/login]"
    assert case.get("time") == "1.500"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "expected Retry-After: 1 … 60; actual no Retry-After"
    lines = (failure.text or "").splitlines()
    assert lines[0] == "BREACHED  ratelimit/retry-after   POST /api/v1/auth/login"
    assert lines[1] == "  sent       11 logins in 0.8 s from one address"
    assert "--data-raw 'a  b'" in lines[5]


def test_the_other_verdicts(rich_run: Run) -> None:
    found = cases(parse(rich_run))
    assert found["http.head"].find("failure") is None
    assert (found["http.head"].findtext("system-out") or "").startswith("ADVISORY  http/head")
    skipped = found["auth.role-0"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "unproven: no admin is given"
    assert "password_env" in (found["auth.role-0"].findtext("system-out") or "")
    waived = found["http.trace"].find("skipped")
    assert waived is not None
    assert waived.get("message") == "waived: TRACE is disabled on purpose (until 2027-06-30)"
    assert (found["http.flicker"].findtext("system-out") or "").startswith("FLAKY")


def test_seed_target_and_version_are_properties(rich_run: Run) -> None:
    properties = {one.get("name"): one.get("value") for one in parse(rich_run).iter("property")}
    assert properties["upheld.seed"] == "42"
    assert properties["upheld.target"] == "http://127.0.0.1:8500"
    assert properties["upheld.version"] == "0.1.0"


def test_times_are_in_utc_without_an_offset(rich_run: Run) -> None:
    assert parse(rich_run)[0].get("timestamp") == "2026-03-04T09:20:30"


def test_a_run_that_failed_is_an_error_and_not_a_failure(empty_run: Run) -> None:
    root = parse(replace(empty_run, exit_status=3, stopped="the target died", target_output="Traceback\x00"))
    error = next(root.iter("error"))
    assert error.get("message") == "the target died"
    assert error.get("type") == "target"
    assert "Traceback\\x00" in (error.text or "")


def test_a_run_without_promises_is_not_green(empty_run: Run) -> None:
    assert parse(empty_run).get("errors") == "1"


def test_messages_are_one_line(rich_run: Run) -> None:
    for element in parse(rich_run).iter():
        assert "\n" not in element.get("message", "")


@given(st.text(st.characters(), max_size=40))
def test_any_text_gives_valid_xml(text: str) -> None:
    evidence = Evidence(text, text, text, text, text, text)
    result = Result(
        requirement="a/b", subject=text, title=text, level="MUST", clause=text, clause_url=text, catalogue=(text,),
        verdict=Verdict.BREACHED, evidence=evidence,
    )  # fmt: skip
    run = Run(contract=text, target=text, version=text, started=text, seconds=1, requests=1, seed=1, results=(result,))
    assert parse(run).get("failures") == "1"


def test_hostile_octets_stay_readable(rich_run: Run) -> None:
    text = "".join(parse(rich_run).itertext())
    assert "\\x1b[31mred" in text
    assert "\\ud800" in text


def test_three_hundred_promises(large_run: Run) -> None:
    assert parse(large_run).get("tests") == "300"


def test_a_flaky_breach_does_not_fail_the_build(
    make_run: Callable[..., Run], make_result: Callable[..., Result]
) -> None:
    assert parse(make_run(make_result(Verdict.BREACHED, flaky=True))).get("failures") == "0"


@pytest.fixture
def pressed(rich_run: Run, make_result: Callable[..., Result]) -> Run:
    """The run with a promise for each row of its load."""
    assert rich_run.load is not None
    verdicts = {"met": Verdict.UPHELD, "missed": Verdict.BREACHED}
    evidence = Evidence("1500 requests", "95 % within 500 ms", "at most 5 % over", "20 % over", "upheld load")
    results = tuple(
        make_result(
            (verdict := verdicts.get(row.verdict, Verdict.UNPROVEN)),
            requirement="latency/p95", subject=row.name, reason=row.reason, detail="0.80% of 1491 over 200 ms",
            evidence=evidence if verdict is Verdict.BREACHED else None,
        )
        for row in rich_run.load.rows
    )  # fmt: skip
    return replace(rich_run, results=results)


def test_what_a_load_run_did_not_decide_is_skipped_as_what_it_is(pressed: Run) -> None:
    found = {case.get("name", ""): case for case in parse(pressed).iter("testcase")}
    undecided = found["latency/p95[class auth]"]
    assert skipped(undecided) == "not decided: 0.80% of 1491 over 1000 ms, too near; about 41 s more would decide"
    assert (undecided.findtext("system-out") or "").startswith("n 1,491, p50 21 ms")
    assert [skipped(case) for name, case in found.items() if "red" in name] == ["invalid: no answer"]
    assert parse(pressed).get("skipped") == "2"


def skipped(case: ET.Element) -> str:
    found = case.find("skipped")
    assert found is not None
    return found.get("message", "")


def test_a_missed_latency_is_a_failure_with_its_figures(pressed: Run) -> None:
    assert parse(pressed).get("failures") == "1"
    text = next(parse(pressed).iter("failure")).text or ""
    assert "  actual     20 % over\n" in text
    assert (
        "  measured   n 1,491, p50 340 ms (272–408), p95 910 ms (728–1,092), p99 1,800 ms (1,440–2,160), 20 % over"
        in text
    )


def test_a_met_latency_has_its_figures(pressed: Run) -> None:
    case = next(case for case in parse(pressed).iter("testcase") if "GET /api/v1/items" in case.get("name", ""))
    assert case.findtext("system-out") == (
        "n 1,491, p50 21 ms (17–25), p95 140 ms (112–169), p99 230 ms (184–276), 0.80 % over 200 ms (0.40–1.4 %), 9 x 429, 1 x 500"
    )


def test_a_load_without_promises_is_not_green(rich_run: Run) -> None:
    assert parse(replace(rich_run, results=(), exit_status=0)).get("errors") == "1"
