"""Base and candidate by turns: order, repeats of what is invalid, verdicts, and that A and A are not called different."""

from __future__ import annotations

import contextlib
import json
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.unit.load.making import plan, pressed

from upheld.load.compare import Answer, Comparison, Play, Round, Side, compare, matched, shown
from upheld.verdict import LatencyRow, LoadRun


def row(p50: float | None, p95: float | None, latency_class: str = "crud", **changes: Any) -> LatencyRow:
    values: dict[str, Any] = {
        "name": f"class {latency_class}", "latency_class": latency_class, "limit_ms": 200.0, "quantile": 0.95,
        "sent": 500, "ok": 500, "over": 0, "errors": 0, "throttled": 0, "unfinished": 0, "p50_ms": p50, "p95_ms": p95,
        "p99_ms": p95, "verdict": "met",
    }  # fmt: skip
    return LatencyRow(**{**values, **changes})


def run(*rows: LatencyRow, **changes: Any) -> LoadRun:
    values: dict[str, Any] = {"seconds": 10.0, "rate": 50.0, "model": "open", "users": 1, "rows": rows, "valid": True}
    return LoadRun(**{**values, **changes})


class Stage:
    """Plays rounds whose runs are made by ``make(side, number of the round)``, and remembers in which order."""

    def __init__(self, make: Callable[[Side, int], LoadRun]) -> None:
        self.make = make
        self.played: list[Side] = []
        self.seeds: list[int] = []
        self.open = 0

    @contextlib.contextmanager
    def __call__(self, seed: int) -> Iterator[Play]:
        self.seeds.append(seed)
        self.open += 1

        def play(side: Side) -> LoadRun:
            self.played.append(side)
            return self.make(side, len(self.played) - 1)

        yield play
        self.open -= 1


def noisy(slower: float, seed: int = 0, noise: float = 0.02) -> Stage:
    chance = random.Random(seed)

    def make(side: Side, number: int) -> LoadRun:
        factor = (slower if side is Side.CANDIDATE else 1.0) * math.exp(chance.gauss(0, noise))
        return run(row(10 * factor, 40 * factor))

    return Stage(make)


def answers(comparison: Comparison) -> dict[str, Answer]:
    return {ratio.quantile: ratio.answer for ratio in comparison.ratios}


def test_the_sides_take_turns_in_beginning_and_share_seeds() -> None:
    stage = noisy(1.0)
    compare(stage, pairs=4, seed=7)
    base, candidate = Side.BASE, Side.CANDIDATE
    assert stage.played == [base, candidate, candidate, base, base, candidate, candidate, base]
    assert stage.seeds == [7, 8, 9, 10]
    assert stage.open == 0


@pytest.mark.parametrize(
    ("slower", "answer"), [(1.5, Answer.SLOWER), (0.6, Answer.FASTER), (1.0, Answer.SAME), (1.01, Answer.SAME)]
)
def test_what_is_slower_faster_or_the_same_is_told_so(slower: float, answer: Answer) -> None:
    found = compare(noisy(slower, noise=0.01), pairs=10)
    assert answers(found) == {"p95": answer, "p50": answer}
    assert found.answer is answer
    assert str(answer) in found.told
    p95 = found.ratios[0]
    assert p95.low <= p95.value <= p95.high
    assert p95.value == pytest.approx(slower, rel=0.03)
    assert (p95.base_ms, p95.candidate_ms) == (pytest.approx(40, rel=0.05), pytest.approx(40 * slower, rel=0.05))
    assert shown(p95) in found.told or answer is Answer.SAME


def test_a_and_a_are_seldom_called_different_whatever_the_noise() -> None:
    runs, different = 300, 0
    for seed in range(runs):
        found = compare(noisy(1.0, seed, noise=0.5), pairs=8)
        different += found.answer in (Answer.SLOWER, Answer.FASTER)
    # 5 % of 300 for both percentiles together, and twice its standard deviation.
    assert different <= 23


def test_a_real_difference_is_seldom_called_none() -> None:
    """Ten per cent slower, twice the tolerance, through noise of 5 %."""
    answers = [compare(noisy(1.1, seed, noise=0.05), pairs=10).answer for seed in range(200)]
    assert answers.count(Answer.SAME) <= 2
    assert answers.count(Answer.FASTER) == 0
    edge = [compare(noisy(1.05, seed, noise=0.03), pairs=10).answer for seed in range(200)]
    # At the edge of the tolerance itself one in twenty, and twice the standard deviation.
    assert edge.count(Answer.SAME) <= 16


def test_too_much_noise_asks_for_more_rounds() -> None:
    found = compare(noisy(1.2, noise=0.4), pairs=8)
    assert found.answer is Answer.NOT_DECIDED
    assert "more rounds: about" in found.told or "sixteen" in found.told
    few = compare(noisy(1.5), pairs=3)
    assert few.answer is Answer.NOT_DECIDED
    assert {ratio.low for ratio in few.ratios} == {0.0}
    # Two percentiles, each with 2.5 %: seven pairs.
    assert few.told == "not decided; more rounds: about 4 pairs"
    assert "no bounds yet" in shown(few.ratios[0])


def test_so_many_more_rounds_as_are_told_decide_as_a_rule() -> None:
    undecided, later = 0, 0
    for seed in range(60):
        first = compare(noisy(1.2, seed, noise=0.2), pairs=8)
        more = max(ratio.more for ratio in first.ratios)
        if first.answer is Answer.NOT_DECIDED and more:
            undecided += 1
            later += compare(noisy(1.2, 1_000 + seed, noise=0.2), pairs=8 + more).answer is Answer.SLOWER
    assert undecided >= 20
    assert later >= undecided / 2


def test_one_slower_class_makes_it_slower_and_is_named() -> None:
    def make(side: Side, number: int) -> LoadRun:
        slow = 90.0 if side is Side.CANDIDATE else 60.0
        return run(row(10, 40 + number % 3), row(slow, 2 * slow + number % 3, "complex"))

    found = compare(Stage(make), pairs=12)
    assert found.answer is Answer.SLOWER
    assert "of complex +5" in found.told
    assert {ratio.answer for ratio in found.ratios if ratio.latency_class == "complex"} == {Answer.SLOWER}
    assert Answer.SLOWER not in {ratio.answer for ratio in found.ratios if ratio.latency_class == "crud"}


BAD = {
    "a worker is gone": run(row(1.0, 2.0), valid=False, reason="a worker is gone"),
    "429": run(row(1.0, 2.0, throttled=9)),
    "failed": run(row(1.0, None)),
    "nothing was measured": run(),
}


@pytest.mark.parametrize("says", BAD)
def test_an_invalid_round_is_played_again_twice_at_most_and_told(says: str) -> None:
    good = run(row(10.0, 40.0))
    once = Stage(lambda side, number: BAD[says] if number == 3 else good)
    found = compare(once, pairs=8)
    assert once.played[2:6] == [Side.CANDIDATE, Side.BASE, Side.BASE, Side.BASE]
    assert found.ratios[0].pairs == 8
    assert "1 invalid round was played again" in found.notes

    always = Stage(lambda side, number: BAD[says] if side is Side.CANDIDATE and len(always.seeds) == 2 else good)
    found = compare(always, pairs=9)
    assert always.played[2:5] == [Side.CANDIDATE] * 3
    # Its partner is not played for nothing.
    assert always.played[5] is Side.BASE
    assert found.ratios[0].pairs == 8
    (note,) = found.notes
    assert note.startswith("pair 2 does not count: candidate, played 3 times")
    assert says in note


def test_without_a_valid_pair_nothing_is_decided() -> None:
    found = compare(Stage(lambda side, number: BAD["failed"]), pairs=2)
    assert found.answer is Answer.NOT_DECIDED
    assert found.ratios == ()
    assert "no pair of valid rounds" in found.told


def test_a_class_without_a_request_in_some_round_is_compared_in_the_others() -> None:
    seldom = row(50.0, 90.0, "auth")
    silent = row(None, None, "auth", sent=0, ok=0)

    def make(side: Side, number: int) -> LoadRun:
        return run(row(10.0, 40.0), silent if number in (3, 8) else seldom)

    found = compare(Stage(make), pairs=10)
    assert {(ratio.latency_class, ratio.pairs) for ratio in found.ratios} == {("crud", 10), ("auth", 8)}
    assert found.notes == ()


def test_slow_is_no_reason_to_leave_a_round_out() -> None:
    slow = run(row(900.0, 4_000.0, verdict="missed"))
    found = compare(Stage(lambda side, number: slow), pairs=8)
    assert found.ratios[0].pairs == 8
    assert found.answer is Answer.SAME


def test_an_interruption_keeps_what_was_played() -> None:
    def make(side: Side, number: int) -> LoadRun:
        return run(row(10.0, 40.0), reason="interrupted" if number == 17 else "")

    stage = Stage(make)
    found = compare(stage, pairs=20)
    assert len(stage.played) == 18
    assert (found.stopped, found.notes) == ("interrupted", ())
    assert found.ratios[0].pairs == 8


def test_failures_are_told_apart() -> None:
    found = compare(
        Stage(lambda side, number: run(row(10.0, 40.0, errors=2 if side is Side.CANDIDATE else 0))), pairs=8
    )
    assert found.notes == ("candidate: 16 of 4000 requests failed, and count as slower than any",)


def test_everything_stands_in_the_json() -> None:
    told: list[Round] = []
    found = compare(noisy(1.0), pairs=2, told=told.append)
    assert tuple(told) == found.rounds
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["schema"] == "upheld.load-compare/1"
    assert document["answer"] == "not decided"
    assert [(r["pair"], r["side"]) for r in document["rounds"]][:3] == [(0, "base"), (0, "candidate"), (1, "candidate")]
    assert document["rounds"][0]["classes"]["crud"]["sent"] == 500
    assert document["ratios"][0]["high"] is None


def test_both_are_pressed_with_the_same_operations_at_the_same_rates() -> None:
    base = plan(pressed("GET /a", rate=10.0), pressed("GET /b", rate=4.0), pressed("GET /old"), seed=1)
    candidate = plan(pressed("GET /new"), pressed("GET /b", rate=5.0), pressed("GET /a", rate=8.0), seed=1)
    one, other, out = matched(base, candidate)
    for made in (one, other):
        assert [(operation.name, operation.rate) for operation in made.operations] == [("GET /a", 8.0), ("GET /b", 4.0)]
    assert any("GET /old is left out: the candidate" in line for line in out)
    assert any("GET /new is left out: the base" in line for line in out)
    assert matched(base, base) == (base, base, ())
