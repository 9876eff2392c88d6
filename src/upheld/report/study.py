"""What several load runs together showed, as a page and as Markdown: a comparison, a search for the capacity, a soak.

Each comes as its JSON document, whose members are told in ``upheld.load`` beside its ``SCHEMA``. Raises ValueError for another one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from upheld.report import latencies, markdown, page
from upheld.report.charts import Tick

Document = Mapping[str, Any]
_TONES = {
    "slower": "breached", "drifting": "breached", "missed": "breached", "faster": "upheld", "no difference shown": "upheld",
    "steady": "upheld", "kept": "upheld",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """An estimate between its bounds, as places from 0 to 1 in a frame that all bars of a table share."""

    at: float
    low: float
    high: float
    closed: tuple[bool, bool]
    even: float
    """Where nothing differs."""
    may: tuple[float, float]
    """Between these nothing that matters differs."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of words, the verdict of each, and a bar for each where there are any."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdicts: tuple[str, ...]
    bars: tuple[Bar, ...] = ()
    left: tuple[int, ...] = (0,)
    """Columns of words; the others hold figures."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Points in a frame of 1000 by 100, y downwards."""

    title: str
    summary: str
    points: tuple[tuple[float, float, str, str], ...]
    """(x, y, verdict, what it is)."""
    lines: tuple[str, ...]
    band: tuple[float, float] | None
    """From x to x: where the answer lies."""
    across: tuple[Tick, ...]
    values: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """What is told of it, in the order of the page."""

    kind: str
    told: str
    tone: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    tables: tuple[Table, ...]
    plots: tuple[Plot, ...]


def study(document: Document) -> Study:
    """Read a document. Raises ValueError when it is none of the three."""
    plain = json.loads(json.dumps(document))
    read = _KINDS.get(plain.get("schema", ""))
    if read is None:
        raise ValueError(f"no report is made of {plain.get('schema')!r}")
    return read(plain)


def as_html(document: Document) -> str:
    """The page; it needs nothing else."""
    return page.environment().get_template("study.html.j2").render(study=study(document))


def as_markdown(document: Document) -> str:
    """The summary for a CI job."""
    read = study(document)
    parts = [
        f"## {markdown.SIGNS[read.tone]} {markdown.text(read.kind)}: {markdown.text(read.told)}",
        ", ".join(f"{name.lower()} {markdown.code(value)}" for name, value in read.facts),
        "\n".join(f"> {markdown.text(note)}  " for note in read.notes),
        *(_markdown_table(table) for table in read.tables if table.rows),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_table(table: Table) -> str:
    rows = [
        [markdown.text(row[0]), f"**{markdown.text(verdict)}**", *map(markdown.text, row[1:])]
        for row, verdict in zip(table.rows, table.verdicts, strict=True)
    ]
    left = {0, 1, *(at + 1 for at in table.left if at)}
    return f"### {markdown.text(table.title)}\n\n" + markdown.table(
        [table.head[0], "", *table.head[1:]], rows, left=left
    )


# -- comparison ------------------------------------------------------------------------------------------------------------


def _comparison(document: dict[str, Any]) -> Study:
    ratios = document["ratios"]
    known = [item[name] for item in ratios for name in ("low", "high", "value") if item[name]]
    widest = max([abs(math.log(part)) for part in known] + [math.log(1.1)]) * 1.05

    def place(ratio: float) -> float:
        return (math.log(ratio) / widest + 1) / 2

    def bar(item: dict[str, Any]) -> Bar:
        low, high = item["low"], item["high"]
        edges = (place(low) if low else 0.0, place(high) if high else 1.0)
        tolerance = 1 + float(document.get("tolerance", 0.05))
        return Bar(place(item["value"]), *edges, (bool(low), bool(high)), 0.5, (place(1 / tolerance), place(tolerance)))

    def row(item: dict[str, Any]) -> tuple[str, ...]:
        bounds = (
            f"{_change(item['low'])} to {_change(item['high'])}" if item["low"] and item["high"] else "no bounds yet"
        )
        middle = (latencies.number(item[name]) for name in ("base_ms", "candidate_ms"))
        return (
            f"{item['quantile']} {item['latency_class']}",
            str(item["pairs"]),
            *middle,
            _change(item["value"]),
            bounds,
        )

    spoilt = [
        f"{one['side']}, pair {one['pair'] + 1}: {one['problem']}" for one in document["rounds"] if one["problem"]
    ]
    return Study(
        "Comparison",
        document["told"],
        _TONES.get(document["answer"], "unproven"),
        _facts(document, "base", "candidate", "seconds", "seed"),
        _notes(document, spoilt),
        (
            Table(
                "Candidate against base",
                ("percentile", "pairs", "base ms", "candidate ms", "change", "bounds, 95 % sure together"),
                tuple(map(row, ratios)),
                tuple(item["answer"] for item in ratios),
                tuple(map(bar, ratios)),
            ),
        ),
        tuple(
            _rounds(document["rounds"], str(name)) for name in dict.fromkeys(item["latency_class"] for item in ratios)
        ),
    )


def _rounds(rounds: Sequence[dict[str, Any]], latency_class: str) -> Plot:
    """The p95 of every round, base and candidate beside each other."""
    points = [
        (one["pair"] + 1 + (0.1 if one["side"] == "candidate" else -0.1), mine["p95_ms"], one["side"])
        for one in rounds
        if not one["problem"] and (mine := one["classes"].get(latency_class)) and mine["p95_ms"]
    ]
    named = [(x, y, side, f"{side}, pair {x:.0f}: {latencies.number(y)} ms") for x, y, side in points]
    return _plot(f"p95 of {latency_class} by pair of rounds, ms; base left, candidate right", named, lines=False)


def _change(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.0f} %"


# -- capacity --------------------------------------------------------------------------------------------------------------


def _capacity(document: dict[str, Any]) -> Study:
    steps = document["steps"]
    classes = list(dict.fromkeys(str(name) for step in steps for name, _ in step["p95_ms"]))

    def row(step: dict[str, Any]) -> tuple[str, ...]:
        measured = dict(step["p95_ms"])
        told = ("–" if measured.get(name) is None else latencies.number(measured[name]) for name in classes)
        return (f"{step['rate']:.4g}/s", *told, step["reason"])

    def plot(name: str) -> Plot:
        points = [
            (step["rate"], ms, step["found"], f"{step['rate']:.4g}/s: {latencies.number(ms)} ms, {step['found']}")
            for step in steps
            for other, ms in step["p95_ms"]
            if other == name and ms is not None
        ]
        return _plot(
            f"p95 of {name} by requests a second, ms", sorted(points), band=(document["low"], document["high"])
        )

    return Study(
        "Capacity",
        document["told"],
        "upheld" if document["low"] is not None else "unproven",
        _facts(document, "target", "seconds", "seed"),
        _notes(
            document,
            [
                *([f"what broke first: {document['broke']}"] if document["broke"] else ()),
                *([f"not judged, too few requests: {', '.join(document['unjudged'])}"] if document["unjudged"] else ()),
            ],
        ),
        (
            Table(
                "Steps",
                ("rate", *(f"p95 {name}, ms" for name in classes), "because"),
                tuple(map(row, sorted(steps, key=lambda step: step["rate"]))),
                tuple(step["found"] for step in sorted(steps, key=lambda step: step["rate"])),
                left=(0, len(classes) + 1),
            ),
        ),
        tuple(map(plot, classes)),
    )


# -- soak ------------------------------------------------------------------------------------------------------------------

_UNITS: dict[str, tuple[float, str]] = {"MiB": (2.0**-20, "MiB"), "%": (100.0, "%"), "ms": (1.0, "ms")}


def _soak(document: dict[str, Any]) -> Study:
    def row(series: dict[str, Any]) -> tuple[str, ...]:
        times, unit = _UNITS.get(series["unit"], (1.0, series["unit"]))
        level, change, may = (times * series[name] for name in ("level", "change", "may"))
        bounds = [None if series[name] is None else times * series[name] for name in ("low", "high")]
        between = "no bounds yet" if None in bounds else f"{bounds[0]:+.3g} to {bounds[1]:+.3g}"
        return (series["name"], f"{level:.4g} {unit}", f"{change:+.3g}", between, f"{may:.3g}")

    def plot(series: dict[str, Any]) -> Plot:
        times, unit = _UNITS.get(series["unit"], (1.0, series["unit"]))
        points = [
            (number + 1, times * value, series["trend"], f"stretch {number + 1}: {times * value:.4g} {unit}")
            for number, value in series["points"]
        ]
        return _plot(f"{series['name']} by stretch, {unit}", points)

    spoilt = [f"stretch {one['number'] + 1}: {one['problem']}" for one in document["stretches"] if one["problem"]]
    missed = [f"{name} missed its target in some stretch" for name in document["missed"]]
    return Study(
        "Soak",
        document["told"],
        "breached" if missed else _TONES.get(document["trend"], "unproven"),
        _facts(document, "target", "seconds", "seed"),
        _notes(document, [*missed, *spoilt]),
        (
            Table(
                "Over the whole time",
                ("quantity", "median", "change", "bounds, 95 % sure together", "may grow by"),
                tuple(map(row, document["series"])),
                tuple(series["trend"] for series in document["series"]),
            ),
        ),
        tuple(map(plot, document["series"])),
    )


# -- what they share -------------------------------------------------------------------------------------------------------


def _facts(document: dict[str, Any], *names: str) -> tuple[tuple[str, str], ...]:
    shown = {"seconds": "Seconds each"}
    return tuple((shown.get(name, name.capitalize()), _said(document[name])) for name in names if name in document)


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _notes(document: dict[str, Any], more: Iterable[str]) -> tuple[str, ...]:
    stopped = (f"stopped: {document['stopped']}",) if document.get("stopped") else ()
    return tuple(dict.fromkeys((*stopped, *more, *document.get("notes", ()), *document.get("left_out", ()))))


def _plot(
    title: str,
    points: Sequence[tuple[float, float, str, str]],
    *,
    lines: bool = True,
    band: tuple[float | None, float | None] = (None, None),
) -> Plot:
    """Points on even axes that begin at nothing, upwards, and at the first point, across."""
    across = sorted({x for x, *_ in points} | {edge for edge in band if edge is not None}) or [0.0]
    first, last = across[0], max(across[-1], across[0] + 1e-9)
    top = max([y for _, y, *_ in points] + [1e-9]) * 1.1

    def x(value: float) -> float:
        return 30 + 940 * (value - first) / (last - first)

    def y(value: float) -> float:
        return 100 - 100 * max(0.0, value) / top

    placed = tuple((x(px), y(py), kind, told) for px, py, kind, told in points)
    path = "M" + "L".join(f"{px:.1f},{py:.1f}" for px, py, *_ in placed)
    low, high = band
    ends = (30.0 if low is None else x(low), 970.0 if high is None else x(high))
    return Plot(
        title,
        f"{title}: {'; '.join(told for *_, told in points)}" if points else f"{title}: nothing",
        placed,
        (path,) if lines and len(placed) > 1 else (),
        ends if (low, high) != (None, None) else None,
        tuple(Tick(x(value) / 1000, f"{value:.4g}") for value in dict.fromkeys((round(first), round(last)))),
        (Tick(y(top / 1.1) / 100, f"{top / 1.1:,.0f}" if top >= 100 else f"{top / 1.1:.3g}"), Tick(1.0, "0")),
    )


_KINDS: dict[str, Callable[[dict[str, Any]], Study]] = {
    "upheld.load-compare/1": _comparison,
    "upheld.load-capacity/1": _capacity,
    "upheld.load-soak/1": _soak,
}
