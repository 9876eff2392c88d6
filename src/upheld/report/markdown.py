"""The run as Markdown for the summary of a CI job or a comment: verdicts as tables, what was missed and why, nothing else.

GitHub's flavour, which GitLab, Gitea and Bitbucket read too. What the service sent is hostile: it can neither leave its cell,
nor bring markup of its own, nor call anybody by name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from upheld.report import digest, latencies
from upheld.report.clean import one_line
from upheld.report.digest import Told, plural
from upheld.verdict import LatencyRow, LoadRun, Percentile, Run, Verdict

_SHOWN = 20
"""So many findings, reasons or rows are listed; the full report has the rest."""
_LONGEST = 400
PIPE = "\\|"
SIGNS = {"breached": "❌", "unproven": "⚠️", "upheld": "✅"}
Item = TypeVar("Item")


def render(run: Run) -> str:
    """The document, ending with a line end."""
    parts = [
        f"## {SIGNS[digest.tone(run)]} {text(digest.conclusion(run))}",
        f"{code(run.contract)} against {code(run.target)}: {digest.duration(run.seconds)}, "
        f"{run.requests:,} {plural(run.requests, 'request')}, seed {run.seed}",
        "\n".join(f"> {text(note)}  " for note in (*((f"stopped: {run.stopped}",) if run.stopped else ()), *run.notes)),
        _groups(run),
        *_findings(run),
        *(_load(run, run.load) if run.load else ()),
        _unproven(run),
        _coverage(run),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


# -- what stands in it -----------------------------------------------------------------------------------------------------


def _groups(run: Run) -> str:
    groups = digest.by_group(run)
    if not groups:
        return ""
    used = [verdict for verdict in Verdict if run.count(verdict) or verdict in (Verdict.UPHELD, Verdict.BREACHED)]
    rows = [[text(group), *(str(counts[verdict]) for verdict in used)] for group, counts in groups.items()]
    if len(rows) > 1:
        rows.append(["**all**", *(f"**{run.count(verdict)}**" for verdict in used)])
    return table(["", *(verdict.value for verdict in used)], rows, left={0})


def _findings(run: Run) -> Iterator[str]:
    for head, told in (
        ("Breaches", digest.findings(run, Verdict.BREACHED)),
        ("Advisories", digest.findings(run, Verdict.ADVISORY)),
        ("Flaky", digest.flaky(run)),
    ):
        # A missed latency stands with its figures below.
        kept = [one for one in told if not all(latencies.of(run, result) for result in one.results)]
        if kept:
            yield f"### {head}\n\n" + _list(kept, _finding)


def _finding(told: Told) -> str:
    first, others = told.first, len(told.subjects) - 1
    more = f" and {others} more {digest.noun(told.subjects[1:], others)}" if others else ""
    lines = [f"**{code(first.requirement)}** {code(first.subject)}{more}: {text(first.title)}"]
    if first.evidence is not None:
        lines.append(f"expected {code(first.evidence.expected)}, actual {code(first.evidence.actual)}")
        lines.append(f"again: {code(first.evidence.again)}")
    elif first.reason or first.detail:
        lines.append(text(first.reason or first.detail))
    return "<br>\n  ".join(lines)


def _unproven(run: Run) -> str:
    told = [one for one in digest.unproven(run) if not all(latencies.of(run, result) for result in one.results)]
    return "### Unproven\n\n" + _list(told, _reason) if told else ""


def _reason(told: Told) -> str:
    count = len(told.results)
    of = code(told.first.id) if count == 1 else f"{count} promises"
    add = f"; add {code(told.first.add)}" if told.first.add else ""
    return f"{of}: {text(digest.because(told))}{add}"


def _coverage(run: Run) -> str:
    covered = digest.coverage(run)
    return f"{len(covered.reached)} of {covered.total} operations reached a 2xx." if covered.reached else ""


# -- load ------------------------------------------------------------------------------------------------------------------


def _load(run: Run, load: LoadRun) -> Iterator[str]:
    how = f"{load.rate:.3g} requests a second" if load.model == "open" else f"{load.users} users"
    yield f"### Load: {how} for {digest.duration(load.seconds)}, {text(load.model)} model"
    if not load.valid:
        yield f"This load run decides nothing: {text(load.reason)}"
    groups = latencies.groups(load)
    # A class speaks for its operations, but for those that missed.
    folded = [row for group in groups for row in group.rows if group.whole and row.verdict != "missed"]
    urgent = [row for group in groups for row in group.all if row not in folded]
    yield _rows(urgent)
    if reasons := digest.alike(row for row in (*urgent, *folded) if row.reason):
        yield _list(reasons, _why)
    if folded:
        verdicts = Counter(row.verdict for row in folded).items()
        told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts)
        more = "more " if any(row.verdict == "missed" for group in groups for row in group.rows) else ""
        head = f"{len(folded)} {more}{plural(len(folded), 'operation')}: {told}"
        yield f"<details><summary>{head}</summary>\n\n{_rows(folded)}\n\n</details>"
    yield "\n".join(f"- {text(said)}" for said in (*latencies.surroundings(load), *load.notes))


def _why(rows: list[LatencyRow]) -> str:
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"**{rows[0].verdict}** {code(rows[0].name)}{more}: {text(rows[0].reason)}"


def _rows(rows: Sequence[LatencyRow]) -> str:
    def one(row: LatencyRow) -> list[str]:
        name = f"**{text(row.name)}**" if row.name.startswith(latencies.CLASS) else code(row.name, cell=True)
        figures = [_bounded(latencies.percentile(row, quantile)) for quantile in (0.5, 0.95, 0.99)]
        over = f"{latencies.share(row)} ({bounds})" if (bounds := latencies.share_bounds(row)) else latencies.share(row)
        verdict = row.verdict if row.verdict == "met" else f"**{row.verdict}**"
        errors = f"{row.errors + row.unfinished:,}"
        return [
            name,
            verdict,
            f"{latencies.samples(row):,}",
            *figures,
            latencies.target(row),
            over,
            f"{row.throttled:,}",
            errors,
        ]

    head = ["", "verdict", "n", "p50 ms", "p95 ms", "p99 ms", "target", "over it", "429", "errors"]
    return table(head, [one(row) for row in rows], left={0, 1})


def _bounded(one: Percentile | None) -> str:
    within = latencies.bounds(one)
    return f"{latencies.value(one)} ({within})" if within else latencies.value(one)


# -- how it is written -----------------------------------------------------------------------------------------------------


def text(said: str) -> str:
    """Prose that stays prose."""
    plain = _short(said)
    escaped = re.sub(
        r"([\\`*_\[\]<>&|~$])|^([#=]|[+-](?=[\s+-]|$)|\d{1,9}(?=[.)](?:\s|$)))",
        lambda found: _escaped(found.group()),
        plain,
    )
    # An empty comment, so that nobody of that name is called.
    return escaped.replace("@", "@<!-- -->")


def _escaped(mark: str) -> str:
    return f"&#{ord(mark[0])};{mark[1:]}" if mark[0].isdigit() else f"\\{mark}"


def code(said: str, *, cell: bool = False) -> str:
    """A code span; ``cell`` where it stands in a table, whose cells end at any pipe without a backslash."""
    plain = _short(said)
    if not plain:
        return ""
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    room = " " if plain[0] == "`" or plain[-1] == "`" else ""
    return f"{fence}{room}{plain.replace('|', PIPE) if cell else plain}{room}{fence}"


def _short(said: str) -> str:
    plain = one_line(said).strip()
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: set[int]) -> str:
    lines = [head, [":--" if at in left else "--:" for at in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(items: Sequence[Item], line: Callable[[Item], str]) -> str:
    told = [f"- {line(item)}" for item in items[:_SHOWN]]
    return "\n".join([*told, *([f"- and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else [])])
