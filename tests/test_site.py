"""The site of the documents: built without a warning, every document a page of it, and no link or file that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.test_architecture import REPO, documents

pytestmark = pytest.mark.xdist_group("site")
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src"}


class Page(HTMLParser):
    """What a page can be reached by, where it leads and what a browser loads with it."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value for name, value in attrs if value}
        self.anchors |= {said[name] for name in ("id", "name") if name in said}
        if tag == "a" and "href" in said:
            self.links.add(said["href"])
        if LOADED.get(tag) in said and said.get("rel") != "canonical":
            self.loads.add(said[LOADED[tag]])


@cache
def read(file: Path) -> Page:
    page = Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warning fails it: a link that leads nowhere, a page that the navigation does not have."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(REPO / "scripts/_docs.py"), "--site", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def pages(site: Path) -> list[Path]:
    return [site / file.relative_to(REPO).with_suffix(".html") for file in documents()]


def test_every_document_is_a_page(site: Path) -> None:
    assert [str(page) for page in pages(site) if not page.is_file()] == []


def test_it_begins_with_the_readme(site: Path) -> None:
    assert read(site / "index.html").links == {"README.html"}


def test_from_the_beginning_every_page_can_be_reached(site: Path) -> None:
    found, waiting = set(), [site / "README.html"]
    while waiting:
        page = waiting.pop()
        if page not in found and page.suffix == ".html" and page.is_file():
            found.add(page)
            waiting += {there for there, _ in _targets(page)} - found
    assert sorted(set(pages(site)) - found) == []


def test_links_of_the_pages_lead_to_files_and_anchors(site: Path) -> None:
    files = {file for file in site.rglob("*") if file.is_file()}
    broken = {
        f"{page.relative_to(site)} → {there}#{anchor}"
        for page in pages(site)
        for there, anchor in _targets(page)
        if there not in files or (anchor and there.suffix == ".html" and anchor not in read(there).anchors)
    }
    assert broken == set()


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    assert {there for page in pages(site) for there in read(page).loads if urlsplit(there).netloc} == set()


@cache
def _targets(page: Path) -> list[tuple[Path, str]]:
    """(file, anchor) of every link that stays on the site."""
    parts = [urlsplit(link) for link in read(page).links]
    return [
        (_file(page.parent, unquote(part.path)) if part.path else page, unquote(part.fragment))
        for part in parts
        if not part.scheme and not part.netloc
    ]


@cache
def _file(folder: Path, link: str) -> Path:
    return Path(os.path.normpath(folder / link))
