"""The page in a real browser: its filter, its address, its keys, its colours, and what is left of it without script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.browser import Chromium, Page

from upheld.checks import catalogue
from upheld.report import html
from upheld.verdict import Run, Verdict

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("chromium")]

Show = Callable[..., Page]
TOLD = "document.querySelector('.filters output').value"
FRAGMENT = "location.hash"
FOCUSED = "document.activeElement"
SEEN = "el => el.checkVisibility({visibilityProperty: true})"
CHOOSE = "(name, value) => { const c = document.forms[0].elements[name]; c.value = value; c.dispatchEvent(new Event('input', {bubbles: true})); }"
CONTRASTS = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = (css) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, share, at) => {
    const v = c[at] / 255;
    return sum + share * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = (el) => {
    for (; el; el = el.parentElement) { const c = rgb(getComputedStyle(el).backgroundColor); if (c[3]) return c; }
  };
  const low = new Set();
  for (const el of document.querySelectorAll("body *")) {
    if (el.closest("svg") || !el.checkVisibility() || ![...el.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const [one, other] = [light(rgb(getComputedStyle(el).color)), light(behind(el))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) low.add(`${el.tagName}.${el.className} ${ratio.toFixed(2)}`);
  }
  return [...low];
})()"""
"""Texts whose contrast to what is behind them is below 4.5:1 (WCAG 2.2, 1.4.3)."""


@pytest.fixture
def show(chromium: Chromium, tmp_path: Path) -> Show:
    def show(run: Run, fragment: str = "", width: int = 1280, scheme: str = "light", script: bool = True) -> Page:
        file = tmp_path / "report.html"
        file.write_text(html.render(run, catalogue()), encoding="utf-8")
        page = chromium.page()
        page.size(width, 800)
        page.scheme(scheme)
        if not script:
            page.without_script()
        page.open(file.as_uri() + fragment)
        return page

    return show


def shown(page: Page, selector: str) -> list[str]:
    """The texts of what can be seen."""
    texts: list[str] = page.ask(
        f"[...document.querySelectorAll({selector!r})].filter({SEEN}).map(el => el.textContent.trim())"
    )
    return texts


def choose(page: Page, name: str, value: str) -> None:
    page.ask(f"({CHOOSE})({name!r}, {value!r})")


# -- the filter ------------------------------------------------------------------------------------------------------


def test_a_filter_leaves_what_fits_and_says_how_much(show: Show, rich_run: Run) -> None:
    page = show(rich_run)
    assert page.ask(TOLD) == f"{len(rich_run.results)} promises"
    choose(page, "verdict", "breached")
    assert page.ask(TOLD) == f"14 of {len(rich_run.results)} promises"
    assert page.ask("document.querySelector('.filters output').getAttribute('aria-live')") == "polite"
    assert set(shown(page, "tr[data-verdict] td:nth-child(2)")) == {"breached"}
    assert len(shown(page, "#breaches .finding")) == 3
    assert shown(page, "#advisories, #unproven, #waived") == []
    choose(page, "group", "ratelimit")
    assert page.ask(TOLD) == f"1 of {len(rich_run.results)} promises"
    assert len(shown(page, "#breaches .finding")) == 1


def test_a_level_and_an_operation_are_filters_too(show: Show, rich_run: Run) -> None:
    page = show(rich_run)
    choose(page, "level", "SHOULD")
    assert shown(page, "tr[data-verdict] td:nth-child(2)") == ["advisory"]
    choose(page, "level", "")
    choose(page, "operation", "GET /api/v1/items")
    subjects = shown(page, "tr[data-verdict] td:first-child")
    assert set(subjects) == {"GET /api/v1/items"}
    assert len(subjects) == sum(result.subject == "GET /api/v1/items" for result in rich_run.results)


def test_words_are_looked_for_as_they_are_written(show: Show, rich_run: Run) -> None:
    page = show(rich_run)
    page.press("/")
    assert page.ask(f"{FOCUSED}.name") == "text"
    page.write("RETRY-after 429")
    assert page.ask(TOLD) == f"1 of {len(rich_run.results)} promises"
    assert page.ask(FRAGMENT) == "#text=RETRY-after+429"


def test_no_filter_shows_all_again(show: Show, rich_run: Run) -> None:
    page = show(rich_run, "#verdict=breached")
    page.ask("document.querySelector('[type=reset]').click()")
    assert page.ask(f"new Promise(done => setTimeout(() => done({TOLD})))") == f"{len(rich_run.results)} promises"
    assert page.ask(FRAGMENT) == ""


# -- the address -----------------------------------------------------------------------------------------------------


def test_the_address_says_what_is_shown(show: Show, rich_run: Run) -> None:
    page = show(rich_run)
    choose(page, "verdict", "unproven")
    choose(page, "group", "auth")
    fragment = page.ask(FRAGMENT)
    assert fragment == "#group=auth&verdict=unproven"
    again = show(rich_run, fragment)
    assert again.ask(TOLD) == page.ask(TOLD) == f"3 of {len(rich_run.results)} promises"
    assert again.ask("document.forms[0].elements.group.value") == "auth"


def test_an_address_of_something_else_shows_all(show: Show, rich_run: Run) -> None:
    page = show(rich_run, "#verdict=nonsense&colour=red")
    assert page.ask(TOLD) == f"{len(rich_run.results)} promises"


def test_a_count_and_a_group_and_an_operation_lead_to_their_promises(show: Show, rich_run: Run) -> None:
    page = show(rich_run)
    items = sum(result.subject == "GET /api/v1/items" for result in rich_run.results)
    for selector, told in ((".counts a", 22), (".ledger dt a", 3), ("#coverage tbody tr:nth-child(3) a", items)):
        page.ask(f"document.querySelector({selector!r}).focus()")
        page.press("Enter")
        # The address changes at once, what follows from it a task later.
        page.ask("new Promise(done => setTimeout(done))")
        assert page.ask(TOLD) == f"{told} of {len(rich_run.results)} promises", selector


def test_the_address_of_a_promise_unfolds_it(show: Show, rich_run: Run) -> None:
    number = next(at for at, result in enumerate(rich_run.results) if result.subject == "GET /api/v1/fine3")
    page = show(rich_run, f"#p{number}")
    assert "GET /api/v1/fine3" in shown(page, "tr[data-verdict] td:first-child")


# -- keys ------------------------------------------------------------------------------------------------------------


def test_the_first_key_skips_to_the_filter(show: Show, rich_run: Run) -> None:
    page = show(rich_run)
    page.press("Tab")
    assert page.ask(f"{FOCUSED}.className") == "skip"
    assert page.ask(f"{FOCUSED}.getBoundingClientRect().left") >= 0
    page.press("Enter")
    page.press("Tab")
    assert page.ask(f"{FOCUSED}.name") == "text"


def test_keys_go_from_the_summary_to_the_filter_and_are_seen(show: Show, huge_run: Run) -> None:
    page = show(huge_run)
    places = []
    while page.ask(f"{FOCUSED}.name") != "text":
        page.press("Tab")
        places.append(page.ask(f"{FOCUSED}.closest('header ul, header dl, nav, form, .skip').className"))
        assert page.ask(f"getComputedStyle({FOCUSED}).outlineStyle") != "none"
        assert len(places) < 40, "the summary of a long report is not an obstacle"
    assert list(dict.fromkeys(places)) == ["skip", "counts", "ledger", "", "filters"]
    assert places.count("ledger") == len({result.requirement.split("/")[0] for result in huge_run.results})


def test_what_is_folded_opens_by_key(show: Show, rich_run: Run) -> None:
    page = show(rich_run)
    fold = "document.querySelector('.fold[aria-expanded=false]')"
    before = len(shown(page, "tr[data-verdict]"))
    page.ask(f"{fold}.focus()")
    page.press("Enter")
    assert len(shown(page, "tr[data-verdict]")) > before


# -- the reader's circumstances --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(show: Show, rich_run: Run, scheme: str) -> None:
    page = show(rich_run, scheme=scheme)
    page.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.ask(CONTRASTS) == []
    dark = page.ask("getComputedStyle(document.body).backgroundColor") == "rgb(23, 22, 20)"
    assert dark == (scheme == "dark")


@pytest.mark.parametrize("name", ["rich_run", "huge_run", "empty_run"])
def test_it_fits_a_phone(show: Show, name: str, request: pytest.FixtureRequest) -> None:
    page = show(request.getfixturevalue(name), width=390)
    page.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.ask("document.documentElement.scrollWidth") == 390


def test_the_summary_of_many_promises_is_one_screen(show: Show, huge_run: Run) -> None:
    page = show(huge_run)
    assert page.ask("document.querySelector('header').getBoundingClientRect().bottom") <= 800


def test_without_script_everything_can_be_read(show: Show, rich_run: Run) -> None:
    page = show(rich_run, script=False)
    assert len(shown(page, "tr[data-verdict]")) == len(rich_run.results)
    assert len(shown(page, "#breaches .finding")) == 3
    assert shown(page, ".filters, .unfold") == []
    inside = "[...document.links].map(link => link.getAttribute('href')).filter(at => at.startsWith('#'))"
    assert page.ask(f"{inside}.filter(at => !document.getElementById(at.slice(1)))") == []


@pytest.mark.parametrize("name", ["rich_run", "huge_run", "empty_run"])
def test_it_asks_nobody_and_complains_of_nothing(show: Show, name: str, request: pytest.FixtureRequest) -> None:
    page = show(request.getfixturevalue(name))
    assert [url.partition(":")[0] for url in page.requested] == ["file"]
    assert page.complaints == []


def test_a_breach_opens_the_page_of_its_check(show: Show, rich_run: Run) -> None:
    assert any(result.verdict is Verdict.BREACHED for result in rich_run.results)
    page = show(rich_run)
    assert "When to waive it" not in shown(page, "#breaches .manual h4")
    page.ask("document.querySelector('#breaches .manual summary').focus()")
    page.press("Enter")
    assert "When to waive it" in shown(page, "#breaches .manual h4")
