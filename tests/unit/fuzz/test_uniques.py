"""Fresh values keep the shape of what was generated."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upheld.run.fuzz.uniques import base36, fits, fresh

BOUNDS = st.tuples(st.integers(0, 30), st.integers(0, 40)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def several(value: Any, field: dict[str, Any], count: int = 30, **options: Any) -> list[Any]:
    return [fresh(value, field, "t7a", number, **options) for number in range(count)]


@given(BOUNDS, st.data())
@settings(max_examples=200, deadline=None)
def test_a_fresh_text_fits_where_the_old_one_did(bounds: tuple[int, int], data: st.DataObject) -> None:
    low, high = bounds
    field = {"kind": "text", "min": low, "max": high}
    value = data.draw(st.text(min_size=low, max_size=high))
    assert all(fits(new, field) for new in several(value, field))


@given(st.emails())
@settings(max_examples=200, deadline=None)
def test_a_fresh_address_is_one_and_keeps_its_domain(value: str) -> None:
    field = {"kind": "email"}
    if fits(value, field):
        new = several(value, field)
        assert len(set(new)) == len(new)
        assert all(fits(other, field) and other.endswith("@" + value.rpartition("@")[2]) for other in new)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("x", {"kind": "text", "max": 40}),
        ("x" * 40, {"kind": "text", "max": 40}),
        ("AB-1234", {"kind": "text", "pattern": r"^[A-Z]{2}-\d{4}$"}),
        ("abc", {"kind": "text", "pattern": "^[a-z]+$"}),
        ("ABCDEF", {"kind": "text", "pattern": "^[A-Z]{6}$"}),
        ("0000", {"kind": "text", "pattern": r"^\d{4}$"}),
        ("a@b.cd", {"kind": "email", "max": 20}),
        ("7f2c1d9e-0000-4000-8000-000000000000", {"kind": "uuid"}),
        (3, {"kind": "integer"}),
        (3, {"kind": "integer", "min": 1, "max": 1000}),
    ],
)
def test_values_differ_and_fit(value: Any, field: dict[str, Any]) -> None:
    new = several(value, field)
    assert all(fits(other, field) for other in new)
    assert len(set(new)) == len(new)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("a", {"kind": "text", "max": 1}),
        ("yes", {"kind": "text", "pattern": "^(yes|no)$"}),
        ("x@y", {"kind": "email", "max": 3}),
    ],
)
def test_without_room_the_value_stays(value: Any, field: dict[str, Any]) -> None:
    assert all(fits(other, field) for other in several(value, field))


def test_a_boundary_keeps_its_length() -> None:
    field = {"kind": "text", "min": 2, "max": 40}
    assert {len(new) for new in several("ab", field, keep_length=True)} == {2}
    assert {len(new) for new in several("a" * 40, field, keep_length=True)} == {40}
    assert several("a", {"kind": "text", "min": 1}, keep_length=True) == ["a"] * 30


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (5, {"kind": "text"}),
        ("toolong", {"kind": "text", "max": 3}),
        ("", {"kind": "text", "min": 1}),
        ("a b@c", {"kind": "email"}),
        ("nope", {"kind": "uuid"}),
        (True, {"kind": "integer"}),
        (0, {"kind": "integer", "min": 1}),
        ("ab", {"kind": "text", "pattern": "^[0-9]+$"}),
        ("ab", {"kind": "text", "pattern": "(((("}),
    ],
)
def test_what_was_broken_on_purpose_does_not_fit(value: Any, field: dict[str, Any]) -> None:
    assert not fits(value, field)


def test_one_seed_gives_one_sequence() -> None:
    assert several("name", {"kind": "text"}) == several("name", {"kind": "text"})
    assert fresh("name", {"kind": "text"}, "other", 1) != fresh("name", {"kind": "text"}, "t7a", 1)


def test_base36() -> None:
    assert [base36(n) for n in (0, 9, 10, 35, 36)] == ["0", "9", "a", "z", "10"]
    assert base36(7, 3) == "007"
    assert re.fullmatch("[0-9a-z]+", base36(123456789))
