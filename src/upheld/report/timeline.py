"""How a rate rule treated a key over time: where the marks go, as parts of their frame, and the same in one sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from upheld.report.digest import RANK
from upheld.verdict import Result, Run, TimelineResult, Verdict

Kind = Literal["admitted", "over", "refused", "early"]
"""``over`` is admitted beyond the promise, ``early`` refused before the quota was used."""

WIDTH, HEIGHT = 1000.0, 100.0
_NEAR = 8.0
"""Marks of one kind that are closer than this are drawn as one."""
_AT_ONCE = 0.3
"""In windows: a dialogue that lets time pass before it uses a key up lets more pass than that."""
_ROOM = 1.08
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
_TICKS = 5
_UNITS = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "d"}


@dataclass(frozen=True, slots=True)
class Mark:
    """One request, or some that came together. ``x`` is 0 to `WIDTH`, ``y`` 0 to `HEIGHT`, downwards."""

    x: float
    y: float
    kind: Kind
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis, ``at`` 0 to 1."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A timeline in a frame of `WIDTH` by `HEIGHT`, y downwards; what was refused is marked below it."""

    promise: str
    """Upper edge of what may be admitted by then, as a path."""
    steps: str
    """What was admitted by then, as a path."""
    marks: tuple[Mark, ...]
    times: tuple[Tick, ...]
    counts: tuple[Tick, ...]
    """From the top."""
    summary: str


@dataclass(frozen=True, slots=True)
class Rule:
    """The timelines of one rate rule; the first one shows most."""

    name: str
    """``POST /auth/login 10/min``."""
    results: tuple[Result, ...]

    @property
    def first(self) -> Result:
        return self.results[0]


def rules(run: Run) -> list[Rule]:
    """The rate rules that a run has timelines of, by name."""
    found: dict[str, list[tuple[Result, TimelineResult]]] = {}
    for result in run.results:
        if result.timeline is not None and result.timeline.points:
            found.setdefault(result.timeline.rule, []).append((result, result.timeline))
    told = [
        Rule(name(seen[0][1]), tuple(result for result, _ in sorted(seen, key=_telling))) for seen in found.values()
    ]
    return sorted(told, key=lambda rule: rule.name)


def _telling(seen: tuple[Result, TimelineResult]) -> tuple[int, bool, float, float]:
    """What is broken before what holds, what was used up at once before what took its time, the soonest return before others."""
    result, line = seen
    first, back = _first_refused(line), _back(line)
    slow = first is not None and line.points[first][0] > line.window * _AT_ONCE
    return RANK[result.verdict], slow, math.inf if back is None else back, -line.points[-1][0]


def name(line: TimelineResult) -> str:
    """``POST /auth/login 10/60s`` as people say it: ``POST /auth/login 10/min``."""
    pattern = line.rule.removesuffix(f" {line.quota}/{line.window:g}s")
    return f"{pattern} {line.quota}/{_UNITS.get(line.window, f'{line.window:g}s')}"


def promised(line: TimelineResult, at: float) -> int:
    """The most requests that the rule admits until ``at``, in seconds since the first.

    Fixed windows begin with the first request, moving ones hold what was admitted within them. All others, a sliding
    counter too, admit no more than a bucket does that was full and fills up at ``quota / window`` a second.
    """
    if line.algorithm == "fixed-window":
        return line.quota * (1 + int(at // line.window))
    if line.algorithm == "moving-window":
        return line.quota + sum(admitted for when, admitted in line.points if when <= at - line.window)
    return line.quota + math.ceil(at * line.quota / line.window)


# -- in words ------------------------------------------------------------------------------------------------------------


def summary(result: Result) -> str:
    """``10 admitted in 0.4 s, then 429; back after 6 s``; empty where the result has no timeline."""
    line = result.timeline
    if line is None or not line.points:
        return ""
    first = _first_refused(line)
    admitted = [at for at, passed in line.points[:first] if passed]
    if not admitted:
        return f"the first request refused with 429, {line.quota} allowed"
    kinds = {kind for *_, kind in _judged(line, result.verdict)}
    count = f"{len(admitted)} of {line.quota}" if "early" in kinds else f"{len(admitted)}"
    said = f"{count} admitted in {seconds(admitted[-1])}{', then 429' if first is not None else ', none refused'}"
    back = _back(line)
    if back is not None:
        said += f"; back after {seconds(back)}"
    if "over" in kinds:
        at, total = max((at, total) for at, total, kind in _judged(line, result.verdict) if kind == "over")
        said += f"; {total} in all by {seconds(at)}, {promised(line, at)} allowed by then"
    return said


def seconds(value: float) -> str:
    """``0.04 s``, ``6.5 s``, ``61 s``."""
    digits = 2 if value < 0.1 else 1 if value < 10 else 0
    shown = f"{value:.{digits}f}"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown} s"


def _first_refused(line: TimelineResult) -> int | None:
    return next((number for number, (_, passed) in enumerate(line.points) if not passed), None)


def _back(line: TimelineResult) -> float | None:
    """Seconds from the first refusal to the next admission, where that is long enough for a request to have been earned."""
    first = _first_refused(line)
    if first is None:
        return None
    refused = line.points[first][0]
    after = next((at - refused for at, passed in line.points[first:] if passed), 0.0)
    return after if after >= line.window / line.quota / 2 else None


# -- in marks ------------------------------------------------------------------------------------------------------------


def draw(result: Result) -> Drawing | None:
    """The timeline of a result; None where it has none. Where the promise holds, nothing is marked as broken."""
    line = result.timeline
    if line is None or not line.points:
        return None
    end = line.points[-1][0] * 1.02 or 1.0
    total = sum(passed for _, passed in line.points)
    edge = _edge(line, end)
    top = max(total, edge[-1][1]) * _ROOM

    def x(at: float) -> float:
        return at / end * WIDTH

    def y(count: float) -> float:
        return HEIGHT - count / top * HEIGHT

    step = next((step for step in _STEPS if end / step <= _TICKS), math.ceil(end / _TICKS))
    counts = [line.quota] if abs(total - line.quota) < top / 8 else [line.quota, total]
    return Drawing(
        promise=_path((x(at), y(count)) for at, count in edge),
        steps=_path((x(at), y(count)) for at, count in _steps(line, end)),
        marks=tuple(Mark(x(at), y(count), kind, title) for at, count, kind, title in _marks(line, end, result.verdict)),
        times=tuple(Tick(n * step / end, f"{n * step:g} s" if n else "0") for n in range(int(end / step) + 1)),
        counts=tuple(Tick(y(count) / HEIGHT, str(count)) for count in counts),
        summary=summary(result),
    )


def _edge(line: TimelineResult, end: float) -> list[tuple[float, float]]:
    """The promised curve as corners (seconds, requests)."""
    if line.algorithm not in ("fixed-window", "moving-window"):
        return [(0.0, line.quota), (end, line.quota + end * line.quota / line.window)]
    jumps = (
        [number * line.window for number in range(1, int(end / line.window) + 1)]
        if line.algorithm == "fixed-window"
        else sorted(at + line.window for at, passed in line.points if passed and at + line.window <= end)
    )
    corners: list[tuple[float, float]] = [(0.0, line.quota)]
    for at in jumps:
        corners += [(at, corners[-1][1]), (at, promised(line, at))]
    return [*corners, (end, corners[-1][1])]


def _steps(line: TimelineResult, end: float) -> Iterator[tuple[float, float]]:
    count = 0
    yield 0.0, 0
    for at, passed in line.points:
        if passed:
            yield at, count
            count += 1
            yield at, count
    yield end, count


def _marks(line: TimelineResult, end: float, verdict: Verdict) -> Iterator[tuple[float, int, Kind, str]]:
    """(seconds, requests admitted by then, kind, what to say), those that are close together as one."""
    near = end * _NEAR / WIDTH
    seen = list(_judged(line, verdict))
    begun: list[float] = []
    for at, _, kind in seen:
        together = begun and at - begun[-1] < near and kind == seen[len(begun) - 1][2]
        begun.append(begun[-1] if together else at)
    for (begin, kind), group in groupby(zip(begun, seen, strict=True), key=lambda item: (item[0], item[1][2])):
        members = [one for _, one in group]
        at, count, _ = members[-1]
        when = seconds(at) if seconds(begin) == seconds(at) else f"{seconds(begin)} to {seconds(at)}"
        many = len(members)
        did = {"over": "admitted beyond the promise", "early": "refused too early"}.get(kind, kind)
        yield at, count, kind, f"{when}: {many} {did}; {count} in all, {promised(line, at)} allowed by then"


def _judged(line: TimelineResult, verdict: Verdict) -> Iterator[tuple[float, int, Kind]]:
    holds = verdict is Verdict.UPHELD
    admitted = 0
    for at, passed in line.points:
        admitted += passed
        kind: Kind = "admitted" if passed else "refused"
        if not holds and passed and admitted > promised(line, at):
            kind = "over"
        elif not holds and not passed and admitted < line.quota:
            kind = "early"
        yield at, admitted, kind


def _path(points: Iterator[tuple[float, float]] | Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
