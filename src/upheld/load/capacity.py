"""The highest rate at which every class keeps its targets: doubling, then bisection, each step judged like any other run. Pure.

A step is *kept* when every class met its target, *broken* when one missed it, and an *edge* when neither is certain: the capacity is
about there. Where a class got too few requests for a verdict and nothing speaks against it, the others decide, and that is told. A step
in which something else than the service was measured ends the search: what it says is a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from upheld.errors import TargetError
from upheld.load.verdict import INVALID, LEAST_DELAY_MS, MET, MISSED, NOT_DECIDED
from upheld.verdict import LatencyRow, LoadRun

SCHEMA = "upheld.load-capacity/1"
RESOLUTION = 0.1
"""The search ends when its bounds are so near to each other, as a share of the lower one."""
LOWEST = 0.5
"""Requests a second below which no rate is tried."""
FEW = 300
"""Requests below which an undecided class may merely have had too few."""
LONGER = 4.0
ATTEMPTS = 2
"""How often a step without a verdict is played."""

Play = Callable[[float, int], LoadRun]
"""Press at so many requests a second, for the first or the second time (0, 1)."""


class Found(StrEnum):
    """What a step showed."""

    KEPT = "kept"
    EDGE = "not decided"
    BROKEN = "missed"
    GENERATOR = "the generator or its machine was the limit"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Step:
    """One rate that was tried."""

    rate: float
    """Requests a second, as `upheld load --rate` takes it."""
    found: Found
    reason: str = ""
    """What broke first, or why it could not be judged."""
    p95_ms: tuple[tuple[str, float | None], ...] = ()
    """(class, p95)."""
    unjudged: tuple[str, ...] = ()
    """Classes with too few requests for a verdict."""
    planned: float = 0.0
    """What was planned of the rate: quotas may allow less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the search found, in requests a second over all operations."""

    low: float | None
    """The highest rate that was kept; None when none was."""
    high: float | None
    """The lowest rate that was missed; None when none was."""
    steps: tuple[Step, ...]
    broke: str = ""
    """What broke first, at ``high``."""
    ended: str = ""
    """Why the search ended before its bounds were near enough; empty when they are."""
    lost: bool = False
    """The target was lost."""

    @property
    def value(self) -> float | None:
        """The middle of the bounds, as ratios go; the undecided rate where there is one. None without both bounds."""
        if self.low is None or self.high is None:
            return None
        edges = [step.rate for step in self.steps if step.found is Found.EDGE and self.low < step.rate < self.high]
        return math.exp(sum(map(math.log, edges)) / len(edges)) if edges else math.sqrt(self.low * self.high)

    @property
    def unjudged(self) -> tuple[str, ...]:
        """The classes that the answer says nothing about: they got too few requests at the rate that was kept."""
        return next((step.unjudged for step in self.steps if step.found is Found.KEPT and step.rate == self.low), ())

    @property
    def told(self) -> str:
        """The answer in a sentence."""
        if self.low is None:
            below = f"below {self.high:.3g}/s" if self.high is not None else "not found"
            return f"highest rate at which all classes keep their targets: {below}{self._why}"
        if self.value is None or self.high is None:
            return f"all classes keep their targets at {self.low:.3g}/s at least{self._why}"
        between = f"about {self.value:.3g}/s (between {self.low:.3g} and {self.high:.3g})"
        return f"highest rate at which all classes keep their targets: {between}{self._why}"

    def to_json(self) -> dict[str, Any]:
        """Everything, in members whose meaning does not change within `SCHEMA`."""
        return {"schema": SCHEMA, "told": self.told, "value": self.value, "unjudged": self.unjudged, **asdict(self)}

    @property
    def _why(self) -> str:
        return f"; {self.ended}" if self.ended else ""


@dataclass(slots=True)
class _Bounds:
    kept: float | None = None
    broken: float | None = None
    edges: list[float] = field(default_factory=list)

    def next(self, first: float, most: float, resolution: float) -> float | None:
        """The rate to try; None when the bounds are near enough, or no rate is left to try."""
        if self.kept is None and self.broken is None and not self.edges:
            return min(first, most)
        lowest = min([*self.edges, *([] if self.broken is None else [self.broken])], default=None)
        if self.kept is None:
            assert lowest is not None
            return lowest / 2 if lowest / 2 >= LOWEST else None
        near = 1 + resolution
        if lowest is None:
            return min(2 * self.kept, most) if self.kept < most else None
        if lowest > self.kept * near:
            return math.sqrt(self.kept * lowest)
        highest = max([self.kept, *self.edges])
        if self.broken is None:
            return min(2 * highest, most) if highest < most else None
        return math.sqrt(highest * self.broken) if self.broken > highest * near else None

    def learn(self, rate: float, found: Found) -> None:
        if found is Found.KEPT:
            self.kept = max(rate, self.kept or rate)
            # What is kept above an undecided rate decides that one too.
            self.edges = [edge for edge in self.edges if edge > rate]
        elif found is Found.BROKEN:
            self.broken = min(rate, self.broken or rate)
            self.edges = [edge for edge in self.edges if edge < rate]
        else:
            self.edges.append(rate)


def search(
    play: Play,
    *,
    first: float,
    most: float,
    left: Callable[[], float],
    lasts: Callable[[float, int], float],
    resolution: float = RESOLUTION,
    told: Callable[[Step], object] = lambda step: None,
) -> Capacity:
    """Try rates from ``first`` on, at most ``most``, as long as a step, which ``lasts(rate, attempt)`` seconds, fits into the seconds
    that are ``left()``. A step without a verdict has a second attempt.

    ``told`` hears each step. A run that was interrupted ends the search, and so does a target that is lost after the first step.
    Raises what ``play`` raises.
    """
    bounds, steps = _Bounds(), _Steps(play, left, lasts, told)
    ended, lost = "", False
    try:
        while (rate := bounds.next(first, most, resolution)) is not None:
            bounds.learn(rate, steps.at(rate))
        if bounds.kept is None:
            ended = "no lower rate is tried"
        elif bounds.broken is None:
            ended = f"no higher rate was allowed than {most:.3g}/s"
    except _Ended as why:
        ended, lost = str(why), why.lost
    done = steps.done
    broken = next((step for step in done if step.found is Found.BROKEN and step.rate == bounds.broken), None)
    return Capacity(
        low=bounds.kept,
        high=bounds.broken,
        steps=tuple(done),
        broke=broken.reason if broken else "",
        ended=ended,
        lost=lost,
    )


class _Ended(Exception):
    """Nothing more is tried, and why."""

    def __init__(self, reason: str, *, lost: bool = False) -> None:
        super().__init__(reason)
        self.lost = lost


@dataclass(slots=True)
class _Steps:
    play: Play
    left: Callable[[], float]
    lasts: Callable[[float, int], float]
    told: Callable[[Step], object]
    done: list[Step] = field(default_factory=list)
    pressed: set[str] = field(default_factory=set)

    def at(self, rate: float) -> Found:
        """What was found at this rate. Raises `_Ended`."""
        if _bounded(self.done):
            planned = self.done[-1].planned
            raise _Ended(
                f"the rate limits of the contract allow no more than {planned:.3g}/s; start it with raised limits"
            )
        step: Step | None = None
        for attempt in range(ATTEMPTS):
            if self.left() < self.lasts(rate, attempt):
                break
            step = self._played(rate, attempt)
            if step.found in (Found.KEPT, Found.BROKEN):
                break
        if step is None:
            raise _Ended("the seconds of its budget are spent" if self.done else "its budget is shorter than one step")
        if step.found is Found.GENERATOR:
            raise _Ended(f"at {rate:.3g}/s the generator or its machine is the limit, not the service: {step.reason}")
        if step.found is Found.INVALID:
            raise _Ended(f"at {rate:.3g}/s no verdict can be had: {step.reason}")
        return step.found

    def _played(self, rate: float, attempt: int) -> Step:
        try:
            run = self.play(rate, attempt)
        except TargetError as error:
            if not self.done:
                raise
            raise _Ended(f"at {rate:.3g}/s the target was lost: {error}", lost=True) from error
        except KeyboardInterrupt as interrupt:
            raise _Ended("interrupted") from interrupt
        step = judged(rate, run, self.pressed)
        self.pressed = self.pressed or {row.name for row in run.rows}
        self.done.append(step)
        self.told(step)
        if run.interrupted:
            raise _Ended("interrupted")
        return step


def step_length(seconds: float, rate: float, attempt: int = 0) -> float:
    """Seconds of a step: longer at a low rate and at a second attempt, so that a verdict can be had, up to `LONGER` times."""
    return min(LONGER * seconds, max(seconds, FEW / rate) * (1 + 2 * attempt))


def _bounded(steps: list[Step]) -> bool:
    """A higher rate was asked for, and no more was planned."""
    kept = [step for step in steps if step.found is Found.KEPT]
    return len(kept) > 1 and kept[-1].rate > kept[-2].rate * 1.05 and kept[-1].planned <= kept[-2].planned * 1.01


def judged(rate: float, run: LoadRun, pressed: Collection[str] = ()) -> Step:
    """What a run at this rate showed, by its classes. ``pressed`` are the rows that it has to have."""
    classes = list(_targets(run.rows))
    few = [row for row in classes if _too_few(row)]

    def step(found: Found, reason: str = "") -> Step:
        p95 = tuple((row.latency_class, row.p95_ms) for row in classes)
        return Step(rate, found, reason, p95, tuple(row.name for row in few), run.rate)

    if not run.valid or not classes:
        late = run.delay_ms is not None and run.delay_ms > LEAST_DELAY_MS
        return step(Found.GENERATOR if late else Found.INVALID, run.reason or "nothing was measured")
    if missing := set(pressed) - {row.name for row in run.rows}:
        return step(
            Found.INVALID, f"{min(missing)} could not be pressed on any more; the step before may still be felt"
        )
    if missed := [row for row in classes if row.verdict == MISSED]:
        return step(Found.BROKEN, _worst(missed, run))
    for row in classes:
        if row.verdict == INVALID and row not in few:
            refused = row.throttled or any(kind[:1] in "1234" for kind, _ in row.failures)
            # Answered, and yet no verdict: the generator was late itself, or had no processor left.
            return step(Found.INVALID if refused else Found.GENERATOR, f"{row.name}: {row.reason}")
    if undecided := [row for row in classes if row.verdict != MET and row not in few]:
        return step(Found.EDGE, f"{undecided[0].name}: {undecided[0].reason}")
    if len(few) == len(classes):
        return step(
            Found.INVALID, f"{few[0].sent} requests of {few[0].name} are too few for a verdict; longer steps have more"
        )
    return step(Found.KEPT)


def _targets(rows: Sequence[LatencyRow]) -> Iterable[LatencyRow]:
    """The classes, and operations whose target is their own."""
    classes = {(row.latency_class, row.limit_ms) for row in rows if row.is_class}
    return (row for row in rows if row.is_class or (row.latency_class, row.limit_ms) not in classes)


def _too_few(row: LatencyRow) -> bool:
    samples = row.sent - row.throttled
    if not row.sent:
        return True
    return row.verdict == NOT_DECIDED and samples < FEW and row.over <= samples * (1 - row.quantile) / 2


def _worst(missed: list[LatencyRow], run: LoadRun) -> str:
    """The class that is furthest beyond its limit, and its worst operation."""

    def beyond(row: LatencyRow) -> float:
        return row.over / max(1, row.sent - row.throttled)

    row = max(missed, key=beyond)
    own = [other for other in run.rows if other.latency_class == row.latency_class and other.name != row.name]
    most = max(own, key=beyond, default=None)
    worst = f", most of all {most.name} ({beyond(most):.0%} over)" if most is not None and len(own) > 1 else ""
    return f"{row.name}: {row.reason}{worst}"
