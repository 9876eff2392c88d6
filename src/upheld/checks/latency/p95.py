"""Under load, requests are answered within their latency target.

## What it requires

Of the requests of each operation, and of each class of operations, 95 % are answered within the limit of the class under the
load that the contract declares: `latency.crud` (200 ms unless it says otherwise), `latency.complex` (500 ms), `latency.auth`
(1 s, since a password's hash is meant to be slow). An operation that `latency.ops` names has a limit of its own, and its class is
judged without it.

## Why

A mean hides the one user in twenty who waits; a single measured request hides everything that comes of other requests: queues,
locks, a pool that is too small, a pause of the garbage collector.

## What it sends

Nothing of its own: it judges what `upheld load`, or `upheld check --load SECONDS`, has counted. Requests are sent when they are due,
whether or not earlier ones were answered, and a latency counts from then on; failed and unanswered requests count as too slow.
Requests and requests over the limit are two whole numbers, and they decide: *met* when at most 5 % are over with 95 % certainty
(which takes some seventy requests at the least), *missed* when more are.

Everything else is unproven and says why: too near to the limit for so few requests, and how much longer would do; answers
429, because then the limiter was measured; more errors than the contract allows, which is what `latency/error-rate` tells; a machine
or a generator that was too busy itself; a run whose numbers do not add up; an operation that was left out.

## Example of a breach

Of 3,000 requests to `GET /products` 412 took longer than 200 ms: 13.7 %, and 5 % may.

## When to waive it

For an operation that is slow on purpose put it under `latency.complex_ops`; waive it where a fix has a date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from upheld.check import MUST, Clause, Example, Finding, Kept, Measured, Outcome, Requirement, Subject, Unproven
from upheld.checks.latency._runs import load_run, operation_row
from upheld.verdict import LeftOut

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.verdict import LatencyRow, LoadRun

REQUIREMENT = Requirement(
    title="Under load, 95 % of the requests are answered within the target of their class",
    level=MUST,
    clause=Clause(
        "ISO/IEC 25010:2023, time behaviour (contract: latency)",
        "https://www.iso.org/standard/78176.html",
    ),
    catalogue=("PERF-01", "PERF-04"),
    reads=("latency", "load"),
    owasp="API4:2023",
)


def measure(load: LoadRun, contract: Contract) -> Iterator[Measured]:
    for row in load.rows:
        subject = Subject(row.name, operation=contract.operation(row.name))
        yield Measured(subject, _outcome(row, load, contract), row.sent - row.throttled)
    for item in load.left_out:
        subject = Subject(item.name, operation=contract.operation(item.name))
        yield Measured(subject, Unproven(f"left out of the load: {item.reason}", item.add))


def _outcome(row: LatencyRow, load: LoadRun, contract: Contract) -> Outcome:
    if row.verdict == "met":
        return Kept(_measured(row))
    if row.verdict != "missed":
        return Unproven(row.reason)
    allowed = 1 - row.quantile
    samples = row.sent - row.throttled
    if row.errors > contract.policy.load.max_error_rate * samples and row.over - row.errors <= allowed * samples:
        # Not slow but failing: another promise, which is told once.
        return Unproven(f"{row.reason}; latency/error-rate judges that")
    operation = contract.operation(row.name)
    own = operation is not None and any(contract.matches(pattern, operation) for pattern in contract.policy.latency.ops)
    clause = f"latency.ops: {row.limit_ms:g}ms" if own else f"latency.{row.latency_class}: {row.limit_ms:g}ms"
    return Finding(
        sent=f"{row.sent} requests in {load.seconds:.0f} s, {load.rate:g}/s over all operations, {_MODELS[load.model]}",
        required=f"{row.quantile:.0%} of the requests are answered within {row.limit_ms:g} ms (contract: {clause})",
        expected=f"at most {allowed:.3g} of the requests over {row.limit_ms:g} ms",
        actual=row.reason,
        origin=row.name if own else f"class {row.latency_class}",
    )


_MODELS = {"open": "arrivals by the clock", "closed": "each user waiting for the last answer"}


def _measured(row: LatencyRow) -> str:
    samples = row.sent - row.throttled
    said = f"{row.over / samples:.2%} of {samples} over {row.limit_ms:g} ms"
    return f"{said}, at most {row.share_over_high:.2%} with 95% certainty" if row.share_over_high is not None else said


CONFORMING = (
    Example("one in a hundred is over", load=load_run(operation_row(over=30))),
    Example("an operation of the class complex", load=load_run(operation_row(limit_ms=500.0, latency_class="complex"))),
)

_MISSED = operation_row(over=412, low=0.12, high=0.16, verdict="missed", reason="13.73% of 3000 over 200 ms; 5% may be")

BREACHING = (
    Example("one in seven is over", load=load_run(_MISSED)),
    Example(
        "by a target of its own",
        policy={"latency": {"ops": {"GET /items": "50ms"}}},
        load=load_run(replace(_MISSED, name="GET /api/v1/items", limit_ms=50.0)),
    ),
    Example("beside one that was left out", load=load_run(_MISSED, left_out=(LeftOut("POST /c", "crud", 200.0, "x"),))),
)
