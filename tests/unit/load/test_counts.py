"""Counts: they add up, exactly, and say so when they do not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.load.making import counted, mixed

from upheld.load.counts import Counts, total

COUNTS = st.builds(
    lambda latencies, failed, throttled, unfinished: counted(
        latencies, errors={"500": failed}, throttled=throttled, unfinished=unfinished
    ),
    st.lists(st.floats(0, 2_000), max_size=40),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 4),
)


@given(COUNTS)
def test_json_keeps_everything(counts: Counts) -> None:
    assert Counts.from_json(json.loads(json.dumps(counts.to_json()))) == counts


@given(st.lists(COUNTS, max_size=5))
def test_the_sum_of_sound_counts_is_sound(parts: list[Counts]) -> None:
    whole = total(parts)
    assert list(whole.problems()) == []
    assert whole.samples == sum(part.samples for part in parts)
    assert whole == total(reversed(parts))


@pytest.mark.parametrize("field", ["sent", "ok", "over", "throttled", "unfinished"])
def test_one_lost_sample_is_noticed(field: str) -> None:
    counts = counted(mixed(100, 0.1), errors={"500": 2}, throttled=3, unfinished=1)
    setattr(counts, field, getattr(counts, field) - 1)
    assert list(counts.problems())


@pytest.mark.parametrize("damage", [{}, {"sent": "many"}, {"windows": [1]}, {"histogram": [1]}])
def test_damaged_counts_are_refused(damage: dict[str, object]) -> None:
    data = {**Counts().to_json(), **damage} if damage else {}
    with pytest.raises((KeyError, TypeError, ValueError)):
        Counts.from_json(data)
