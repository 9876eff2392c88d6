"""What every report needs of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from upheld.report import digest
from upheld.report.clean import one_line, visible
from upheld.verdict import LoadRun, Result, Run, Verdict

MakeRun = Callable[..., Run]
MakeResult = Callable[..., Result]


def test_without_a_cause_every_result_is_told(make_run: MakeRun, make_result: MakeResult) -> None:
    run = make_run(*(make_result(Verdict.BREACHED, subject=subject) for subject in "ab"))
    assert len(digest.findings(run, Verdict.BREACHED)) == 2


def test_one_cause_in_two_requirements_is_two_findings(make_run: MakeRun, make_result: MakeResult) -> None:
    run = make_run(*(make_result(Verdict.BREACHED, requirement=f"a/{name}", cause="x") for name in "cb"))
    assert [told.first.requirement for told in digest.findings(run, Verdict.BREACHED)] == ["a/b", "a/c"]


def test_what_is_flaky_is_told_apart_only(make_run: MakeRun, make_result: MakeResult) -> None:
    run = make_run(make_result(Verdict.UNPROVEN, flaky=True, reason="did not repeat"))
    assert len(digest.flaky(run)) == 1
    assert digest.unproven(run) == []


@pytest.mark.parametrize(
    ("verdicts", "changes", "sentence"),
    [
        ([], {}, "Nothing was proven"),
        (["upheld"], {}, "The one promise judged is kept"),
        (["upheld", "upheld", "unproven"], {}, "All 2 promises that could be judged are kept; 1 unproven"),
        (["breached"], {"exit_status": 1}, "1 breach: the only promise that could be judged is broken"),
        (["breached", "upheld"], {"exit_status": 1}, "1 breach: 1 of 2 promises that could be judged is broken"),
        (["unproven", "unproven"], {}, "Nothing was proven; 2 unproven"),
        (["upheld"], {"stopped": "Ctrl-C", "exit_status": 130}, "Stopped before the end: the one promise judged is kept"),
        ([], {"exit_status": 3}, "The target could not be judged to the end: nothing was proven"),
        (["upheld"], {"exit_status": 4},
         "The run failed by a defect of Upheld, not of the service: the one promise judged is kept"),
        (["advisory", "advisory", "upheld"], {}, "The one promise judged is kept; 2 advisories"),
    ],
)  # fmt: skip
def test_the_run_in_a_sentence(
    verdicts: list[str], changes: dict[str, Any], sentence: str, make_run: MakeRun, make_result: MakeResult
) -> None:
    results = [make_result(Verdict(verdict), subject=f"s{at}") for at, verdict in enumerate(verdicts)]
    assert digest.conclusion(make_run(*results, **changes)) == sentence


@pytest.mark.parametrize(
    ("valid", "verdict", "sentence"),
    [
        (True, "met", "Latency under load is within what is promised"),
        (True, "missed", "Latency under load is above what is promised"),
        (True, "not decided", "Latency under load is too near to what is promised to decide; run longer"),
        (True, "invalid", "The load run decides nothing: too slow"),
        (False, "met", "The load run decides nothing: too slow"),
    ],
)
def test_a_load_run_in_a_sentence(valid: bool, verdict: str, sentence: str, rich_run: Run, make_run: MakeRun) -> None:
    from dataclasses import replace

    assert rich_run.load is not None
    rows = (replace(rich_run.load.rows[0], verdict=verdict),)
    load: LoadRun = replace(rich_run.load, rows=rows, valid=valid, reason="too slow")
    assert digest.conclusion(make_run(load=load)) == sentence


def test_coverage_counts_2xx_only(make_run: MakeRun) -> None:
    run = make_run(coverage={"GET /a": {"200": 1}, "GET /b": {"204": 0, "404": 2}, "GET /c": {}})
    assert digest.coverage(run) == digest.Coverage(("GET /a",), ("GET /b", "GET /c"))


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.84, "0.8 s"), (9.96, "10 s"), (119.6, "2 min 0 s"), (185.0, "3 min 5 s")]
)
def test_durations(seconds: float, said: str) -> None:
    assert digest.duration(seconds) == said


def test_operations_are_called_so(make_result: MakeResult) -> None:
    assert digest.noun(["GET /a", "DELETE /b/{c}"], 2) == "operations"
    assert digest.noun(["GET /a"], 1) == "operation"
    assert digest.noun(["service"], 2) == "promises"


def test_what_prints_nothing_is_made_visible(nasty: str) -> None:
    assert visible("\x1b[2J\u202e\ud800\x00\t\n\u200b") == "\\x1b[2J\\u202e\\ud800\\x00\\t\n\\u200b"
    assert visible("0.8 s – „ä“ 😀") == "0.8 s – „ä“ 😀"
    assert one_line("a\r\n  b\x1c") == "a b"
    assert all(char.isprintable() or char == "\n" for char in visible(nasty))
