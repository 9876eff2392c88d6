"""Who may do what, as a table: the same in every report."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import jsonschema_rs
import pytest
from rich.console import Console
from tests.unit.report.conftest import NASTY
from tests.unit.report.test_html import Page

from upheld.report import html, json_report, terminal
from upheld.report.matrix import ANONYMOUS, folded, matrix
from upheld.verdict import CellResult, Evidence, Result, Run, Verdict

MakeRun = Callable[..., Run]
MakeResult = Callable[..., Result]
EVIDENCE = Evidence("as user", "only admin may", "403", "204 for the role user", "upheld check .")


@pytest.fixture
def row(make_result: MakeResult) -> MakeResult:
    """The result of one operation: ``row("GET /a", user=("denied", "403"))``; a third word is the verdict."""

    def made(operation: str, verdict: Verdict = Verdict.UPHELD, **cells: tuple[str, ...]) -> Result:
        return make_result(
            verdict,
            requirement="authz/role-matrix",
            subject=operation,
            evidence=EVIDENCE if verdict is Verdict.BREACHED else None,
            cells=tuple(
                CellResult(role, cell[0], cell[1], Verdict(cell[2]) if cell[2:] else Verdict.UPHELD)
                for role, cell in cells.items()
            ),
        )

    return made


@pytest.fixture
def roles_run(make_run: MakeRun, make_result: MakeResult, row: MakeResult) -> Run:
    """Two roles and nobody: everything that a cell can be."""
    return make_run(
        row("GET /v1/me", user=("allowed", "200"), admin=("allowed", "200")),
        row(
            "DELETE /v1/items/{id}",
            Verdict.BREACHED,
            user=("denied", "204", "breached"),
            admin=("allowed", "204"),
        ),
        row("PUT /v1/items/{id}", user=("denied", "403"), admin=("allowed", "200")),
        row(
            "POST /v1/flush",
            Verdict.UNPROVEN,
            user=("denied", "", "unproven"),
            admin=("allowed", "", "unproven"),
        ),
        row("PATCH /v1/old", Verdict.WAIVED, user=("denied", "200", "waived"), admin=("allowed", "200")),
        *(
            make_result(verdict, requirement="auth/credentials-required", subject=subject, evidence=evidence)
            for verdict, subject, evidence in (
                (Verdict.UPHELD, "GET /v1/me", None),
                (Verdict.BREACHED, "PUT /v1/items/{id}", EVIDENCE),
            )
        ),
        coverage={
            name: {}
            for name in (
                "GET /v1/me",
                "PUT /v1/items/{id}",
                "DELETE /v1/items/{id}",
                "POST /v1/flush",
                "PATCH /v1/old",
            )
        },
    )


def printed(run: Run, *, ascii_only: bool = False, width: int = 100, verbose: bool = False) -> str:
    class Plain(io.StringIO):
        encoding = "ascii"

    file = Plain() if ascii_only else io.StringIO()
    terminal.render(run, Console(file=file, width=width, _environ={}), verbose=verbose)
    return file.getvalue()


def table(text: str) -> list[list[str]]:
    lines = text[text.index("who may do what") :].splitlines()
    return [line.split() for line in lines[1 : next(at for at, line in enumerate(lines) if line.startswith("  "))]]


# -- the table -----------------------------------------------------------------------------------------------------------


def test_a_row_an_operation_in_the_order_of_the_contract(roles_run: Run) -> None:
    found = matrix(roles_run)
    assert found is not None
    assert found.roles == (ANONYMOUS, "user", "admin")
    assert [one.operation for one in found.rows] == list(roles_run.coverage)
    signs = {one.operation: [one.cells[role].sign for role in found.roles if role in one.cells] for one in found.rows}
    assert signs == {
        "GET /v1/me": ["denied", "allowed", "allowed"],
        "PUT /v1/items/{id}": ["breached", "denied", "allowed"],
        "DELETE /v1/items/{id}": ["breached", "allowed"],
        "POST /v1/flush": ["unproven", "unproven"],
        "PATCH /v1/old": ["waived", "allowed"],
    }


def test_nobody_has_a_column_only_where_that_was_judged(make_run: MakeRun, row: MakeResult) -> None:
    found = matrix(make_run(row("GET /a", user=("allowed", "200"), admin=("allowed", "200"))))
    assert found is not None
    assert found.roles == ("user", "admin")


def test_a_role_may_be_called_anonymous(make_run: MakeRun, make_result: MakeResult, row: MakeResult) -> None:
    results = (
        row("GET /a", anonymous=("allowed", "200"), admin=("allowed", "200")),
        make_result(requirement="auth/credentials-required", subject="GET /a"),
    )
    found = matrix(make_run(*results))
    assert found is not None
    assert found.roles == ("anonymous", "admin")
    assert found.rows[0].cells["anonymous"].sign == "allowed"


def test_one_role_is_no_table(make_run: MakeRun, row: MakeResult, rich_run: Run) -> None:
    only = make_run(row("GET /a", user=("allowed", "200")))
    assert matrix(only) is None
    assert matrix(rich_run) is None
    assert "who may do what" not in printed(only)
    assert "Who may do what" not in Page(html.render(only)).text


def test_an_unknown_expectation_is_never_kept(make_run: MakeRun, row: MakeResult) -> None:
    found = matrix(make_run(row("GET /a", user=("unknown", "200"), admin=("allowed", "200"))))
    assert found is not None
    assert found.rows[0].cells["user"].sign == "unproven"


# -- on the terminal -----------------------------------------------------------------------------------------------------


def test_the_terminal_has_a_sign_a_cell(roles_run: Run) -> None:
    text = printed(roles_run)
    assert table(text) == [
        ["GET", "/v1/me", "–", "✓", "✓"],
        ["PUT", "/v1/items/{id}", "✗", "–", "✓"],
        ["DELETE", "/v1/items/{id}", "✗", "✓"],
        ["POST", "/v1/flush", "?", "?"],
        ["PATCH", "/v1/old", "w", "✓"],
    ]
    assert "  ✓ let in as promised, – refused as promised, ✗ breached, ? unproven, w waived\n" in text
    assert text.index("who may do what") > text.index("upheld  breached")


def test_a_terminal_without_the_signs_gets_others(roles_run: Run) -> None:
    text = printed(roles_run, ascii_only=True)
    assert table(text)[1] == ["PUT", "/v1/items/{id}", "X", "-", "+"]
    assert "  + let in as promised, - refused as promised, X breached" in text


def test_a_long_table_is_folded_by_path_and_shows_what_is_broken(make_run: MakeRun, row: MakeResult) -> None:
    fine = [row(f"GET /v1/{'ab'[at % 2]}/{at}", user=("denied", "403"), admin=("allowed", "200")) for at in range(41)]
    broken = row("PUT /v1/b/x", Verdict.BREACHED, user=("denied", "200", "breached"), admin=("allowed", "200"))
    run = make_run(*fine, broken)
    text = printed(run)
    assert table(text) == [
        ["/v1/a", "(21)", "21–", "21✓"],
        ["/v1/b", "(21)", "20–", "1✗", "21✓"],
        ["PUT", "/v1/b/x", "✗", "✓"],
    ]
    assert "folded by path" in text
    assert len(table(printed(run, verbose=True))) == 42
    assert "folded by path" not in printed(run, verbose=True)
    found = matrix(make_run(*fine[:40]))
    assert found is not None
    assert folded(found) == ((), found.rows)


def test_many_roles_are_shown_in_lots_that_fit(make_run: MakeRun, row: MakeResult) -> None:
    roles = {f"role{at:02}": ("allowed", "200") for at in range(30)}
    text = printed(make_run(row("GET /v1/things", **roles)))
    assert text.count("who may do what") > 1
    assert all(role in text for role in roles)
    assert max(map(len, text[text.index("who may do what") :].splitlines())) <= 100


# -- in the files --------------------------------------------------------------------------------------------------------


def test_json_has_the_table_and_each_promise_its_cells(roles_run: Run) -> None:
    document = json.loads(json_report.dumps(roles_run))
    jsonschema_rs.Draft202012Validator(json_report.schema()).validate(document)
    assert document["matrix"]["roles"] == ["anonymous", "user", "admin"]
    assert document["matrix"]["rows"][2] == {
        "operation": "DELETE /v1/items/{id}",
        "cells": {
            "user": {"expected": "denied", "seen": "204", "verdict": "breached"},
            "admin": {"expected": "allowed", "seen": "204", "verdict": "upheld"},
        },
    }
    cells = next(one["cells"] for one in document["promises"] if one["subject"] == "GET /v1/me")
    assert cells[0] == {"role": "user", "expected": "allowed", "seen": "200", "verdict": "upheld", "reason": ""}


def test_json_says_null_where_no_roles_are_told_apart(rich_run: Run) -> None:
    document = json.loads(json_report.dumps(rich_run))
    assert document["matrix"] is None
    assert not [one for one in document["promises"] if "cells" in one]


def test_the_schema_names_every_member_of_the_table(roles_run: Run) -> None:
    schema = json_report.schema()["$defs"]
    document = json_report.to_json(roles_run)
    cell = schema["matrix"]["properties"]["rows"]["items"]["properties"]["cells"]["additionalProperties"]["properties"]
    assert {name for row in document["matrix"]["rows"] for one in row["cells"].values() for name in one} == set(cell)
    said = schema["promise"]["properties"]["cells"]["items"]["properties"]
    assert {name for one in document["promises"] for found in one.get("cells", ()) for name in found} == set(said)


def test_the_page_leads_from_a_breach_to_its_block(roles_run: Run) -> None:
    page = Page(html.render(roles_run))
    assert len(page.ids) == len(set(page.ids))
    text = html.render(roles_run)
    start = text.index('<section id="matrix">')
    section = Page(text[start : text.index("</section>", start) + len("</section>")])
    assert "DELETE /v1/items/{id} ✗ denied 204 ✓ allowed 204" in section.text
    links = [link["href"][1:] for link in section.all("a")]
    assert set(links) <= set(page.ids)
    blocks = {one["id"] for one in page.all("article") if one.get("class") == "finding"}
    assert len([link for link in links if link in blocks]) == 2


def test_hostile_words_stay_in_their_cell(make_run: MakeRun, make_result: MakeResult) -> None:
    cells = (
        CellResult(NASTY, "allowed", NASTY, Verdict.UNPROVEN, NASTY),
        CellResult("user", "denied", "403", Verdict.UPHELD),
    )
    run = make_run(make_result(requirement="authz/role-matrix", subject=NASTY, cells=cells))
    page = Page(html.render(run))
    assert not page.all("img")
    assert "[bold]b[/bold]" in page.text
    assert "\x1b" not in printed(run)
    jsonschema_rs.Draft202012Validator(json_report.schema()).validate(json.loads(json_report.dumps(run)))
