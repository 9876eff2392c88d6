"""What every report needs of a run: findings told once, what is unproven by its reason, groups, coverage, the last word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from upheld.verdict import Exit, LatencyRow, LoadRun, Result, Run, Verdict

RANK = {verdict: rank for rank, verdict in enumerate(
    (Verdict.BREACHED, Verdict.ADVISORY, Verdict.UNPROVEN, Verdict.WAIVED, Verdict.UPHELD, Verdict.NOT_APPLICABLE)
)}  # fmt: skip
"""Verdicts from what to read first to what to read last."""
_OPERATION = re.compile(r"[A-Z]+ /\S*")


@dataclass(frozen=True, slots=True)
class Told:
    """Results that are one finding, or one reason: the first one speaks for all."""

    results: tuple[Result, ...]

    @property
    def first(self) -> Result:
        return self.results[0]

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(result.subject for result in self.results))

    @property
    def requirements(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(result.requirement for result in self.results))


def findings(run: Run, verdict: Verdict) -> list[Told]:
    """The findings of this verdict in the order of their requirement; one root cause is one finding."""
    return _by_cause(result for result in run.results if result.verdict is verdict and not result.flaky)


def flaky(run: Run) -> list[Told]:
    """What was seen to fail and did not fail again."""
    return _by_cause(result for result in run.results if result.flaky)


def waived(run: Run) -> list[Told]:
    """Waived promises by requirement, reason and end date."""
    kept = (result for result in run.results if result.verdict is Verdict.WAIVED and not result.flaky)
    told = _grouped(kept, lambda result: (result.requirement, result.reason, result.waived_until))
    return sorted(told, key=lambda one: one.first.requirement)


def waived_findings(run: Run) -> list[Told]:
    """What would be findings were they not waived: one root cause and one waiver is one."""
    kept = (result for result in run.results if result.verdict is Verdict.WAIVED and not result.flaky)
    return [
        one
        for told in _by_cause(kept)
        for one in _grouped(told.results, lambda result: (result.reason, result.waived_until))
    ]


def unproven(run: Run) -> list[Told]:
    """Unproven promises by (reason, line to add), the largest group first. What was measured differs in its figures only."""
    kept = (result for result in run.results if result.verdict is Verdict.UNPROVEN and not result.flaky)
    told = _grouped(kept, lambda result: (_kind(result.reason) if _is_measured(result) else result.reason, result.add))
    return sorted(told, key=lambda one: -len(one.results))


def because(told: Told) -> str:
    """Why they are unproven; where their figures differ, those of the first."""
    first = told.first
    alike = all(result.reason == first.reason for result in told.results)
    return first.reason if alike else f"{first.subject}: {first.reason}"


def alike(rows: Iterable[LatencyRow]) -> list[list[LatencyRow]]:
    """Rows of a load run whose reasons differ in their figures only."""
    groups: dict[tuple[str, str], list[LatencyRow]] = {}
    for row in rows:
        groups.setdefault((row.verdict, _kind(row.reason)), []).append(row)
    return list(groups.values())


def _kind(reason: str) -> str:
    return re.sub(r"\d[\d.,]*", "#", reason)


def _is_measured(result: Result) -> bool:
    return group_of(result.requirement) == "latency"


def _by_cause(results: Iterable[Result]) -> list[Told]:
    told = _grouped(results, lambda result: (result.requirement, result.cause, "" if result.cause else result.subject))
    return sorted(told, key=lambda one: one.first.requirement)


def _grouped(results: Iterable[Result], key: Callable[[Result], tuple[str, ...]]) -> list[Told]:
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return [Told(tuple(group)) for group in groups.values()]


def group_of(requirement: str) -> str:
    """``ratelimit/retry-after`` → ``ratelimit``."""
    return requirement.split("/", 1)[0]


def by_group(run: Run) -> dict[str, Counter[Verdict]]:
    """How many promises of each group have which verdict."""
    groups: dict[str, Counter[Verdict]] = {}
    for result in sorted(run.results, key=lambda result: result.requirement):
        groups.setdefault(group_of(result.requirement), Counter())[result.verdict] += 1
    return groups


def noun(subjects: Iterable[str], count: int) -> str:
    """What to call them: operations, or promises where some are not."""
    word = "operation" if all(_OPERATION.fullmatch(subject) for subject in subjects) else "promise"
    return word if count == 1 else f"{word}s"


def lines(result: Result) -> list[tuple[str, str]]:
    """The lines of a finding as (label, text), in the order in which every report tells them."""
    evidence = result.evidence
    if evidence is None:
        told = [("required", f"{result.title} ({result.clause})"), ("actual", result.reason or result.detail)]
    else:
        again = "   |   ".join(part for part in (evidence.again, evidence.curl) if part)
        told = [
            ("sent", evidence.sent),
            ("required", evidence.required or f"{result.title} ({result.clause})"),
            ("expected", evidence.expected),
            ("actual", evidence.actual),
            ("again", again),
        ]
    return [(label, text) for label, text in told if text]


# -- coverage ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which operations of the contract answered with a 2xx at least once."""

    reached: tuple[str, ...]
    missed: tuple[str, ...]

    @property
    def total(self) -> int:
        return len(self.reached) + len(self.missed)


def coverage(run: Run) -> Coverage:
    """Operations by whether one of their answers was a 2xx."""

    def is_reached(statuses: Mapping[str, int]) -> bool:
        return any(str(status).startswith("2") and count for status, count in statuses.items())

    reached = tuple(operation for operation, statuses in run.coverage.items() if is_reached(statuses))
    return Coverage(reached, tuple(operation for operation in run.coverage if operation not in set(reached)))


# -- the last word -------------------------------------------------------------------------------------------------------


def conclusion(run: Run) -> str:
    """The whole run in a sentence, without seconds and requests and without the full stop."""
    rest = ", ".join(_others(run))
    return f"{headline(run)}; {rest}" if rest else headline(run)


def headline(run: Run) -> str:
    """The first half of the conclusion: whose promises are kept or broken."""
    breached = findings(run, Verdict.BREACHED)
    upheld, broken = run.count(Verdict.UPHELD), sum(len(one.results) for one in breached)
    if run.exit_status == Exit.HARNESS:
        start = "The run failed by a defect of Upheld, not of the service"
    elif run.exit_status == Exit.TARGET:
        start = "The target could not be judged to the end"
    elif run.stopped or run.exit_status == Exit.INTERRUPTED:
        start = "Stopped before the end"
    else:
        start = ""
    if broken:
        breaches = f"{len(breached)} {plural(len(breached), 'breach', 'breaches')}"
        of = f"{broken} of {judged} promises" if (judged := broken + upheld) > 1 else "the only promise"
        told = f"{breaches}: {of} that could be judged {plural(broken, 'is', 'are')} broken"
    elif run.load is not None and not run.results:
        told = _load(run.load)
    elif upheld:
        told = (
            f"all {upheld} promises that could be judged are kept" if upheld > 1 else "the one promise judged is kept"
        )
    else:
        told = "nothing was proven"
    return f"{start}: {told}" if start else told[0].upper() + told[1:]


def tone(run: Run) -> str:
    """``upheld``, ``breached`` or ``unproven``: what the first look has to say."""
    if run.count(Verdict.BREACHED) or run.exit_status == Exit.BREACHED:
        return "breached"
    if run.exit_status or run.stopped:
        return "unproven"
    if run.results or run.load is None:
        return "upheld" if run.count(Verdict.UPHELD) else "unproven"
    return "upheld" if run.load.valid and all(row.verdict == "met" for row in run.load.rows) else "unproven"


def _others(run: Run) -> Iterator[str]:
    for verdict, one, many in (
        (Verdict.ADVISORY, "advisory", "advisories"),
        (Verdict.UNPROVEN, "unproven", "unproven"),
        (Verdict.WAIVED, "waived", "waived"),
    ):
        if count := run.count(verdict):
            yield f"{count} {plural(count, one, many)}"
    if count := sum(result.flaky for result in run.results):
        yield f"{count} flaky"


def _load(load: LoadRun) -> str:
    verdicts = {row.verdict for row in load.rows}
    if load.valid and "missed" in verdicts:
        return "latency under load is above what is promised"
    if not load.valid or "invalid" in verdicts or not verdicts:
        return f"the load run decides nothing: {load.reason}" if load.reason else "the load run decides nothing"
    if "not decided" in verdicts:
        return "latency under load is too near to what is promised to decide; run longer"
    return "latency under load is within what is promised"


def plural(count: int, one: str, many: str = "") -> str:
    """``one`` or ``many`` (``one`` with an s)."""
    return one if count == 1 else many or f"{one}s"


def duration(seconds: float) -> str:
    """``0.8 s``, ``42 s``, ``3 min 5 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60} s"
