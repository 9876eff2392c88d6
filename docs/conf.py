"""The documents as a site: Sphinx with MyST, built by ``scripts/docs --site DIR``.

Its sources are the documents where they lie in the repository, so that one link is right here, there and in a wheel's archive.
What the pages themselves need not say, where they stand in the navigation, is said here.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

REPO = Path(__file__).parents[1]

project = "Upheld"
version = release = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "contracts/README.md", "load/README.md", "docs/**.md"]
exclude_patterns = [".*", "benchmarks", "build", "dist", "scripts", "src", "tests", "upheld-report"]
myst_heading_anchors = 4
nitpicky = True
html_theme = "furo"
html_title = f"Upheld {version}"
html_extra_path = ["site"]
html_css_files = ["../site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

NAVIGATION = {
    # page: (heading, the pages below it); a pattern stands for those that no line before it names
    "README": (
        ("Guides", ["docs/guides/first-contract", "docs/guides/identities", "docs/guides/ci", "docs/guides/*"]),
        ("Reference", ["contracts/README", "docs/checks/README", "docs/matrix", "load/README"]),
        ("Project", ["docs/comparison", "docs/architecture", "docs/decisions/README", "*"]),
    ),
    "docs/decisions/README": (("", ["docs/decisions/*"]),),
}
LISTED = re.compile(r"docs/checks/\w+/")
"""Pages that the catalogue lists: in a navigation they would be four fifths of it, and of the time that it takes to build."""


def navigate(_: Sphinx, page: str, source: list[str]) -> None:
    """Add the navigation below a page to its text."""
    if LISTED.match(page):
        source[0] = "---\norphan: true\n---\n\n" + source[0]
    for heading, below in NAVIGATION.get(page, ()):
        options = [":hidden:", ":glob:", *([f":caption: {heading}"] if heading else [])]
        source[0] += "\n\n" + "\n".join(["```{toctree}", *options, "", *(f"/{path}" for path in below), "```"]) + "\n"


def setup(app: Sphinx) -> None:
    app.connect("source-read", navigate)
