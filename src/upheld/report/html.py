"""The run as one page that needs nothing else: no network, no fonts, no server.

What the service sent is hostile: every value is made harmless and escaped on its way into the page, links are kept only
where they lead to the web, and the page's own policy lets no other script run.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from upheld.report import charts, digest, latencies, matrix, page, timeline
from upheld.report.digest import Told
from upheld.verdict import LatencyRow, LoadRun, Result, Run, Verdict

if TYPE_CHECKING:
    from jinja2 import Template

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


def render(run: Run) -> str:
    """The page."""
    template, policy = _template()
    numbers = {id(result): number for number, result in enumerate(run.results)}
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
        groups=_groups(promises),
        breached=[_finding(told, numbers) for told in digest.findings(run, Verdict.BREACHED)],
        advisory=[_finding(told, numbers) for told in digest.findings(run, Verdict.ADVISORY)],
        flaky=[_finding(told, numbers) for told in digest.flaky(run)],
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
        operations=_operations(run),
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


@cache
def _template() -> tuple[Template, str]:
    script = re.findall(r"<script>(.*?)</script>", page.source("report.html.j2"), re.DOTALL)[-1]
    digest_ = b64encode(sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest_}'; base-uri 'none'; form-action 'none'"
    return page.environment().get_template("report.html.j2"), policy


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


def _finding(told: Told, numbers: dict[int, int]) -> dict[str, Any]:
    first = told.first
    lines = [(label, text) for label, text in digest.lines(first) if label != "again"]
    evidence = first.evidence
    commands = [] if evidence is None else [text for text in (evidence.again, evidence.curl) if text]
    return {
        "first": first,
        "anchor": f"f{numbers[id(first)]}",
        "others": told.subjects[1:],
        "lines": lines,
        "commands": commands,
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


def _groups(promises: list[tuple[int, Result]]) -> dict[str, list[tuple[int, Result]]]:
    groups: dict[str, list[tuple[int, Result]]] = {}
    for number, result in promises:
        groups.setdefault(digest.group_of(result.requirement), []).append((number, result))
    for members in groups.values():
        members.sort(key=lambda item: digest.RANK[item[1].verdict])
    return groups


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
            "counts": [
                (verdict, WORDS[verdict], count)
                for verdict, count in sorted(
                    Counter(result.verdict for _, result in results).items(), key=lambda item: digest.RANK[item[0]]
                )
            ],
        }
        for requirement, results in found.items()
    ]


def _operations(run: Run) -> list[dict[str, Any]]:
    reached = set(digest.coverage(run).reached)
    rows = [
        {
            "name": name,
            "reached": name in reached,
            "statuses": sorted((str(status), count) for status, count in statuses.items()),
            "total": sum(statuses.values()),
        }
        for name, statuses in run.coverage.items()
    ]
    return sorted(rows, key=lambda row: bool(row["reached"]))


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
