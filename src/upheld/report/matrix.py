"""Who may do what: a row an operation, a column a role, from what was found for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from upheld.verdict import Result, Run, Verdict

ANONYMOUS = "anonymous"
"""The column of callers without credentials, from what `WITHOUT_CREDENTIALS` found."""
WITHOUT_CREDENTIALS = "auth/credentials-required"
MOST = 40
"""So many rows are shown one by one where there is no way to scroll."""

Sign = Literal["allowed", "denied", "breached", "unproven", "waived"]
"""What a reader sees first: let in, kept out, broken, not exercised, broken and accepted."""


@dataclass(frozen=True, slots=True)
class Place:
    """One role of one operation."""

    expected: str
    """``allowed``, ``denied`` or ``unknown``."""
    seen: str
    verdict: Verdict
    result: Result
    """The promise that it comes from."""
    reason: str = ""

    @property
    def sign(self) -> Sign:
        if self.verdict in (Verdict.BREACHED, Verdict.ADVISORY):
            return "breached"
        if self.verdict is Verdict.WAIVED:
            return "waived"
        if self.verdict is Verdict.UPHELD and self.expected in ("allowed", "denied"):
            return "allowed" if self.expected == "allowed" else "denied"
        return "unproven"


@dataclass(frozen=True, slots=True)
class Row:
    """One operation. A role that nothing was asked of has no place."""

    operation: str
    cells: Mapping[str, Place]


@dataclass(frozen=True, slots=True)
class Fold:
    """Operations below one path, told together: for each role how many have which sign."""

    name: str
    operations: int
    signs: Mapping[str, Counter[Sign]]

    @property
    def title(self) -> str:
        return f"{self.name} ({self.operations})"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Operations by roles, in the order of the contract."""

    roles: tuple[str, ...]
    rows: tuple[Row, ...]

    def count(self, sign: Sign) -> int:
        return sum(place.sign == sign for row in self.rows for place in row.cells.values())


def matrix(run: Run) -> Matrix | None:
    """The table of a run; None where fewer than two roles were told apart."""
    results = [result for result in run.results if result.cells]
    roles = tuple(dict.fromkeys(cell.role for result in results for cell in result.cells))
    if len(roles) < 2:
        return None
    order = {operation: at for at, operation in enumerate(run.coverage)}
    results.sort(key=lambda result: order.get(result.subject, len(order)))
    without = {r.subject: r for r in run.results if r.requirement == WITHOUT_CREDENTIALS and not r.cells}
    rows = tuple(Row(result.subject, dict(_places(result, without.get(result.subject), roles))) for result in results)
    shown = (ANONYMOUS, *roles) if ANONYMOUS not in roles and any(ANONYMOUS in row.cells for row in rows) else roles
    return Matrix(shown, rows)


def _places(result: Result, without: Result | None, roles: Sequence[str]) -> Iterator[tuple[str, Place]]:
    if without is not None and ANONYMOUS not in roles:
        seen = without.evidence.actual if without.evidence else "refused" if without.verdict is Verdict.UPHELD else ""
        yield ANONYMOUS, Place("denied", seen, without.verdict, without, without.reason)
    for cell in result.cells:
        yield cell.role, Place(cell.expected, cell.seen, cell.verdict, result, cell.reason)


def folded(table: Matrix, most: int = MOST) -> tuple[tuple[Fold, ...], tuple[Row, ...]]:
    """(the operations below each path, the rows to show one by one): all rows, or of many only those that are broken."""
    if len(table.rows) <= most:
        return (), table.rows
    shared = _shared([_segments(row) for row in table.rows])
    groups: dict[str, list[Row]] = {}
    for row in table.rows:
        groups.setdefault("/" + "/".join(_segments(row)[: shared + 1]), []).append(row)
    folds = tuple(Fold(name, len(rows), _counted(rows, table.roles)) for name, rows in groups.items())
    broken = tuple(row for row in table.rows if any(place.sign == "breached" for place in row.cells.values()))
    return folds, broken


def _counted(rows: Sequence[Row], roles: Sequence[str]) -> dict[str, Counter[Sign]]:
    return {role: Counter(row.cells[role].sign for row in rows if role in row.cells) for role in roles}


def _segments(row: Row) -> list[str]:
    return [segment for segment in row.operation.partition(" ")[2].split("/") if segment]


def _shared(paths: Sequence[Sequence[str]]) -> int:
    """How many segments all paths begin with."""
    count = 0
    for segments in zip(*paths, strict=False):
        if len(set(segments)) > 1:
            break
        count += 1
    return count


def to_json(table: Matrix) -> dict[str, object]:
    """``{"roles": […], "rows": [{"operation": …, "cells": {role: {"expected", "seen", "verdict"}}}]}``"""
    return {
        "roles": list(table.roles),
        "rows": [
            {
                "operation": row.operation,
                "cells": {
                    role: {"expected": place.expected, "seen": place.seen, "verdict": place.verdict.value}
                    for role, place in row.cells.items()
                },
            }
            for row in table.rows
        ],
    }
