"""The run on a terminal, or in a build log: findings as blocks, the rest counted, a sentence at the end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from upheld.report import digest, latencies, matrix, timeline
from upheld.report.clean import one_line, visible
from upheld.report.digest import Told, plural
from upheld.report.live import live
from upheld.verdict import Exit, LatencyRow, LoadRun, Result, Run, Verdict

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["live", "render"]

_LABEL = 11
_NARROW, _LOG, _WIDE = 60, 100, 120
"""Columns. A build log has no width of its own; what is told there is read on a page that has."""
_REASONS = 12
_CELL = 48
_SHOWN = 8
"""So many further subjects of one finding are listed; all with ``verbose``, and in the written reports."""
_COLOURS = {
    Verdict.BREACHED: "bold red",
    Verdict.ADVISORY: "yellow",
    Verdict.UNPROVEN: "magenta",
    Verdict.WAIVED: "blue",
    Verdict.UPHELD: "green",
    Verdict.NOT_APPLICABLE: "dim",
}
_SIGNS: dict[matrix.Sign, str] = {"allowed": "✓", "denied": "–", "breached": "✗", "unproven": "?", "waived": "w"}
_ASCII: dict[matrix.Sign, str] = {"allowed": "+", "denied": "-", "breached": "X", "unproven": "?", "waived": "w"}
_SAID: dict[matrix.Sign, str] = {
    "allowed": "let in as promised",
    "denied": "refused as promised",
    "breached": "breached",
    "unproven": "unproven",
    "waived": "waived",
}
_SIGN_COLOURS: dict[matrix.Sign, str] = {
    "allowed": "green",
    "denied": "green",
    "breached": "bold red",
    "unproven": "magenta",
    "waived": "blue",
}
_TONES = {"upheld": "bold green", "breached": "bold red", "unproven": "bold yellow"}
_LOAD_COLOURS = {"met": "green", "missed": "bold red", "not decided": "yellow", "invalid": "magenta"}


def render(run: Run, console: Console, *, verbose: bool = False, report: Path | str | None = None) -> None:
    """Print the run. ``report`` is where the HTML report lies; ``verbose`` lists everything, also what holds."""
    _Page(run, console, verbose).print(str(report) if report else "")


class _Page:
    def __init__(self, run: Run, console: Console, verbose: bool) -> None:
        self._run, self._console, self._verbose = run, console, verbose
        narrowest = _NARROW if console.is_terminal else _LOG
        self._width = max(narrowest, min(console.width, _WIDE))

    def print(self, report: str) -> None:
        run = self._run
        self._notes()
        for word, style, told in (
            ("BREACHED", "bold red", digest.findings(run, Verdict.BREACHED)),
            ("ADVISORY", "yellow", digest.findings(run, Verdict.ADVISORY)),
            ("FLAKY", "magenta", digest.flaky(run)),
        ):
            for one in told:
                self._block(word, style, one)
        self._unproven()
        self._waived()
        if self._verbose:
            self._rest()
        self._load(run.load)
        self._groups()
        self._limits()
        self._matrix()
        self._coverage()
        self._output()
        self._last(report)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _notes(self) -> None:
        stopped = (f"stopped: {self._run.stopped}",) if self._run.stopped else ()
        for note in (*stopped, *self._run.notes):
            self._field("NOTE  ", note, "bold yellow", indent=0)
        if stopped or self._run.notes:
            self._line()

    def _block(self, word: str, style: str, told: Told) -> None:
        first = told.first
        self._line((word, style), ("  ", ""), (first.requirement, "bold"), ("   ", ""), (first.subject, ""))
        self._subjects(told.subjects[1:])
        for label, text in digest.lines(first):
            self._field(label, text, "dim", whole=label == "again")
        self._line()

    def _subjects(self, others: Sequence[str]) -> None:
        if not others:
            return
        shown = others if self._verbose else others[:_SHOWN]
        more = ", …" if len(shown) < len(others) else ""
        listed = ", ".join(map(one_line, shown))
        self._wrapped(f"and {len(others)} more {digest.noun(others, len(others))}: {listed}{more}", indent=_LABEL + 2)

    def _unproven(self) -> None:
        groups = digest.unproven(self._run)
        shown = groups if self._verbose else groups[:_REASONS]
        for told in shown:
            first, count = told.first, len(told.results)
            of = first.id if count == 1 else f"{count} promises"
            self._line(("UNPROVEN", _COLOURS[Verdict.UNPROVEN]), ("  ", ""), (of, "bold" if count == 1 else ""))
            self._field("because", digest.because(told), "dim")
            self._field("add", first.add, "dim")
            if count > 1:
                self._field("of", self._listed(told), "dim")
            self._line()
        if rest := groups[len(shown) :]:
            promises = sum(len(told.results) for told in rest)
            self._line(("UNPROVEN", _COLOURS[Verdict.UNPROVEN]), (f"  {promises} more promises for {len(rest)} more ", ""),
                       (f"{plural(len(rest), 'reason')}; --verbose and the written reports tell them", ""))  # fmt: skip
            self._line()

    def _listed(self, told: Told) -> str:
        if self._verbose:
            return ", ".join(result.id for result in told.results)
        names, subjects = told.requirements, told.subjects
        of, listed = ("", names) if len(names) > 1 else (f"{names[0]}: ", subjects)
        return of + ", ".join(listed[:_SHOWN]) + (f", and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")

    def _waived(self) -> None:
        for told in digest.waived(self._run):
            first = told.first
            until = f" (until {first.waived_until})" if first.waived_until else ""
            self._line(
                ("WAIVED", _COLOURS[Verdict.WAIVED]),
                ("  ", ""),
                (first.requirement, "bold"),
                ("   ", ""),
                (first.subject, ""),
            )
            self._subjects(told.subjects[1:])
            self._field("because", f"{first.reason}{until}", "dim")
            self._line()

    def _rest(self) -> None:
        for verdict in (Verdict.UPHELD, Verdict.NOT_APPLICABLE):
            for result in self._run.results:
                if result.verdict is verdict and not result.flaky:
                    self._kept(result)
        self._line()

    def _kept(self, result: Result) -> None:
        said = result.detail or result.reason
        self._line(
            (f"{result.verdict.value:<14}", _COLOURS[result.verdict]),
            (result.requirement, ""), ("   ", ""), (result.subject, "dim"), (f"   {said}" if said else "", "dim"),
        )  # fmt: skip

    def _load(self, load: LoadRun | None) -> None:
        if load is None:
            return
        how = f"{load.rate:.3g}/s" if load.model == "open" else f"{load.users} users"
        self._line((f"load: {how} for {digest.duration(load.seconds)}, {load.model} model", "bold"))
        for note in (*(() if load.valid else (f"not valid: {load.reason}",)), *load.notes):
            self._field("NOTE  ", note, "bold yellow", indent=0)
        for said in latencies.surroundings(load):
            self._wrapped(said, indent=2, hang=2)
        self._latencies([row for group in latencies.groups(load) for row in group.all])
        explained = {result.subject for result in self._run.results if result.reason or result.evidence}
        for told in digest.alike([row for row in load.rows if row.reason and row.name not in explained]):
            others = f" and {len(told) - 1} more" if len(told) > 1 else ""
            self._wrapped(f"{told[0].name}{others}: {told[0].verdict}: {told[0].reason}", indent=2, hang=2)
        self._line()

    def _latencies(self, rows: Sequence[LatencyRow]) -> None:
        """A line a row where the screen is as wide, else two: name and verdict, and below them the figures."""
        head = ["ms", "", "n", "p50", "p95", "", "p99", "target", "over", "", "429", "errors"]
        table = [_latency(row) for row in rows]
        used = [at for at in range(len(head)) if head[at] or any(cells[at] for cells in table)]
        lines = [[cells[at] for at in used] for cells in (head, *table)]
        styles = [
            {0: "bold" if row.name.startswith(latencies.CLASS) else "", 1: _LOAD_COLOURS.get(row.verdict, "")}
            for row in rows
        ]
        widest = sum(max(min(len(line[at]), _CELL) for line in lines) + 2 for at in range(len(used)))
        if self._console.is_terminal and widest > self._console.width:
            figures = self._aligned([["", *line[2:]] for line in lines], left=set(), styles=[{} for _ in rows])
            for at, line in enumerate(figures):
                if at:
                    self._line((lines[at][0], styles[at - 1][0]), ("  ", ""), (lines[at][1], styles[at - 1][1]))
                self._line(*line)
        else:
            self._table(lines[0], lines[1:], left={0, 1}, styles=styles)
        said = "over: slower than the target, failed or unanswered; errors: failed or unanswered"
        self._wrapped(f"in brackets: bounds, each 95 % sure; {said}", indent=2)
        if any(latencies.LOST in cells for cells in table):
            self._wrapped(f"{latencies.LOST}: so many had no good answer that no latency can be named", indent=2)

    def _groups(self) -> None:
        groups = digest.by_group(self._run)
        if not groups:
            return
        columns = (
            Verdict.UPHELD,
            Verdict.BREACHED,
            Verdict.ADVISORY,
            Verdict.UNPROVEN,
            Verdict.WAIVED,
            Verdict.NOT_APPLICABLE,
        )
        heads = ("upheld", "breached", "advisory", "unproven", "waived", "n.a.")
        used = [at for at, verdict in enumerate(columns) if at < 4 or self._run.count(verdict)]
        rows = [
            (group, *(str(counts[columns[at]]) if counts[columns[at]] else "·" for at in used))
            for group, counts in groups.items()
        ]
        if len(rows) > 1:
            rows.append(("all", *(str(self._run.count(columns[at])) for at in used)))
        styles = [
            {place: _COLOURS[columns[at]] for place, at in enumerate(used, 1) if row[place] not in "·0"} for row in rows
        ]
        self._table(("", *(heads[at] for at in used)), rows, left={0}, styles=styles)
        self._line()

    def _limits(self) -> None:
        """A line for each rate rule that was studied."""
        rules = timeline.rules(self._run)
        if not rules:
            return
        self._line(("limits", "bold"))
        for rule in rules:
            self._wrapped(f"{rule.name}: {timeline.summary(rule.first)}", indent=2, hang=2)
        self._line()

    def _matrix(self) -> None:
        """Operations by roles, a sign a cell."""
        table = matrix.matrix(self._run)
        if table is None:
            return
        signs = _ASCII if self._console.options.ascii_only else _SIGNS
        folds, rows = matrix.folded(table)
        if self._verbose:
            folds, rows = (), table.rows
        first = max(len(name) for name in (*(fold.title for fold in folds), *(row.operation for row in rows)))
        for roles in _columns(table.roles, self._width - min(first, _CELL)):
            cells = [(fold.title, *(_counted(fold.signs[role], signs) for role in roles)) for fold in folds]
            styles = [_broken([fold.signs[role] for role in roles]) for fold in folds]
            for row in rows:
                places = [row.cells.get(role) for role in roles]
                cells.append((row.operation, *(signs[place.sign] if place else "" for place in places)))
                styles.append({at: _SIGN_COLOURS[place.sign] for at, place in enumerate(places, 1) if place})
            self._table(("who may do what", *roles), cells, left={0}, styles=styles)
        used = [sign for sign in signs if table.count(sign)]
        legend = ", ".join(f"{signs[sign]} {_SAID[sign]}" for sign in used)
        more = "; folded by path, the HTML report and --verbose show every operation" if folds else ""
        self._wrapped(f"{legend}{more}", indent=2)
        self._line()

    def _coverage(self) -> None:
        covered = digest.coverage(self._run)
        if not covered.total:
            return
        missed = covered.missed if self._verbose else covered.missed[:_SHOWN]
        more = f", and {len(covered.missed) - len(missed)} more" if len(missed) < len(covered.missed) else ""
        rest = f"; not reached: {', '.join(map(one_line, missed))}{more}" if missed else ""
        self._wrapped(f"{len(covered.reached)} of {covered.total} operations reached a 2xx{rest}", indent=0, hang=2)

    def _output(self) -> None:
        if self._run.target_output and self._run.exit_status in (Exit.TARGET, Exit.HARNESS):
            self._line()
            self._line(("the target's last words", "bold"))
            for line in self._run.target_output.splitlines()[-20:]:
                self._line(("  | ", "dim"), (line, "dim"))
            self._line()

    def _last(self, report: str) -> None:
        run = self._run
        requests = f"{run.requests:,} {plural(run.requests, 'request')}, seed {run.seed}"
        where = f"; report: {report}" if report else ""
        style = "bold red" if run.exit_status else _TONES[digest.tone(run)]
        self._line((f"{digest.conclusion(run)}. {digest.duration(run.seconds)}, {requests}{where}", style))

    # -- how lines are made --------------------------------------------------------------------------------------------

    def _line(self, *spans: tuple[str, str]) -> None:
        """One line, as long as it is: the terminal folds it, so that it is copied whole."""
        from rich.text import Text

        text = Text()
        for content, style in spans:
            text.append(_disarmed(visible(content, keep="")), style)
        self._console.print(text, soft_wrap=True, highlight=False)

    def _field(self, label: str, text: str, style: str, *, indent: int = 2, whole: bool = False) -> None:
        """A labelled value, folded under its own column; ``whole`` values are never folded, so that they can be pasted."""
        if not text:
            return
        head = " " * indent + (f"{label:<{_LABEL}}" if indent else label)
        if whole:
            self._line((head, style), (text, ""))
            return
        for at, line in enumerate(self._fold(text, self._width - len(head))):
            self._line((head if at == 0 else " " * len(head), style if indent or at == 0 else ""), (line, ""))

    def _wrapped(self, text: str, *, indent: int, hang: int = 0) -> None:
        for at, line in enumerate(self._fold(text, self._width - indent - hang)):
            self._line((" " * (indent + (hang if at else 0)) + line, ""))

    def _fold(self, text: str, width: int) -> Iterable[str]:
        from rich.text import Text

        for paragraph in visible(text, keep="\n").split("\n"):
            for line in Text(paragraph).wrap(self._console, width, overflow="fold"):
                yield re.sub(r"^(?=\s*::)", r"\\", line.plain.rstrip())

    def _table(
        self, head: Sequence[str], rows: Sequence[Sequence[str]], *, left: set[int], styles: Sequence[dict[int, str]]
    ) -> None:
        for line in self._aligned([head, *rows], left=left, styles=styles):
            self._line(*line)

    def _aligned(
        self, rows: Sequence[Sequence[str]], *, left: set[int], styles: Sequence[dict[int, str]]
    ) -> Iterable[list[tuple[str, str]]]:
        """Lines of a table in spans; the first is its head."""
        from rich.cells import cell_len

        cleaned = [[_clipped(one_line(cell)) for cell in row] for row in rows]
        widths = [max(cell_len(row[at]) for row in cleaned) for at in range(len(cleaned[0]))]
        for number, row in enumerate(cleaned):
            spans: list[tuple[str, str]] = []
            for at, cell in enumerate(row):
                gap = " " * (widths[at] - cell_len(cell))
                style = "dim" if number == 0 else styles[number - 1].get(at, "")
                spans += [("  " if at else "", ""), (cell + gap if at in left else gap + cell, style)]
            yield spans


def _columns(roles: Sequence[str], width: int) -> Iterable[list[str]]:
    """The roles in lots that are shown beside each other."""
    lot: list[str] = []
    for role in roles:
        if lot and sum(max(len(name), 3) + 2 for name in (*lot, role)) > width:
            yield lot
            lot = []
        lot.append(role)
    yield lot


def _counted(found: Counter[matrix.Sign], signs: dict[matrix.Sign, str]) -> str:
    return " ".join(f"{found[sign]}{signs[sign]}" for sign in signs if found[sign])


def _broken(found: Sequence[Counter[matrix.Sign]]) -> dict[int, str]:
    return {at: "bold red" for at, counts in enumerate(found, 1) if counts["breached"]}


def _disarmed(text: str) -> str:
    """Build servers obey ``##vso[…]``, ``##teamcity[…]`` and, at the start of a line, ``::…`` in what they log."""
    return re.sub(r"##(?=\w*\[)", r"#\\#", text)


def _clipped(cell: str) -> str:
    return cell if len(cell) <= _CELL else cell[: _CELL - 1] + "…"


def _latency(row: LatencyRow) -> tuple[str, ...]:
    p95 = latencies.percentile(row, 0.95)

    def within(said: str) -> str:
        return f"({said})" if said else ""

    return (
        row.name,
        row.verdict,
        f"{latencies.samples(row):,}",
        latencies.value(latencies.percentile(row, 0.5)),
        latencies.value(p95),
        within(latencies.bounds(p95)),
        latencies.value(latencies.percentile(row, 0.99)),
        f"{row.limit_ms:,.0f}" if row.quantile == 0.95 else f"p{row.quantile * 100:g} {row.limit_ms:,.0f}",
        latencies.share(row),
        within(latencies.share_bounds(row)),
        f"{row.throttled:,}",
        f"{row.errors + row.unfinished:,}",
    )
