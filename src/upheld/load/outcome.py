"""From a plan and what a generator counted to a `LoadRun`. Pure; what it means for the promises is said in `upheld.checks.latency`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from upheld.load.binomial import clopper_pearson
from upheld.load.counts import Counts, total
from upheld.load.machine import Busy, on_this_machine
from upheld.load.plan import Plan, Pressed
from upheld.load.verdict import Circumstances, Target, row
from upheld.verdict import FailedShare, LatencyRow, LoadRun, LoadWorker

BUSY = 0.85
"""Share of one processor beyond which a generator is said to be busy itself."""
LOST = "the generator left no counts"


def load_run(plan: Plan, result: Mapping[str, Any] | None, *, users: int = 1, trouble: str = "") -> LoadRun:
    """The verdicts of one run. ``trouble`` says why it counts for nothing, where that is known already.

    The ``reason`` of a valid run says why it ended early, and is empty when it did not.
    """
    counts: dict[str, Counts] = {}
    measured, stopped = 0.0, ""
    delay: float | None
    try:
        if result is not None:
            counts = {name: Counts.from_json(data) for name, data in result["operations"].items()}
            measured = float(result["measured"])
            trouble = trouble or next(iter(_contradictions(plan, result, counts)), "")
            notes = tuple(_notes(plan, result))
            delay = float(result["delay_ms"])
            noise = None if result.get("noise_ms") is None else float(result["noise_ms"])
            workers = tuple(_worker(name, told) for name, told in result.get("workers", {}).items())
            stopped = str(result["stopped"])
            crowded = _crowded(result.get("machine"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        trouble, counts, result = trouble or f"the generator's counts are damaged: {error!r}", {}, None
    if result is None:
        trouble, notes, delay, noise, workers, crowded = trouble or LOST, (), None, None, (), ""
    circumstances = Circumstances(
        measured,
        plan.max_error_rate,
        delay_ms=delay or 0.0,
        noise_ms=noise or 0.0,
        crowded=crowded,
        shared=on_this_machine(plan.base_url),
        invalid=trouble,
    )
    return LoadRun(
        seconds=measured,
        rate=plan.rate,
        model=plan.model,
        users=users,
        rows=tuple(_rows(plan, counts, circumstances)),
        valid=not trouble,
        reason=trouble or stopped,
        notes=(*plan.notes, *notes),
        left_out=plan.left_out,
        failed=_failed(total(counts.values())) if counts else None,
        delay_ms=delay,
        noise_ms=noise,
        crowded=crowded,
        workers=workers,
    )


def _crowded(machine: Mapping[str, float] | None) -> str:
    busy = Busy(**machine) if machine else None
    if busy is None or not busy.crowded:
        return ""
    return (
        f"this machine itself is too busy to tell: {busy.others:.0%} of its processors' time went to something else than the "
        f"service and us, and {busy.idle:.0%} was free"
    )


def _worker(name: str, told: Mapping[str, Any]) -> LoadWorker:
    cpu, wall, delay = (float(told[key]) for key in ("cpu_seconds", "wall_seconds", "delay_ms"))
    return LoadWorker(name=str(name), sent=int(told["sent"]), cpu_seconds=cpu, wall_seconds=wall, delay_ms=delay)


def _failed(all_of_them: Counts) -> FailedShare:
    # What was refused (4xx) or sent elsewhere (3xx) is a fault of our requests.
    broken = (count for kind, count in all_of_them.errors.items() if kind[:1] not in "1234")
    failed = all_of_them.unfinished + sum(broken)
    return FailedShare(all_of_them.samples, failed, *clopper_pearson(failed, all_of_them.samples))


def _rows(plan: Plan, counts: Mapping[str, Counts], circumstances: Circumstances) -> Iterable[LatencyRow]:
    def mine(operation: Pressed) -> Counts:
        return counts.get(operation.name, Counts())

    for operation in plan.operations:
        target = Target(operation.name, operation.latency_class, operation.limit_ms, operation.quantile)
        yield row(mine(operation), target, circumstances)
    for members in plan.classes:
        first = members[0]
        target = Target(f"class {first.latency_class}", first.latency_class, first.limit_ms, first.quantile)
        yield row(total(map(mine, members)), target, circumstances)


def _contradictions(plan: Plan, result: Mapping[str, Any], counts: Mapping[str, Counts]) -> Iterable[str]:
    if result["plan"] != plan.digest:
        yield "the counts belong to another plan"
    if missing := [operation.name for operation in plan.operations if operation.name not in counts]:
        yield f"no counts of {', '.join(missing)}"
    for name, mine in counts.items():
        yield from (f"the counts of {name} do not add up: {problem}" for problem in mine.problems())


def _notes(plan: Plan, result: Mapping[str, Any]) -> Iterable[str]:
    warm = Counts.from_json(result["warmup"])
    if plan.warmup:
        said = f"warm-up: {plan.warmup:.3g} s and {warm.sent} requests before the measured part are not judged"
        yield said + (
            f"; {warm.failed} errors, {warm.throttled} x 429 among them" if warm.failed + warm.throttled else ""
        )
    if result["stopped"]:
        yield f"stopped after {float(result['measured']):.1f} of {plan.longest:g} s: {result['stopped']}"
    wall, busy = float(result["wall_seconds"]), float(result["cpu_seconds"])
    if busy > BUSY * wall:
        yield f"the generator used {busy / wall:.0%} of a processor; it may not manage a higher rate"
    yield from _renewed(plan, result.get("renewals", {}))
    for name, lacking in result["starved"].items():
        what = "request was" if lacking == 1 else "requests were"
        yield f"{name}: {lacking} {what} not sent, because nothing was left to use up"


def _renewed(plan: Plan, told: Mapping[str, Any]) -> Iterable[str]:
    """How the access tokens were kept up."""
    by_identity = {renewal.identity: renewal.operation for renewal in plan.renewals}
    if renewed := sum(told.get("renewed", {}).values()):
        asked = f" with {told['asked']} requests" if told["asked"] != renewed else ""
        yield f"{renewed} access tokens were renewed{asked} beside the load, which are not measured"
    for identity, why in told.get("refused", {}).items():
        yield (
            f"the access token of {identity} could not be renewed ({by_identity.get(identity, 'its renewal')}: {why}): "
            "what was sent with it after its end was refused for that reason"
        )
