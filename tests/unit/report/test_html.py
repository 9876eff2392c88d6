"""The page: what is on it, and that nothing a service sends can get out of its place."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upheld.checks import catalogue
from upheld.report import html
from upheld.verdict import Evidence, Result, Run, Verdict

VOID = {"meta", "link", "br", "img", "input", "rect", "path", "line", "hr", "col"}


class Page(HTMLParser):
    """The elements of a page, their attributes and their text; unbalanced tags fail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("script", "style", "title"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_what_is_said_first(rich_run: Run) -> None:
    text = Page(html.render(rich_run)).text
    places = [
        text.index(part)
        for part in (
            "3 breaches: 14 of 36 promises that could be judged are broken.",
            "http://127.0.0.1:8500", "contracts/reference", "74 s", "12,345", "credential lost after",
            "22 upheld", "14 breached", "Breaches",
        )
    ]  # fmt: skip
    assert places == sorted(places)


def test_a_breach_has_its_lines_and_commands_to_copy(rich_run: Run) -> None:
    page = Page(html.render(rich_run))
    assert "sent 11 logins in 0.8 s from one address required 429 carries Retry-After" in page.text
    assert "and 11 more operations, for the same reason" in page.text
    assert any(button.get("class") == "copy" for button in page.all("button"))
    assert "--data-raw 'a  b'" in "".join(page.texts)


def test_unproven_have_the_line_to_add(rich_run: Run) -> None:
    assert "no admin is given identities: {admin: {role: admin, password_env: CONTRACT_ADMIN_PASSWORD}}" in (
        Page(html.render(rich_run)).text
    )


def test_every_promise_has_a_row_and_a_cell_that_leads_to_it(rich_run: Run) -> None:
    page = Page(html.render(rich_run))
    rows = {row["id"] for row in page.all("tr") if "data-verdict" in row}
    cells = [link["href"][1:] for link in page.all("a") if link.get("class", "").startswith("c-")]
    assert len(rows) == len(rich_run.results)
    assert sorted(cells) == sorted(rows)


def test_of_many_promises_requirements_have_a_cell(huge_run: Run) -> None:
    page = Page(html.render(huge_run))
    cells = {link["title"]: link["class"] for link in page.all("a") if link.get("class", "").startswith("c-")}
    assert len(cells) == len({result.requirement for result in huge_run.results})
    assert cells["group7/requirement-7: 30 breached"] == "c-breached"


def test_many_promises_make_no_heavy_page(huge_run: Run) -> None:
    without = replace(huge_run, results=())
    octets = len(html.render(huge_run).encode()) - len(html.render(without).encode())
    assert octets / len(huge_run.results) < 300


def test_ids_are_unique_and_links_inside_lead_somewhere(rich_run: Run) -> None:
    page = Page(html.render(rich_run))
    assert len(page.ids) == len(set(page.ids))
    for link in page.all("a"):
        assert not link["href"].startswith("#") or link["href"][1:] in page.ids


def test_it_needs_no_network(rich_run: Run) -> None:
    text = html.render(rich_run)
    page = Page(text)
    assert not [one for one in page.all("script") + page.all("link") + page.all("img") if "src" in one or "href" in one]
    assert not re.search(r"@import|url\(", text[text.index("<style>") : text.index("</style>")])
    assert {link["href"].split(":")[0] for link in page.all("a") if not link["href"].startswith("#")} == {"https"}


def test_only_its_own_script_may_run(rich_run: Run) -> None:
    text = html.render(rich_run)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    own = b64encode(sha256(scripts[0].encode()).digest()).decode()
    policy = next(meta["content"] for meta in Page(text).all("meta") if "http-equiv" in meta)
    assert f"script-src 'sha256-{own}'" in policy
    assert "default-src 'none'" in policy


def test_hostile_octets_are_shown_and_do_nothing(rich_run: Run) -> None:
    text = html.render(rich_run)
    page = Page(text)
    assert "<script>alert(1)</script> <img src=x onerror=alert(1)> [bold]b[/bold]" in page.text
    assert "{{ 7*7 }}" in page.text
    assert not page.all("img")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil.test", "https://a b", "", " https://x"]
)
def test_links_lead_to_the_web_or_nowhere(url: str) -> None:
    assert html.link(url) == ""


@settings(max_examples=25, deadline=None)
@given(
    st.text(st.characters(), max_size=40)
    | st.sampled_from(["'\"><x y=", "--><b>", "]]><b>", "</style><b>", "</title><b>"])
)
def test_any_text_stays_in_its_place(text: str) -> None:
    elements = [tag for tag, _ in Page(html.render(run_of(text or "-"))).elements]
    assert elements == [tag for tag, _ in Page(html.render(run_of("harmless"))).elements]


def run_of(text: str) -> Run:
    """A run that says ``text`` wherever it can."""
    evidence = Evidence(text, text, text, text, text, text)
    results = tuple(
        Result(
            requirement="a/b", subject=text, title=text, level=text, clause=text, clause_url=text,
            catalogue=(text,), verdict=verdict, evidence=evidence, reason=text, add=text, cause=text, waived_until=text,
        )
        for verdict in Verdict
    )  # fmt: skip
    return Run(
        contract=text, target=text, version=text, started=text, seconds=1, requests=1, seed=1, results=results,
        notes=(text,), coverage={text: {f"x{text}": 1}}, phases=((text, 1.0, 1),), stopped=text, target_output=text,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["empty_run", "large_run", "rich_run"])
def test_every_run_has_a_page(name: str, request: pytest.FixtureRequest) -> None:
    Page(html.render(request.getfixturevalue(name)))


def test_nothing_proven_is_not_green(empty_run: Run) -> None:
    page = Page(html.render(empty_run))
    assert "Nothing was proven." in page.text
    assert page.all("h1") == [{"class": "t-unproven"}]


def test_a_green_headline_says_what_is_unproven(
    make_run: Callable[..., Run], make_result: Callable[..., Result]
) -> None:
    page = Page(html.render(make_run(make_result(), make_result(Verdict.UNPROVEN, subject="b", reason="why"))))
    assert "The one promise judged is kept; 1 unproven." in page.text


def test_why_a_run_stopped_is_the_first_note(rich_run: Run) -> None:
    text = Page(html.render(replace(rich_run, stopped="the budget of 100 requests"))).text
    assert text.index("stopped: the budget") < text.index("credential lost")


def test_requirements_that_hold_everywhere_are_folded(
    make_run: Callable[..., Run], make_result: Callable[..., Result]
) -> None:
    page = Page(html.render(make_run(make_result(), make_result(Verdict.BREACHED, requirement="x/y"))))
    assert ["data-quiet" in body for body in page.all("tbody")] == [True, False]


def test_latency_is_drawn_for_each_operation(rich_run: Run) -> None:
    page = Page(html.render(rich_run))
    labels = [svg["aria-label"] for svg in page.all("svg") if "aria-label" in svg]
    assert "p95 910 ms, bounds 728–1,092 ms, target 500 ms" in labels
    assert "p95 980 ms, bounds from 700 ms, target 1,000 ms" in labels
    assert "p50 340 ms, p95 910 ms, p99 1,800 ms, limit 500 ms" in labels
    assert "Share over the limit by second: 18 % in all, at most 36 %; 5.0 % is allowed" in labels
    assert labels.count("no sample") == 1
    assert len(labels) == 4 + 2 + 3


def test_every_row_has_its_figures_and_leads_to_what_is_drawn_of_it(rich_run: Run) -> None:
    page = Page(html.render(rich_run))
    assert "GET /api/v1/reports/sales p95 ≤ 500 ms missed 1,491 340 910 (728–1,092) 1,800 20 % (17–24) 9 1" in page.text
    leads = [link["href"] for link in page.all("a") if re.fullmatch(r"#l\d", link["href"])]
    assert sorted(leads) == ["#l0", "#l1", "#l2", "#l3"]
    assert {"l0", "l1", "l2", "l3"} <= set(page.ids)
    assert "∞: so many" not in page.text


def test_what_is_known_of_the_generator_is_told(rich_run: Run) -> None:
    text = Page(html.render(rich_run)).text
    assert "The generator was at most 3.2 ms late itself for 99 of 100 requests. Noise floor: 95 of 100" in text
    assert "2 generator processes sent 6,001 requests: 0 sent 3,000 (3.2 ms late, 10% of a processor)" in text


def test_operations_are_folded_below_a_class_where_all_is_met(rich_run: Run) -> None:
    assert rich_run.load is not None
    met = rich_run.load.rows[0]
    for verdict, opened in (("met", False), ("missed", True)):
        rows = (replace(met, verdict=verdict), replace(met, name="class crud"))
        page = Page(html.render(replace(rich_run, results=(), load=replace(rich_run.load, rows=rows))))
        assert "1 operation of class crud" in page.text
        assert ["open" in one for one in page.all("details") if one.get("class") == "others"] == [opened]


def test_reasons_that_differ_in_figures_only_are_one(
    make_run: Callable[..., Run], make_result: Callable[..., Result]
) -> None:
    results = (
        make_result(Verdict.UNPROVEN, requirement="latency/p95", subject=f"GET /{at}", reason=f"{at} s more")
        for at in (1, 2)
    )
    assert "GET /1: 1 s more 2 promises" in Page(html.render(make_run(*results))).text


def test_when_is_told_with_its_offset(rich_run: Run) -> None:
    assert "4 March 2026, 10:20 UTC+01:00" in Page(html.render(rich_run)).text


# -- the pages of checks ---------------------------------------------------------------------------------------------


def test_a_breach_has_the_page_of_its_check_once(
    make_run: Callable[..., Run], make_result: Callable[..., Result]
) -> None:
    evidence = Evidence("PUT /a", "a 405 names the methods", "Allow", "no Allow", "upheld check . --only http/allow")
    breaches = (make_result(Verdict.BREACHED, subject=subject, evidence=evidence) for subject in ("GET /a", "GET /b"))
    other = make_result(Verdict.BREACHED, requirement="house/rule", evidence=evidence)
    page = Page(html.render(make_run(*breaches, other), catalogue()))
    assert [one["id"] for one in page.all("details") if one.get("class") == "manual"] == ["mf0"]
    assert page.text.count("When to waive it") == 1
    assert "#mf0" in [link["href"] for link in page.all("a")]


# -- what was exercised ----------------------------------------------------------------------------------------------


def test_coverage_is_a_table_of_operations_by_statuses(rich_run: Run) -> None:
    text = Page(html.render(rich_run)).text
    assert "DELETE /api/v1/items/{id} not reached – 3 3" in text
    assert "GET /api/v1/items 40 – 2 * 42" in text
    assert "POST /api/v1/items 12 30 42" in text


def test_clauses_say_how_often_they_were_judged(rich_run: Run) -> None:
    assert "RFC 9110 §10.2.3 ratelimit/retry-after 1 of 1 3" in Page(html.render(rich_run)).text


# -- the filter ------------------------------------------------------------------------------------------------------


def test_whatever_tells_of_promises_names_those_that_are_on_the_page(rich_run: Run) -> None:
    page = Page(html.render(rich_run))
    told = [set(attributes["data-tells"].split()) for _, attributes in page.elements if "data-tells" in attributes]
    assert len(told) > 10
    assert set().union(*told) <= {name[1:] for name in page.ids if re.fullmatch(r"p\d+", name)}


def test_an_address_sets_a_filter_to_what_the_control_offers() -> None:
    assert html.fragment("operation", "GET /a/{id}") == "operation=GET+%2Fa%2F%7Bid%7D"
    assert html.fragment("operation", "\ud800") == "operation=%5Cud800"
