"""When two findings of one check and subject are the same."""

from __future__ import annotations

import pytest

from upheld.check import Finding
from upheld.run.watch import origin_of


def seen(actual: str, origin: str = "") -> str:
    return origin_of(Finding(expected="", actual=actual, origin=origin))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            '500 {"detail":"Unexpected error! ID: LsjueuLdnnyhAVTGd3zMaP"}',
            '500 {"detail":"Unexpected error! ID: xa8b"}',
        ),
        ("500 at 2026-11-22T23:56:37.65", "500 at 2026-11-23T00:01:09.11"),
        ("500 trace aBcDeFgHiJkLmNo", "500 trace zYxWvUtSrQpOnMl"),
        ("500 in 12 ms", "500 in 7 ms"),
    ],
)
def test_an_errors_number_makes_no_other_finding(one: str, other: str) -> None:
    assert seen(one) == seen(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("401 application/json", "403 application/json"),
        ("Allow: GET (PUT missing)", "Allow: GET (DELETE missing)"),
        ('500 {"detail":"no such table"}', '500 {"detail":"division by zero"}'),
    ],
)
def test_other_findings(one: str, other: str) -> None:
    assert seen(one) != seen(other)


def test_a_stated_origin_decides() -> None:
    assert seen("500 one", origin="the parser") == seen("400 two", origin="the parser") == "the parser"
