"""What a run exercised, as tables."""

from __future__ import annotations

from collections.abc import Callable

from upheld.report import exercised
from upheld.report.exercised import Count
from upheld.verdict import Result, Run, Verdict

MakeRun = Callable[..., Run]
MakeResult = Callable[..., Result]


def test_a_status_is_documented_by_its_number_its_class_or_the_default(make_run: MakeRun) -> None:
    run = make_run(
        coverage={name: {"200": 3, "404": 1} for name in ("GET /number", "GET /class", "GET /default", "GET /less")},
        documented={
            "GET /number": ("200", "404"),
            "GET /class": ("2XX", "4xx"),
            "GET /default": ("default",),
            "GET /less": ("200",),
        },
    )
    kinds = {row.operation: row.counts["404"].kind for row in exercised.statuses(run).rows}
    assert kinds == {
        "GET /number": "seen", "GET /class": "seen", "GET /default": "seen", "GET /less": "undocumented",
    }  # fmt: skip


def test_what_was_documented_and_never_answered_has_its_place(make_run: MakeRun) -> None:
    run = make_run(coverage={"GET /a": {"200": 2}}, documented={"GET /a": ("200", "404", "5XX", "default")})
    (row,) = exercised.statuses(run).rows
    assert row.counts == {"200": Count(2, "seen"), "404": Count(0, "unseen")}
    assert exercised.statuses(run).columns == ("200", "404")


def test_without_documented_statuses_none_is_undocumented(make_run: MakeRun) -> None:
    table = exercised.statuses(make_run(coverage={"GET /a": {"200": 2, "404": 0}}))
    assert table.kinds == {"seen"}
    assert table.columns == ("200",)


def test_what_was_not_reached_comes_first_and_totals_add_up(make_run: MakeRun) -> None:
    run = make_run(coverage={"GET /a": {"200": 2, "404": 1}, "GET /b": {"404": 3}, "GET /c": {}})
    table = exercised.statuses(run)
    assert [(row.operation, row.reached, row.total) for row in table.rows] == [
        ("GET /b", False, 3), ("GET /c", False, 0), ("GET /a", True, 3),
    ]  # fmt: skip
    assert table.totals == {"200": 2, "404": 4}


def test_a_clause_counts_what_was_put_to_the_test(make_run: MakeRun, make_result: MakeResult) -> None:
    run = make_run(
        make_result(clause="RFC 2", judged=3),
        make_result(Verdict.BREACHED, clause="RFC 2", judged=2, requirement="http/other"),
        make_result(Verdict.UNPROVEN, clause="RFC 2", judged=0),
        make_result(Verdict.UNPROVEN, clause="RFC 3", judged=0),
        make_result(Verdict.NOT_APPLICABLE, clause="RFC 1", judged=0),
    )
    assert [
        (one.text, one.requirements, one.exercised, len(one.results), one.judged) for one in exercised.clauses(run)
    ] == [
        ("RFC 1", ("http/allow",), 0, 1, 0),
        ("RFC 3", ("http/allow",), 0, 1, 0),
        ("RFC 2", ("http/allow", "http/other"), 2, 3, 5),
    ]
