"""What a run exercised: which statuses each operation answered with, and which clauses were judged, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from upheld.report import digest
from upheld.verdict import Result, Run, Verdict

Kind = Literal["seen", "undocumented", "unseen"]
"""Answered as documented; answered although the contract does not name it; documented and never answered."""


@dataclass(frozen=True, slots=True)
class Count:
    """The answers of one operation with one status."""

    count: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Row:
    """One operation. A status that it neither documents nor answered with has no count."""

    operation: str
    reached: bool
    """It answered with a 2xx at least once."""
    counts: Mapping[str, Count]

    @property
    def total(self) -> int:
        return sum(one.count for one in self.counts.values())


@dataclass(frozen=True, slots=True)
class Statuses:
    """Operations by statuses: those that were never reached first, then in the order of the contract."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def totals(self) -> Mapping[str, int]:
        """All answers by status."""
        found: Counter[str] = Counter()
        for row in self.rows:
            found.update({status: one.count for status, one in row.counts.items()})
        return found

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(one.kind for row in self.rows for one in row.counts.values())


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause, and what the promises that rest on it came to."""

    text: str
    url: str
    results: tuple[Result, ...]

    @property
    def requirements(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(result.requirement for result in self.results))

    @property
    def exercised(self) -> int:
        """Promises that were put to the test, whatever came of it."""
        idle = (Verdict.UNPROVEN, Verdict.NOT_APPLICABLE)
        return sum(result.verdict not in idle or result.flaky for result in self.results)

    @property
    def judged(self) -> int:
        """Exchanges and conversations that they were judged on."""
        return sum(result.judged for result in self.results)


def statuses(run: Run) -> Statuses:
    """How often each operation answered with which status."""
    reached = set(digest.coverage(run).reached)
    rows = sorted(
        (
            Row(
                name, name in reached, _counts({str(code): n for code, n in seen.items()}, run.documented.get(name, ()))
            )
            for name, seen in run.coverage.items()
        ),
        key=lambda row: row.reached,
    )
    return Statuses(tuple(sorted({status for row in rows for status in row.counts})), tuple(rows))


def clauses(run: Run) -> list[Clause]:
    """The clauses of the run's promises: those that nothing exercised first, then by name."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in run.results:
        found.setdefault((result.clause, result.clause_url), []).append(result)
    told = [Clause(text, url, tuple(results)) for (text, url), results in found.items()]
    return sorted(told, key=lambda clause: (bool(clause.exercised), clause.text))


def _counts(seen: Mapping[str, int], documented: Sequence[str]) -> dict[str, Count]:
    """Without a documented status nothing can be told to be undocumented."""
    named = {code.upper() for code in documented}
    counts = {
        status: Count(n, "seen" if not named or {status, f"{status[:1]}XX", "DEFAULT"} & named else "undocumented")
        for status, n in seen.items()
        if n
    }
    exact = (code for code in documented if code.isdigit() and code not in counts)
    return counts | {code: Count(0, "unseen") for code in exact}
