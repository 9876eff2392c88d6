"""The counts of many workers are those of one; interim counts flatter nobody."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from tests.unit.load.making import counted, mixed, plan, pressed, result

from upheld.load.counts import WINDOW, Counts, total
from upheld.load.outcome import load_run
from upheld.load.plan import Plan
from upheld.load.workers import PIECE, Assembly, Interim, merged, pieces, settled

MADE = plan(pressed("GET /a"), pressed("GET /b"))


def part(made: Plan = MADE, **changes: Any) -> dict[str, Any]:
    counts = {"GET /a": counted(mixed(100, 0.02)), "GET /b": counted(mixed(50, 0.5), errors={"500": 2})}
    values: dict[str, Any] = {"noise_ms": 2.0, "kept": [], "renewals": {"asked": 0, "renewed": {}, "refused": {}}}
    return {**result(made, counts), **values, **changes}


def test_large_values_travel_in_pieces_and_arrive_whole() -> None:
    value = {"text": "é" * PIECE, "n": 3}
    sent = list(pieces(value))
    assert len(sent) > 2
    assert all(len(piece["text"]) <= PIECE for piece in sent)
    assembly = Assembly()
    assert [assembly.add(piece) for piece in sent[:-1]] == [None] * (len(sent) - 1)
    assert assembly.add(sent[-1]) == value
    # The same assembly takes the next value.
    assert [assembly.add(piece) for piece in pieces(7)] == [7]
    assembly.add(sent[0])
    with pytest.raises(ValueError, match="after"):
        assembly.add(sent[2])


def test_what_was_counted_adds_up_exactly_in_any_order() -> None:
    parts = {
        1: part(starved={"GET /a": 2}),
        2: part(starved={"GET /a": 1, "GET /b": 4}, delay_ms=9.0, cpu_seconds=50.0, noise_ms=None, measured=59.5),
        3: part(most_in_flight=5, stopped="interrupted", renewals={"asked": 2, "renewed": {"kim": 2}, "refused": {}}),
    }
    whole = merged(MADE, parts)
    again = merged(MADE, dict(reversed(json.loads(json.dumps(list(parts.items()))))))
    assert json.loads(json.dumps(whole)) == json.loads(json.dumps(again))
    for name in ("GET /a", "GET /b"):
        expected = total(Counts.from_json(each["operations"][name]) for each in parts.values())
        assert whole["operations"][name] == expected.to_json()
        assert list(Counts.from_json(whole["operations"][name]).problems()) == []
    assert whole["starved"] == {"GET /a": 3, "GET /b": 4}
    assert whole["renewals"] == {"asked": 2, "renewed": {"kim": 2}, "refused": {}}
    assert (whole["delay_ms"], whole["noise_ms"], whole["measured"]) == (9.0, 2.0, 59.5)
    # How busy the busiest was, not how busy the sum.
    assert (whole["cpu_seconds"], whole["wall_seconds"], whole["most_in_flight"]) == (50.0, 65.0, 11)
    assert whole["stopped"] == "interrupted"
    assert {number: told["sent"] for number, told in whole["workers"].items()} == {"1": 152, "2": 152, "3": 152}
    run = load_run(MADE, whole)
    assert run.valid, run.reason
    assert [row.sent for row in run.rows][:2] == [300, 156]
    assert len(run.workers) == 3


def test_results_of_another_plan_are_refused() -> None:
    with pytest.raises(ValueError, match="another plan"):
        merged(MADE, {1: part(), 2: part(plan="0123456789abcdef")})
    with pytest.raises(ValueError, match="no result"):
        merged(MADE, {})


def test_interim_counts_are_those_of_the_sender_though_each_window_is_told_once() -> None:
    chance = random.Random(3)
    mine = Counts()
    teller, hearer = Interim(), Interim()
    sizes = []
    for second in range(200):
        for _ in range(5):
            mine.sent += 1
            mine.ok += 1
            mine.histogram[200] += 1
            # Up to two seconds late.
            mine.sample(max(0.0, second - chance.random() * 2), chance.random() < 0.1)
        told = json.loads(json.dumps(teller.tell({"GET /a": mine}, {}, 0, max(0.0, second - 2.0))))
        sizes.append(len(told["counts"]["GET /a"]["windows"]))
        hearer.hear(told)
        assert hearer.counts["GET /a"] == mine
    assert max(sizes) <= 4 / WINDOW


def test_a_decision_before_the_end_counts_what_is_late_and_leaves_out_what_is_open() -> None:
    first, second = Counts(), Counts()
    for counts in (first, second):
        for number in range(40):
            counts.sent += 1
            counts.ok += 1
            counts.sample(number * WINDOW, False)
        counts.sent += 3
    parts = [
        Interim({"GET /a": first}, {"GET /a": [5, 5, 31]}, 32),
        Interim({"GET /a": second}, {"GET /a": [5]}, 20),
    ]
    certain = settled(parts)["GET /a"]
    # Up to where all are sure; three have waited longer than the limit since window 5.
    assert sorted(certain.windows) == list(range(20))
    assert certain.windows[5][:2] == [5, 3]
    assert (certain.samples, certain.over) == (2 * 20 + 3, 3)
    # Nothing of the parts themselves was changed.
    assert first.windows[5][:2] == [1, 0]
    assert settled([]) == {}
