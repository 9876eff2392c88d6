"""The summary for a CI job: what is in it, and that nothing a service sends gets out of its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.unit.report.test_html import run_of

from upheld.report import markdown
from upheld.verdict import Result, Run, Verdict

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def parse(text: str) -> list[Token]:
    """Every token, those within lines too."""
    return [one for token in PARSER.parse(text) for one in (token, *(token.children or ()))]


def shown(text: str) -> str:
    """What a reader sees, without marks."""
    return " ".join(one.content for one in parse(text) if one.type in ("text", "code_inline", "softbreak"))


def test_the_first_line_is_the_verdict(rich_run: Run, large_run: Run, empty_run: Run) -> None:
    first = "## ❌ 3 breaches: 14 of 36 promises that could be judged are broken; 1 advisory, 4 unproven, 1 waived, 1 flaky\n"
    assert markdown.render(rich_run).startswith(first)
    assert markdown.render(large_run).startswith("## ✅ All 300 promises that could be judged are kept\n")
    assert markdown.render(empty_run).startswith("## ⚠️ Nothing was proven\n")


def test_the_table_of_groups(rich_run: Run) -> None:
    text = markdown.render(rich_run)
    assert "|  | upheld | breached | advisory | unproven | waived | not applicable |\n| :-- | --: |" in text
    assert "\n| http | 22 | 12 | 1 | 0 | 1 | 0 |\n" in text
    assert "\n| all | " not in text
    assert "\n| **all** | **22** | **14** | **1** | **4** | **1** | **1** |\n" in text


def test_a_finding_says_what_was_expected_and_how_to_see_it_again(rich_run: Run) -> None:
    assert (
        "- **`ratelimit/retry-after`** `POST /api/v1/auth/login`: a 429 says when to come back<br>\n"
        "  expected `Retry-After: 1 … 60`, actual `no Retry-After`<br>\n"
        "  again: `upheld check contracts/reference --only ratelimit/retry-after`\n"
    ) in markdown.render(rich_run)
    assert "**`http/allow`** `GET /api/v1/things0` and 11 more operations: " in markdown.render(rich_run)


def test_load_has_a_row_for_what_is_not_met_and_folds_the_rest(rich_run: Run) -> None:
    assert rich_run.load is not None
    met, missed = rich_run.load.rows[:2]
    whole = replace(met, name="class crud")
    text = markdown.render(replace(rich_run, load=replace(rich_run.load, rows=(met, missed, whole))))
    head, folded = text[text.index("### Load") :].split("<details>")
    assert "### Load: 50 requests a second for 60 s, open model" in head
    assert (
        "\n| `GET /api/v1/reports/sales` | **missed** | 1,491 | 340 (272–408) | 910 (728–1,092) | 1,800 (1,440–2,160) "
        "| p95 ≤ 500 ms | 20 % (17–24) | 9 | 1 |\n"
    ) in head
    assert "| **class crud** | met | 1,491 | 21 (17–25) | 140 (112–169) | 230 (184–276) |" in head
    assert "- **missed** `GET /api/v1/reports/sales`: 20 % of the answers took longer than 500 ms\n" in head
    assert "GET /api/v1/items" not in head
    assert "| `GET /api/v1/items` | met |" in folded
    assert "<summary>1 more operation: 1 met</summary>" in folded
    assert "- noise floor: " in folded


def test_a_run_that_decides_nothing_says_so(rich_run: Run) -> None:
    assert rich_run.load is not None
    load = replace(rich_run.load, valid=False, reason="worker 2 of 2 is gone", rows=())
    assert "This load run decides nothing: worker 2 of 2 is gone\n" in markdown.render(replace(rich_run, load=load))


def test_a_missed_latency_is_told_once(rich_run: Run, make_result: Callable[..., Result]) -> None:
    assert rich_run.load is not None
    results = [
        make_result(verdict, requirement="latency/p95", subject=row.name, reason=row.reason)
        for verdict, row in zip((Verdict.BREACHED, Verdict.UNPROVEN), rich_run.load.rows[1:3], strict=True)
    ]
    text = markdown.render(replace(rich_run, results=tuple(results)))
    assert "### Breaches" not in text
    assert "### Unproven" not in text
    assert text.count("41 s more would decide") == 1


def test_a_load_that_decided_nothing_is_not_green(rich_run: Run) -> None:
    assert rich_run.load is not None
    undecided = replace(rich_run.load, rows=(rich_run.load.rows[2],))
    assert markdown.render(replace(rich_run, results=(), exit_status=0, load=undecided)).startswith(
        "## ⚠️ Latency under"
    )
    met = replace(rich_run.load, rows=(rich_run.load.rows[0],))
    assert markdown.render(replace(rich_run, results=(), exit_status=0, load=met)).startswith(
        "## ✅ Latency under load is within"
    )


def test_unproven_have_the_line_to_add(rich_run: Run) -> None:
    add = "`identities: {admin: {role: admin, password_env: CONTRACT_ADMIN_PASSWORD}}`"
    assert f"- 3 promises: no admin is given; add {add}\n" in markdown.render(rich_run)


def test_long_lists_and_long_texts_are_cut(make_run: Callable[..., Run], make_result: Callable[..., Result]) -> None:
    results = (make_result(Verdict.UNPROVEN, subject=f"s{at}", reason=f"{'why ' * 200}{at}") for at in range(30))
    text = markdown.render(make_run(*results))
    assert text.count("- `http/allow") == 20
    assert text.endswith("- and 10 more\n")
    assert len(text) < 20 * 600


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(), min_size=1, max_size=30)
    | st.sampled_from(
        [
            "a | b \\| c",
            "```\n~~~",
            "``` ``",
            "<b>x</b> <!-- y",
            "# h",
            "- i",
            "1. j",
            "> q",
            "===",
            "---",
            "@x",
            "*a* _b_ ~~c~~",
            "[x](http://y)",
        ]
    )
)
def test_any_text_stays_in_its_place(said: str) -> None:
    assert kinds(markdown.render(run_of(f"{said}x"))) == kinds(markdown.render(run_of("harmless")))
    assert kinds(markdown.text(said)) == ["paragraph_open", "text", "paragraph_close"] or not said.strip()


def kinds(text: str) -> list[str]:
    """The marks of a text; what it says is one, whatever it says."""
    silent = {"inline", "softbreak", "text_special"}
    found = [one.type for one in parse(text) if one.type not in silent and one.content != "<!-- -->"]
    return [one for at, one in enumerate(found) if one != "text" or found[at - 1] != "text"]


@pytest.mark.parametrize(
    "said",
    [
        "a | b \\| c",
        "a\\",
        "`",
        "``x`",
        "<i>",
        "&amp;",
        "$x$",
        "@someone",
        "#1",
        "5.1 % of 3",
        "1. of",
        "+5 %",
        "- x",
        "---",
        "===",
        "+",
    ],
)
def test_what_was_said_is_what_is_read(said: str) -> None:
    assert shown(f"{markdown.text(said)}").replace("<!-- -->", "") in (said, said.replace("@", "@ "))
    assert shown(markdown.code(said)) == said
    row = f"| a |\n|---|\n| {markdown.code(said, cell=True)} |\n"
    assert shown(row) == f"a {said}"


def test_nobody_is_called_by_name() -> None:
    assert markdown.text("cc @octocat") == "cc @<!-- -->octocat"


def test_hostile_octets(rich_run: Run) -> None:
    text = markdown.render(rich_run)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "html_inline" not in {
        one.type for one in parse(text) if "details" not in one.content and one.content != "<br>"
    }
