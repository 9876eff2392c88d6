"""The reducer, without a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upheld.run.fuzz.minimise import reduced, size

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


def reduce(value: Any, fails: Callable[[Any], bool], budget: int = 400) -> tuple[Any, int]:
    """(the smallest that was found, how many candidates it took)"""
    reduction = reduced(value, budget)
    tried = 0
    try:
        candidate = next(reduction)
        while True:
            tried += 1
            candidate = reduction.send(fails(candidate))
    except StopIteration as end:
        return end.value, tried


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_what_always_fails_becomes_nothing_much(value: Any) -> None:
    smallest, _ = reduce(value, lambda _: True)
    assert size(smallest) <= size(value)
    assert smallest in (None, False, 0, "", [], {}), smallest


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_what_never_fails_again_is_left_alone(value: Any) -> None:
    smallest, _ = reduce(value, lambda _: False)
    assert smallest == value


@given(JSON, st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_the_budget_is_kept(value: Any, budget: int) -> None:
    _, tried = reduce(value, lambda _: False, budget)
    assert tried <= budget


@given(JSON, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_result_is_the_value_or_failed(value: Any, random: Any) -> None:
    failed = [json.dumps(value)]

    def fails(candidate: Any) -> bool:
        verdict = random.random() < 0.3
        if verdict:
            failed.append(json.dumps(candidate))
        return verdict

    smallest, _ = reduce(value, fails)
    assert json.dumps(smallest) == failed[-1]


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_no_candidate_is_tried_twice(value: Any) -> None:
    seen = [repr(value)]

    def fails(candidate: Any) -> bool:
        assert repr(candidate) not in seen
        seen.append(repr(candidate))
        return False

    reduce(value, fails)


@pytest.mark.parametrize(
    ("value", "fails", "smallest"),
    [
        (
            {"name": "ãt\U00015d4fq", "n": 221347, "tags": ["a", "b"]},
            lambda v: len(v.get("name", "")) > 3 and v.get("n", 0) > 1000,
            {"name": "0000", "n": 1001},
        ),
        ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}, lambda v: "c" in v, {"c": 0}),
        ({"items": [{"q": 5}, {"q": 901}, {"q": 7}]}, lambda v: any(i.get("q", 0) > 900 for i in v.get("items", [])), {"items": [{"q": 901}]}),
        (["x", "'", "y"], lambda v: "'" in v, ["'"]),
        ("O'Brien's", lambda v: "'" in v, "'"),
        (-40, lambda v: v < 0, -1),
        (0.5, lambda v: isinstance(v, float), 0.5),
        (True, lambda v: v in (True, False), False),
    ],
)  # fmt: skip
def test_the_part_that_matters_is_left(value: Any, fails: Callable[[Any], bool], smallest: Any) -> None:
    assert reduce(value, fails)[0] == smallest


def test_it_takes_few_candidates() -> None:
    value = {"name": "ãt\U00015d4fq", "n": 221347, "tags": ["a", "b"]}
    assert reduce(value, lambda v: len(v.get("name", "")) > 3 and v.get("n", 0) > 1000)[1] <= 50
