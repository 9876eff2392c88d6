"""The page of a check below a finding."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from upheld.checks import catalogue
from upheld.report import manual


@pytest.mark.parametrize("id", sorted(catalogue()))
def test_every_check_has_a_page_that_fits_below_a_finding(id: str) -> None:
    text = manual.page(catalogue()[id])
    headings = re.findall(r"<h(\d)>(.*?)</h\d>", text)
    assert [title for level, title in headings if level == "4"][:2] == ["What it requires", "Why"]
    assert min(level for level, _ in headings) == "4"
    assert all(link.startswith("https://") for link in re.findall(r'href="(.*?)"', text))


def test_elements_in_a_page_are_text() -> None:
    check = replace(catalogue()["http/allow"], page="## Why\n\n<img src=x onerror=alert(1)> [x](javascript:alert(1))")
    text = manual.page(check)
    assert "<img" not in text
    assert "&lt;img" in text
    assert 'href="javascript' not in text
