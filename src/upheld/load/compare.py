"""Is the candidate slower than the base? Rounds by turns on one machine, so that its moods strike both, and a ratio with bounds.

A number that was measured elsewhere or yesterday says more about the machine than about the service. The round is what is repeated: its
requests hang together, and a thousand of them are not a thousand trials. Pure: how a round is played is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from upheld.load.plan import Plan
from upheld.load.ratio import Ratio, fewest_pairs, ratio
from upheld.load.rounds import spoilt
from upheld.verdict import LatencyRow, LoadRun

SCHEMA = "upheld.load-compare/1"
PAIRS = 8
TOLERANCE = 0.05
"""A ratio that surely lies within this of 1 is no difference."""
ALPHA = 0.05
"""Chance of a false "slower" or "faster" of all ratios together, where there is no difference."""
REPEATS = 2
"""How often a round that is invalid is played again."""
LONGEST_FACTOR = 16
QUANTILES = ("p95", "p50")


class Side(StrEnum):
    """Which of the two."""

    BASE = "base"
    CANDIDATE = "candidate"


class Answer(StrEnum):
    """The verdict on the candidate."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "no difference shown"
    NOT_DECIDED = "not decided"


Play = Callable[[Side], LoadRun]
Stage = Callable[[int], AbstractContextManager[Play]]
"""Seed of the schedule → what plays a round of either side with it, both with the same operations at the same rates."""


@dataclass(frozen=True, slots=True)
class Round:
    """One run of one side."""

    pair: int
    side: Side
    run: LoadRun
    problem: str = ""
    """Why it does not count; empty when it does."""


@dataclass(frozen=True, slots=True)
class ClassRatio:
    """How one percentile of one class compares: candidate over base."""

    latency_class: str
    quantile: str
    """``p95`` or ``p50``."""
    base_ms: float
    candidate_ms: float
    """Medians of the rounds."""
    value: float
    low: float
    high: float
    pairs: int
    answer: Answer
    more: int = 0
    """Pairs of rounds that would decide it, about; 0 when it is decided, or more than sixteen times as many would be needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the rounds showed."""

    ratios: tuple[ClassRatio, ...]
    rounds: tuple[Round, ...]
    answer: Answer
    notes: tuple[str, ...] = ()
    stopped: str = ""

    @property
    def told(self) -> str:
        """The verdict in a sentence."""
        if not self.ratios:
            return f"{self.answer}: there is no pair of valid rounds"
        if self.answer is Answer.NOT_DECIDED:
            more = max((ratio.more for ratio in self.ratios if ratio.answer is Answer.NOT_DECIDED), default=0)
            longer = (
                f"more rounds: about {more} pair{'s' if more > 1 else ''}"
                if more
                else "not in sixteen times as many rounds either"
            )
            return f"{self.answer}; {longer}"
        deciding = [ratio for ratio in self.ratios if ratio.answer is self.answer]
        worst = max(deciding, key=lambda ratio: abs(math.log(ratio.value)))
        if self.answer is Answer.SAME:
            return str(self.answer)
        return f"the candidate is {self.answer}: {worst.quantile} of {worst.latency_class} {shown(worst)}"

    def to_json(self) -> dict[str, Any]:
        """Everything, in members whose meaning does not change within `SCHEMA`."""
        rounds = [
            {
                "pair": played.pair,
                "side": str(played.side),
                "problem": played.problem,
                "classes": {
                    row.latency_class: {
                        "p50_ms": row.p50_ms,
                        "p95_ms": row.p95_ms,
                        "sent": row.sent,
                        "errors": row.errors,
                    }
                    for row in played.run.classes
                },
            }
            for played in self.rounds
        ]
        ratios = [
            {**asdict(item), "low": item.low or None, "high": None if math.isinf(item.high) else item.high}
            for item in self.ratios
        ]
        told = {"answer": str(self.answer), "told": self.told, "notes": list(self.notes), "stopped": self.stopped}
        return {"schema": SCHEMA, **told, "ratios": ratios, "rounds": rounds}


def shown(ratio: ClassRatio) -> str:
    """``+12 % (+4 % to +21 %)``; too few pairs have no bounds."""
    value, low, high = (f"{100 * (part - 1):+.0f} %" for part in (ratio.value, ratio.low, min(ratio.high, 1e9)))
    return f"{value} ({low} to {high})" if ratio.low else f"{value} (no bounds yet)"


def compare(
    stage: Stage,
    *,
    pairs: int = PAIRS,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    told: Callable[[Round], object] = lambda played: None,
) -> Comparison:
    """Play ``pairs`` of rounds, the first side by turns (ABBA), and compare. ``told`` hears each round.

    An interruption ends it: what was played until then is compared. Raises what ``stage`` raises.
    """
    rounds: list[Round] = []
    stopped = ""
    try:
        for number in range(pairs):
            order = (Side.BASE, Side.CANDIDATE) if number % 2 == 0 else (Side.CANDIDATE, Side.BASE)
            with stage(seed + number) as play:
                for side in order:
                    rounds += _played(play, number, side, told)
                    if rounds[-1].problem:
                        break
            if rounds[-1].run.interrupted:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        stopped = "interrupted"
    return concluded(rounds, tolerance=tolerance, stopped=stopped)


def _played(play: Play, number: int, side: Side, told: Callable[[Round], object]) -> Iterable[Round]:
    """A round, and again when it was invalid."""
    for _ in range(1 + REPEATS):
        run = play(side)
        played = Round(number, side, run, _problem(run))
        told(played)
        yield played
        if not played.problem or run.interrupted:
            break


def _problem(run: LoadRun) -> str:
    if why := spoilt(run):
        return why
    # Without an answer there is no latency. What is slow or late is: it strikes both sides.
    unanswered = [row.name for row in run.classes if row.p95_ms is None and row.sent]
    return f"too many requests of {' and '.join(unanswered)} failed" if unanswered else ""


def concluded(rounds: Sequence[Round], *, tolerance: float = TOLERANCE, stopped: str = "") -> Comparison:
    """The verdict on rounds that were played."""
    good = {(played.pair, played.side): played.run for played in rounds if not played.problem}
    numbers = sorted({pair for pair, _ in good if all((pair, side) in good for side in Side)})
    both = [
        tuple({row.latency_class: row for row in good[number, side].classes if row.sent} for side in Side)
        for number in numbers
    ]
    names = list(dict.fromkeys(name for base, candidate in both for name in base if name in candidate))
    # Asked so often, one in twenty would be wrong somewhere by chance.
    alpha = ALPHA / max(1, len(names) * len(QUANTILES))
    ratios = []
    for name in names:
        # A class that is seldom called may have no request in a short round.
        rows = [(base[name], candidate[name]) for base, candidate in both if name in base and name in candidate]
        for quantile in QUANTILES:
            both_sides = [[_percentile(row[side], quantile) for row in rows] for side in (0, 1)]
            found, plain = ratio(*both_sides, alpha=alpha), ratio(*both_sides, alpha=2 * ALPHA)
            if found is not None and plain is not None:
                ratios.append(_judged(name, quantile, found, plain, alpha, tolerance))
    return Comparison(
        ratios=tuple(ratios),
        rounds=tuple(rounds),
        answer=_overall([item.answer for item in ratios]),
        notes=tuple(_notes(rounds, numbers)),
        stopped=stopped,
    )


def _percentile(row: LatencyRow, quantile: str) -> float:
    value = row.p95_ms if quantile == "p95" else row.p50_ms
    assert value is not None, "rounds without are not compared"
    return max(value, 0.1)


def _judged(name: str, quantile: str, found: Ratio, plain: Ratio, alpha: float, tolerance: float) -> ClassRatio:
    """``found`` accuses, with bounds for all ratios together; ``plain`` acquits: to call all the same each has to be, and 95 % do."""
    margin, value = math.log1p(tolerance), math.log(found.value)
    low, high = _logs(found)
    answer, more = Answer.NOT_DECIDED, 0
    if all(abs(bound) <= margin for bound in _logs(plain)):
        answer = Answer.SAME
    elif low > 0:
        answer = Answer.SLOWER
    elif high < 0:
        answer = Answer.FASTER
    elif math.isinf(high):
        more = max(1, fewest_pairs(alpha) - found.pairs)
    else:
        # Half as wide with four times as many: until the bounds leave 1 out, or lie within the tolerance.
        factor = ((high - low) / 2 / max(abs(value), margin - abs(value))) ** 2
        more = max(1, math.ceil(found.pairs * (factor - 1))) if factor <= LONGEST_FACTOR else 0
    return ClassRatio(
        latency_class=name,
        quantile=quantile,
        base_ms=found.base,
        candidate_ms=found.candidate,
        value=found.value,
        low=found.low,
        high=found.high,
        pairs=found.pairs,
        answer=answer,
        more=more,
    )


def _logs(found: Ratio) -> tuple[float, float]:
    return (math.log(found.low), math.log(found.high)) if found.low else (-math.inf, math.inf)


def _overall(answers: Sequence[Answer]) -> Answer:
    for answer in (Answer.SLOWER, Answer.NOT_DECIDED, Answer.FASTER, Answer.SAME):
        if answer in answers:
            return answer
    return Answer.NOT_DECIDED


def _notes(rounds: Sequence[Round], counted: Sequence[int]) -> Iterable[str]:
    for number in sorted({played.pair for played in rounds} - set(counted)):
        mine = [played for played in rounds if played.pair == number and played.problem]
        if mine and not mine[-1].run.interrupted:
            times = "once" if len(mine) == 1 else f"{len(mine)} times"
            yield f"pair {number + 1} does not count: {mine[-1].side}, played {times}: {mine[-1].problem}"
    if repeated := sum(bool(played.problem) for played in rounds if played.pair in counted):
        yield f"{repeated} invalid {'rounds were' if repeated > 1 else 'round was'} played again"
    for side in Side:
        runs = [row for played in rounds if played.side is side and not played.problem for row in played.run.classes]
        if errors := sum(row.errors + row.unfinished for row in runs):
            yield f"{side}: {errors} of {sum(row.sent for row in runs)} requests failed, and count as slower than any"


# -- one plan for both ---------------------------------------------------------------------------------------------------


def matched(base: Plan, candidate: Plan) -> tuple[Plan, Plan, tuple[str, ...]]:
    """Both plans with the operations that both press on, at the lower of their rates; and which were left out, in words.

    Whoever is pressed with more, or with other requests, is not slower for that.
    """
    rates = {operation.name: operation.rate for operation in candidate.operations}
    common = {op.name: min(op.rate, rates[op.name]) for op in base.operations if op.name in rates}
    out = []
    for plan, other in ((base, Side.CANDIDATE), (candidate, Side.BASE)):
        out += [
            f"{op.name} is left out: the {other} can't be pressed on with it"
            for op in plan.operations
            if op.name not in common
        ]
    return _only(base, common), _only(candidate, common), tuple(out)


def _only(plan: Plan, rates: dict[str, float]) -> Plan:
    known = {operation.name: operation for operation in plan.operations}
    return replace(plan, operations=tuple(replace(known[name], rate=rate) for name, rate in rates.items()))
