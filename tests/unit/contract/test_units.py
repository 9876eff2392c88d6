"""Quantities as people write them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.contract import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("200ms", 0.2),
        ("60s", 60),
        ("15m", 900),
        ("15min", 900),
        ("7d", 604800),
        ("1h30m", 5400),
        ("0.5s", 0.5),
        (0, 0),
        ("2w", 1209600),
    ],
)
def test_durations(text: Any, seconds: float) -> None:
    assert units.duration(text) == pytest.approx(seconds)


def test_lengths() -> None:
    assert units.length("90s") == 90
    assert units.length("auto") == "auto"
    for text in ("automatic", "", 15):
        with pytest.raises(ValueError, match="7d, or auto, found"):
            units.length(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10/min", (10, 60.0)),
        ("5/s", (5, 1.0)),
        ("100 / 15m", (100, 900.0)),
        ("1/day", (1, 86400.0)),
        ("3/500ms", (3, 0.5)),
    ],
)
def test_quotas(text: str, expected: tuple[int, float]) -> None:
    assert units.quota(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "octets"),
    [("1MiB", 2**20), ("16KiB", 2**14), ("500KB", 500_000), ("12B", 12), (4096, 4096), ("1.5 kib", 1536)],
)
def test_sizes(text: Any, octets: int) -> None:
    assert units.size(text) == octets


def test_percentages_and_rates() -> None:
    assert units.percent("0.1%") == pytest.approx(0.001)
    assert units.percent(0) == 0
    assert units.rate("50/s") == 50
    assert units.rate("300/min") == 5


@pytest.mark.parametrize(
    ("parse", "value", "sentence"),
    [
        (units.duration, "15", "must be a duration such as 200ms, 60s, 15m or 7d, found '15' (text)"),
        (units.duration, 15, "found 15 (a number); 15 has no unit"),
        (units.duration, True, "found true"),
        (units.duration, None, "found nothing"),
        (units.duration, "1 month", "found '1 month' (text)"),
        (units.quota, "10", "must be a quota such as 10/min, 5/s or 100/15m, found '10' (text)"),
        (units.quota, "0/min", "must be a quota"),
        (units.quota, "10/fortnight", "must be a quota"),
        (units.quota, [10, "min"], "found a list"),
        (units.size, "1 bag", "must be a size such as 1MiB, 16KiB or 500KB"),
        (units.size, -1, "found -1 (a number)"),
        (units.percent, "0.1", "must be a percentage such as 0.1% or 5%"),
        (units.percent, "101%", "must be a percentage"),
        (units.rate, "0/s", "must be a rate such as 50/s or 300/min"),
        (units.rate, {"s": 50}, "found a mapping"),
    ],
)
def test_a_wrong_quantity_says_how_to_write_it(parse: Any, value: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse(value)


@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from(sorted(units.SECONDS))), min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert units.duration(text) == pytest.approx(sum(number * units.SECONDS[unit] for number, unit in parts))
    assert re.fullmatch(units.DURATION_PATTERN, text)


@given(st.text(max_size=12))
def test_no_text_is_taken_by_accident(text: str) -> None:
    for parse, pattern in (
        (units.duration, units.DURATION_PATTERN),
        (units.percent, units.PERCENT_PATTERN),
        (units.rate, units.RATE_PATTERN),
    ):
        try:
            parse(text)
        except ValueError:
            continue
        assert re.fullmatch(pattern, text.strip())
