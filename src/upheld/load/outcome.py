"""From a plan and what a generator counted to a `LoadRun`, and from that to verdicts on promises. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from upheld.load.counts import Counts, total
from upheld.load.plan import LeftOut, Plan
from upheld.load.verdict import MET, MISSED, Circumstances, Target, row
from upheld.verdict import Evidence, LatencyRow, LoadRun, Result, Verdict

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = "latency/p95"
CATALOGUE = ("PERF-01",)
TITLE = "{} % of the requests are answered in time under load"
BUSY = 0.85
"""Share of one processor beyond which a generator is said to be busy itself."""
LOST = "the generator left no counts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressing(LoadRun):
    """A load run, with what it left out."""

    left_out: tuple[LeftOut, ...] = ()


def load_run(plan: Plan, result: Mapping[str, Any] | None, *, users: int = 1, trouble: str = "") -> Pressing:
    """The verdicts of one run. ``trouble`` says why it counts for nothing, where that is known already.

    The ``reason`` of a valid run says why it ended early, and is empty when it did not.
    """
    counts: dict[str, Counts] = {}
    measured, stopped = 0.0, ""
    try:
        if result is not None:
            counts = {name: Counts.from_json(data) for name, data in result["operations"].items()}
            measured = float(result["measured"])
            trouble = trouble or next(iter(_contradictions(plan, result, counts)), "")
            notes = tuple(_notes(plan, result))
            delay = float(result["delay_ms"])
            stopped = str(result["stopped"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        trouble, counts, result = trouble or f"the generator's counts are damaged: {error!r}", {}, None
    if result is None:
        trouble, notes, delay = trouble or LOST, (), 0.0
    circumstances = Circumstances(measured, plan.max_error_rate, delay, _local(plan.base_url), trouble)
    return Pressing(
        seconds=measured,
        rate=plan.rate,
        model="open",
        users=users,
        rows=tuple(_rows(plan, counts, circumstances)),
        valid=not trouble,
        reason=trouble or stopped,
        notes=(*plan.notes, *notes, *_told(plan.left_out)),
        left_out=plan.left_out,
    )


def _local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _rows(plan: Plan, counts: Mapping[str, Counts], circumstances: Circumstances) -> Iterable[LatencyRow]:
    classes: dict[Target, list[Counts]] = {}
    for operation in plan.operations:
        mine = counts.get(operation.name, Counts())
        target = Target(operation.name, operation.latency_class, operation.limit_ms, operation.quantile)
        yield row(mine, target, circumstances)
        name = f"class {operation.latency_class}"
        classes.setdefault(Target(name, operation.latency_class, operation.limit_ms, operation.quantile), []).append(
            mine
        )
    for target, parts in classes.items():
        yield row(total(parts), target, circumstances)


def _contradictions(plan: Plan, result: Mapping[str, Any], counts: Mapping[str, Counts]) -> Iterable[str]:
    if result["plan"] != plan.digest:
        yield "the counts belong to another plan"
    if missing := [operation.name for operation in plan.operations if operation.name not in counts]:
        yield f"no counts of {', '.join(missing)}"
    for name, mine in counts.items():
        yield from (f"the counts of {name} do not add up: {problem}" for problem in mine.problems())


def _told(left_out: Iterable[LeftOut]) -> Iterable[str]:
    """One line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for item in left_out:
        by_reason.setdefault(item.reason, []).append(item.name)
    return (f"left out: {', '.join(names)}: {reason}" for reason, names in by_reason.items())


def _notes(plan: Plan, result: Mapping[str, Any]) -> Iterable[str]:
    warm = Counts.from_json(result["warmup"])
    if plan.warmup:
        said = f"warm-up: {plan.warmup:.3g} s and {warm.sent} requests before the measured part are not judged"
        yield said + (
            f"; {warm.failed} errors, {warm.throttled} x 429 among them" if warm.failed + warm.throttled else ""
        )
    if result["stopped"]:
        yield f"stopped after {float(result['measured']):.1f} of {plan.seconds:g} s: {result['stopped']}"
    delay = float(result["delay_ms"])
    if delay > 5:
        yield f"the generator itself was up to {delay:.0f} ms late for 99 % of its requests; latencies contain that"
    wall, busy = float(result["wall_seconds"]), float(result["cpu_seconds"])
    if busy > BUSY * wall:
        yield f"the generator used {busy / wall:.0%} of a processor; it may not manage a higher rate"
    for name, lacking in result["starved"].items():
        yield f"{name}: {lacking} requests were not sent, because nothing was left for them to use up"


def results(run: LoadRun, contract: Contract) -> tuple[Result, ...]:
    """A verdict for each operation and class under `REQUIREMENT`: what is not decided or invalid is unproven."""
    told = tuple(_result(item, run, contract) for item in run.rows)
    left_out = run.left_out if isinstance(run, Pressing) else ()
    return (*told, *(_unproven(item) for item in left_out))


def _unproven(item: LeftOut) -> Result:
    clause = f"latency.{item.latency_class}: {item.limit_ms:g}ms"
    return Result(
        requirement=REQUIREMENT,
        subject=item.name,
        title=TITLE.format("95"),
        level="MUST",
        clause=f"contract: {clause}",
        clause_url="",
        catalogue=CATALOGUE,
        verdict=Verdict.UNPROVEN,
        reason=f"left out of the load: {item.reason}",
        add=item.add,
    )


_VERDICTS = {MET: Verdict.UPHELD, MISSED: Verdict.BREACHED}


def _result(item: LatencyRow, run: LoadRun, contract: Contract) -> Result:
    verdict = _VERDICTS.get(item.verdict, Verdict.UNPROVEN)
    clause = f"latency.{item.latency_class}: {item.limit_ms:g}ms"
    percent = f"{item.quantile * 100:g}"
    evidence = None
    if verdict is Verdict.BREACHED:
        evidence = Evidence(
            sent=f"{item.sent} requests in {run.seconds:.0f} s, {run.rate:g}/s over all operations, arrivals by the clock",
            required=f"{percent} % of the requests are answered within {item.limit_ms:g} ms ({clause})",
            expected=f"at most {100 * (1 - item.quantile):.3g} % over {item.limit_ms:g} ms",
            actual=item.reason,
            again=f"upheld load {contract.folder or 'upheld.yaml'} --seconds {run.seconds:.0f}",
        )
    return Result(
        requirement=REQUIREMENT,
        subject=item.name,
        title=TITLE.format(percent),
        level="MUST",
        clause=f"contract: {clause}",
        clause_url="",
        catalogue=CATALOGUE,
        verdict=verdict,
        reason=item.reason if verdict is Verdict.UNPROVEN else "",
        detail=_measured(item) if verdict is Verdict.UPHELD else "",
        evidence=evidence,
        cause=f"class {item.latency_class}" if evidence else "",
        judged=item.sent - item.throttled,
        seconds=run.seconds,
    )


def _measured(item: LatencyRow) -> str:
    samples = item.sent - item.throttled
    said = f"{item.over / samples:.2%} of {samples} over {item.limit_ms:g} ms"
    return (
        f"{said}, at most {item.share_over_high:.2%} with 95% certainty" if item.share_over_high is not None else said
    )
