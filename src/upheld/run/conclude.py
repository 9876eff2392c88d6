"""What a run found, put together: also when it was cut short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import upheld
from upheld.check import Finding, Unproven
from upheld.errors import SetupError
from upheld.run.judge import Case, unsettled
from upheld.run.people import NotSupplied
from upheld.run.plan import NO_LOAD
from upheld.verdict import Exit, Result, Run, Verdict

if TYPE_CHECKING:
    from upheld.run.examine import Examination


def conclude(examination: Examination) -> Run:
    """What was found, also when the run was cut short."""
    judge = examination.judge()
    if isinstance(examination.fault, SetupError):
        # Whatever answered is not what the contract describes; nothing that it said is worth a verdict.
        examination.cases = []
    elif not examination.cases:
        examination.cases = judge.observed(examination.plan, examination.watch, None)
        for promise, played in examination.played.values():
            outcome = played.outcome
            if isinstance(outcome, Finding):
                reason = f"seen once ({outcome.actual}); the run ended before it could be repeated"
                outcome = unsettled(outcome, reason)
            examination.cases.append(Case(promise, outcome, played.seconds, 1))
    known = {case.promise.key for case in examination.cases}
    missing = Unproven(f"the run ended before it ({examination.stopped})") if examination.stopped else None
    for promise in examination.plan.promises:
        if promise.check.measure is not None and promise.settled is None and examination.load is not None:
            examination.cases += judge.measured(promise.check, examination.load)
        elif promise.key not in known:
            nothing = NO_LOAD if promise.check.measure is not None else None
            examination.cases.append(Case(promise, promise.settled or missing or nothing))
    cases = sorted(examination.cases, key=lambda case: case.promise.key)
    for case in cases:
        if not case.exchanges and case.promise.key in examination.played:
            case.exchanges = examination.played[case.promise.key][1].exchanges
    results = [judge.result(case) for case in cases]
    judged = zip((case.promise for case in cases), results, strict=True)
    fuzzed = examination.fuzzed is not None and not (examination.options.quick or examination.stopped)
    idle = dict(judge.waivers.idle(judged, fuzzed=fuzzed))
    examination.notes += idle.values()
    _note_defects(examination)
    output = "\n".join(part.running.output for part in examination.parts.values() if part.running.output)
    return Run(
        contract=str(examination.contract.folder or examination.contract.name),
        target=examination.options.target_name or (examination.raised.running.url if examination.parts else ""),
        version=upheld.__version__,
        started=examination.started.isoformat(timespec="seconds"),
        seconds=round(examination.budget.elapsed, 2),
        requests=examination.sent,
        seed=examination.seed,
        results=tuple(results),
        notes=tuple(judge.masker(note) for note in dict.fromkeys(examination.notes)),
        coverage={label: dict(sorted(counts.items())) for label, counts in examination.watch.coverage.items()},
        documented={operation.label: tuple(operation.responses) for operation in examination.contract.operations},
        phases=tuple(examination.phases),
        load=examination.load,
        stopped=judge.masker(examination.stopped),
        exit_status=int(_exit(examination, results)),
        idle_waivers=tuple(idle),
        target_output=judge.masker(output[-20_000:]),
    )


def _note_defects(examination: Examination) -> None:
    for id_, what in examination.watch.broken.items():
        examination.defects.append(f"{id_}: {what}")
    examination.notes.extend(
        f"a defect of Upheld, please report it: {defect}" for defect in dict.fromkeys(examination.defects)
    )


def _exit(examination: Examination, results: Sequence[Result]) -> Exit:
    if examination.fault is not None:
        return Exit(examination.fault.exit_status)
    if examination.stopped == "interrupted":
        return Exit.INTERRUPTED
    levels = {"MUST": ("MUST",), "SHOULD": ("MUST", "SHOULD"), "MAY": ("MUST", "SHOULD", "MAY")}
    gate = levels[examination.contract.policy.checks.fail_on]
    failing = (Verdict.BREACHED, Verdict.ADVISORY)
    if any(r.verdict is Verdict.BREACHED or (r.verdict in failing and r.level in gate) for r in results):
        return Exit.BREACHED
    if examination.defects:
        return Exit.HARNESS
    if examination.refused is not None:
        return Exit.USAGE if isinstance(examination.refused, NotSupplied) else Exit.TARGET
    return Exit.KEPT
