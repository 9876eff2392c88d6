"""The run as one page that needs nothing else: no network, no fonts, no server.

What the service sent is hostile: every value is made harmless and escaped on its way into the page, links are kept only
where they lead to the web, and the page's own policy lets no other script run.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from upheld.report import charts, digest, exercised, latencies, manual, matrix, page, timeline
from upheld.report.clean import visible
from upheld.report.digest import Told
from upheld.verdict import LatencyRow, LoadRun, Result, Run, Verdict

if TYPE_CHECKING:
    from jinja2 import Template

    from upheld.check import Check

WORDS = {
    Verdict.UPHELD: "upheld",
    Verdict.BREACHED: "breached",
    Verdict.ADVISORY: "advisory",
    Verdict.UNPROVEN: "unproven",
    Verdict.WAIVED: "waived",
    Verdict.NOT_APPLICABLE: "n.a.",
}

SIGNS: dict[matrix.Sign, tuple[str, str]] = {
    "allowed": ("✓", "let in, as the contract says"),
    "denied": ("–", "refused, as the contract says"),
    "breached": ("✗", "not as the contract says"),
    "unproven": ("?", "unproven"),
    "waived": ("w", "not as the contract says, and waived"),
}

MARKS: dict[exercised.Kind, tuple[str, str]] = {
    "undocumented": ("*", "the contract does not name this status for the operation"),
    "unseen": ("–", "documented and never answered"),
}

ONE_BY_ONE = 1000
"""Up to so many promises have a mark each on the first screen; of more, requirements have."""


def render(run: Run, checks: Mapping[str, Check] | None = None) -> str:
    """The page. ``checks`` are those by id whose own pages stand below their findings."""
    template, script, policy = _template()
    numbers = {id(result): number for number, result in enumerate(run.results)}
    manuals = _Manuals(checks or {})

    def of(results: Iterable[Result]) -> str:
        """The numbers of these promises: what the page's filter goes by."""
        return " ".join(dict.fromkeys(str(numbers[id(result)]) for result in results))

    promises = sorted(
        enumerate(run.results), key=lambda item: (item[1].requirement, digest.RANK[item[1].verdict], item[1].subject)
    )
    return template.render(
        run=run,
        policy=policy,
        headline=_headline(run),
        tone=digest.tone(run),
        when=_when(run.started),
        took=digest.duration(run.seconds),
        counts=[(verdict, word, run.count(verdict)) for verdict, word in WORDS.items()],
        script=script,
        of=of,
        fragment=fragment,
        groups=_groups(promises),
        breached=[_finding(told, of, manuals) for told in digest.findings(run, Verdict.BREACHED)],
        advisory=[_finding(told, of, manuals) for told in digest.findings(run, Verdict.ADVISORY)],
        flaky=[_finding(told, of, manuals) for told in digest.flaky(run)],
        manuals=manuals.places,
        matrix=_matrix(run, numbers),
        signs=SIGNS,
        limits=_limits(run),
        promise_number=lambda result: numbers[id(result)],
        unproven=digest.unproven(run),
        waived=digest.waived(run),
        requirements=_requirements(promises),
        levels=sorted({result.level for result in run.results}),
        verdicts=[word for verdict, word in WORDS.items() if run.count(verdict)],
        covered=digest.coverage(run),
        statuses=exercised.statuses(run),
        marks=MARKS,
        clauses=exercised.clauses(run),
        load=run.load and _load(run.load),
        because=digest.because,
        duration=digest.duration,
        noun=digest.noun,
        plural=digest.plural,
        word=WORDS.__getitem__,
        link=link,
        lines=digest.lines,
        latencies=latencies,
    )  # fmt: skip


def link(url: str) -> str:
    """``url`` where it leads to the web; empty where it is anything else, a script for example."""
    return url if re.fullmatch(r"https?://[!-~]+", url) else ""


def fragment(name: str, value: str) -> str:
    """The page's address below ``#`` when its filter ``name`` is set to ``value``."""
    return urlencode({name: visible(value)})


@cache
def _template() -> tuple[Template, str, str]:
    script = page.source("report.js")
    digest_ = b64encode(sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest_}'; base-uri 'none'; form-action 'none'"
    return page.environment().get_template("report.html.j2"), script, policy


class _Manuals:
    """The pages of checks, each given out once."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self.places: dict[str, str] = {}
        """Requirement → anchor of the finding that its page stands below."""

    def below(self, requirement: str, anchor: str) -> str:
        """The page as HTML; empty where it is on the report already, or there is none."""
        if requirement in self.places or requirement not in self._checks:
            return ""
        self.places[requirement] = anchor
        return manual.page(self._checks[requirement])


def _headline(run: Run) -> str:
    """What is kept is not the whole story where much could not be judged."""
    unproven = 0 if run.count(Verdict.BREACHED) else run.count(Verdict.UNPROVEN)
    return f"{digest.headline(run)}; {unproven} unproven" if unproven else digest.headline(run)


def _when(started: str) -> str:
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    zone = f"{moment:%z}"
    shown = "UTC" if zone == "+0000" else f"UTC{zone[:3]}:{zone[3:5]}" if zone else ""
    return f"{moment.day} {moment:%B %Y, %H:%M} {shown}".strip()


def _finding(told: Told, of: Callable[[Iterable[Result]], str], manuals: _Manuals) -> dict[str, Any]:
    first = told.first
    lines = [(label, text) for label, text in digest.lines(first) if label != "again"]
    anchor = f"f{of([first])}"
    evidence = first.evidence
    commands = [] if evidence is None else [text for text in (evidence.again, evidence.curl) if text]
    return {
        "first": first,
        "anchor": anchor,
        "of": of(told.results),
        "others": told.subjects[1:],
        "lines": lines,
        "commands": commands,
        "manual": manuals.below(first.requirement, anchor),
    }


def _matrix(run: Run, numbers: dict[int, int]) -> dict[str, Any] | None:
    """The table of roles, with where each cell leads: to the finding's block, else to the promise."""
    table = matrix.matrix(run)
    if table is None:
        return None
    blocks = {
        id(result): f"f{numbers[id(told.first)]}"
        for told in (*digest.findings(run, Verdict.BREACHED), *digest.findings(run, Verdict.ADVISORY))
        for result in told.results
    }

    def leads(place: matrix.Place) -> str:
        own = f"p{numbers[id(place.result)]}"
        return blocks.get(id(place.result), own) if place.sign == "breached" else own

    cells = [[row.cells.get(role) for role in table.roles] for row in table.rows]
    return {
        "roles": table.roles,
        "rows": [
            (row.operation, [(place, leads(place)) if place else None for place in places])
            for row, places in zip(table.rows, cells, strict=True)
        ],
        "legend": [(sign, said) for sign, (_, said) in SIGNS.items() if table.count(sign)],
    }


def _limits(run: Run) -> dict[str, Any] | None:
    """The timelines by rate rule, and which kinds of marks they have."""
    drawings = {
        rule.name: [(result, drawn) for result in rule.results if (drawn := timeline.draw(result))]
        for rule in timeline.rules(run)
    }
    kinds = {mark.kind for drawn in drawings.values() for _, drawing in drawn for mark in drawing.marks}
    return {"rules": drawings, "kinds": kinds} if drawings else None


def _groups(promises: list[tuple[int, Result]]) -> list[dict[str, Any]]:
    groups: dict[str, list[tuple[int, Result]]] = {}
    for number, result in promises:
        groups.setdefault(digest.group_of(result.requirement), []).append((number, result))
    return [
        {
            "name": name,
            "tally": _tally(result for _, result in members),
            "cells": sorted(
                _each(members) if len(promises) <= ONE_BY_ONE else _by_requirement(members),
                key=lambda cell: digest.RANK[cell["verdict"]],
            ),
        }
        for name, members in groups.items()
    ]


def _each(members: list[tuple[int, Result]]) -> list[dict[str, Any]]:
    return [
        {"verdict": result.verdict, "number": number, "said": f"{result.id}: {WORDS[result.verdict]}"}
        for number, result in members
    ]


def _by_requirement(members: list[tuple[int, Result]]) -> list[dict[str, Any]]:
    """The worst of each requirement."""
    return [
        {
            "verdict": own[0][1].verdict,
            "number": own[0][0],
            "said": f"{requirement}: {_tally(result for _, result in own)}",
        }
        for requirement, found in groupby(members, key=lambda item: item[1].requirement)
        if (own := list(found))
    ]


def _counts(results: Iterable[Result]) -> list[tuple[Verdict, str, int]]:
    found = Counter(result.verdict for result in results)
    return [(verdict, WORDS[verdict], found[verdict]) for verdict in sorted(found, key=digest.RANK.__getitem__)]


def _tally(results: Iterable[Result]) -> str:
    return ", ".join(f"{count} {name}" for _, name, count in _counts(results))


def _requirements(promises: list[tuple[int, Result]]) -> list[dict[str, Any]]:
    found: dict[str, list[tuple[int, Result]]] = {}
    for number, result in promises:
        found.setdefault(result.requirement, []).append((number, result))
    return [
        {
            "id": requirement,
            "group": digest.group_of(requirement),
            "first": results[0][1],
            "quiet": all(
                digest.RANK[result.verdict] >= digest.RANK[Verdict.UPHELD] and not result.flaky for _, result in results
            ),
            "results": results,
            "counts": _counts(result for _, result in results),
        }
        for requirement, results in found.items()
    ]


def _load(load: LoadRun) -> dict[str, Any]:
    """The rows by class, each with what is drawn of it, and where it lies on the page."""
    anchors = {id(row): f"l{number}" for number, row in enumerate(load.rows)}

    def panel(row: LatencyRow, others: Sequence[LatencyRow] = ()) -> dict[str, Any]:
        return {
            "row": row,
            "anchor": anchors[id(row)],
            "gauge": charts.gauge(row),
            "curve": charts.curve(row, others),
            "shares": charts.shares(row),
            "figures": [(f"p{q * 100:g}", latencies.percentile(row, q)) for q in (0.5, 0.95, 0.99)],
        }

    groups = latencies.groups(load)
    return {
        "run": load,
        "took": digest.duration(load.seconds),
        "groups": [
            {
                "name": group.name,
                "whole": panel(group.whole, group.rows) if group.whole else None,
                "rows": [panel(row) for row in group.rows],
                "open": not group.whole or any(row.verdict != "met" for row in group.rows),
            }
            for group in groups
        ],
        "scale": charts.SCALE,
        "target": charts.TARGET,
        "lost": any(
            one and one.ms is None
            for row in load.rows
            for one in map(partial(latencies.percentile, row), (0.5, 0.95, 0.99))
        ),
    }
