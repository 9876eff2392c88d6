"""The JSON report and its schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.report import json_report
from upheld.verdict import LatencyRow, Result, Run, Verdict


def validate(run: Run) -> dict[str, object]:
    """Through text, as readers get it, and strictly: lone surrogates and NaN would not survive."""
    text = json_report.dumps(run)
    document = json.loads(text.encode("utf-8"))
    jsonschema_rs.Draft202012Validator(json_report.schema()).validate(document)
    return document


def test_the_schema_is_one() -> None:
    jsonschema_rs.meta.validate(json_report.schema())


@pytest.mark.parametrize("name", ["rich_run", "empty_run", "large_run"])
def test_reports_satisfy_the_schema(name: str, request: pytest.FixtureRequest) -> None:
    validate(request.getfixturevalue(name))


def test_the_schema_names_every_member(rich_run: Run) -> None:
    """What is written is described: a new member needs its line in the schema."""
    schema = json_report.schema()
    document = json_report.to_json(rich_run)
    evidence = schema["$defs"]["evidence"]["properties"]
    assert set(document) <= set(schema["properties"])
    for member, definition in (("promises", "promise"), ("findings", "finding")):
        described = {*schema["$defs"][definition]["properties"], *evidence}
        assert {name for one in document[member] for name in one} <= described
    rows = schema["$defs"]["load"]["properties"]["rows"]["items"]["properties"]
    assert {name for row in document["load"]["rows"] for name in row} == set(rows)


def test_what_is_counted(rich_run: Run) -> None:
    document = validate(rich_run)
    assert document["schema"] == "upheld.report/1"
    assert document["summary"] == {
        "promises": 43, "upheld": 22, "breached": 14, "advisory": 1, "unproven": 4, "waived": 1, "not_applicable": 1,
        "flaky": 1, "findings": 3,
    }  # fmt: skip
    assert document["exit_status"] == 1
    assert document["coverage"]["reached"] == 2
    assert document["coverage"]["not_reached"][0] == "DELETE /api/v1/items/{id}"


def test_one_cause_is_one_finding_with_its_subjects(rich_run: Run) -> None:
    findings = {one["requirement"]: one for one in validate(rich_run)["findings"]}
    assert len(findings["http/allow"]["subjects"]) == 12
    assert findings["ratelimit/retry-after"]["actual"] == "no Retry-After"
    assert findings["http/head"]["verdict"] == "advisory"
    assert "http/flicker" not in findings


def test_what_a_promise_says(rich_run: Run) -> None:
    promises = {one["requirement"]: one for one in validate(rich_run)["promises"]}
    assert promises["ratelimit/retry-after"]["catalogue"] == ["RATE-03"]
    assert promises["auth/role-0"]["add"].startswith("identities:")
    assert promises["http/trace"]["waived_until"] == "2027-06-30"
    assert promises["http/flicker"]["flaky"] is True
    assert promises["http/flicker"]["sent"]
    assert promises["http/allow"]["id"] == f"http/allow[{promises['http/allow']['subject']}]"


def test_a_breach_without_evidence_is_told_all_the_same(
    make_run: Callable[..., Run], make_result: Callable[..., Result]
) -> None:
    promise = validate(make_run(make_result(Verdict.BREACHED)))["promises"][0]
    assert promise["required"] == "a 405 names the methods that are allowed (RFC 9110 §15.5.6)"


def test_no_control_characters_and_no_surrogates(rich_run: Run) -> None:
    text = json_report.dumps(rich_run)
    assert r"\u001b" not in text
    assert not {char for char in text if not char.isprintable()} - {"\n"}


def test_numbers_that_json_lacks_become_null(rich_run: Run) -> None:
    assert rich_run.load is not None
    row: LatencyRow = replace(rich_run.load.rows[0], p99_ms=float("inf"), limit_ms=float("nan"))
    document = validate(replace(rich_run, load=replace(rich_run.load, rows=(row,))))
    assert document["load"]["rows"][0]["p99_ms"] is None


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Z", "C"]), max_size=30))
def test_any_text_can_be_written(text: str) -> None:
    result = Result(
        requirement="a/b", subject=text, title=text, level="MAY", clause=text, clause_url=text, catalogue=(text,),
        verdict=Verdict.UNPROVEN, reason=text, add=text,
    )  # fmt: skip
    validate(
        Run(contract=text, target=text, version=text, started=text, seconds=1, requests=1, seed=1, results=(result,),
            notes=(text,), coverage={text: {text: 1}}, phases=((text, 1.0, 1),), stopped=text, target_output=text)
    )  # fmt: skip
