"""Under load, the requests that arrive are answered, and hardly any with an error.

## What it requires

Under the load that the contract declares at most `load.max_error_rate` of the requests (0.1 % unless it says otherwise) are
answered 5xx, with a broken connection, or not at all.

## Why

Errors are fast. A service that refuses every second request has an excellent percentile of the rest, and a pool that is too small,
a lock that times out or a worker that is killed for its memory shows itself only when many ask at once.

## What it sends

Nothing of its own: it judges what `upheld load`, or `upheld check --load SECONDS`, has counted over all operations. Requests are
sent by the clock, so that a service that cannot keep up gets no fewer of them. A request that has no answer when the run's patience
ends counts as an error, unless this machine was too busy to tell.

It is a breach when the share is above `max_error_rate` with 95 % certainty, and upheld when it is not above it with 95 % certainty:
3,000 requests without an error prove 0.1 %. Between the two it is unproven. So it is when answers were 429 (the load was not
carried by the service but refused by its limiter), when our own requests were refused (another 4xx), and when the generator did
not send at least 95 % of the arrivals.

## Example of a breach

Of 3,000 requests 41 were answered 503: 1.37 %, and 0.1 % may be.

## When to waive it

While a known error has a date for its fix. A service that is meant to shed load answers 429.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from upheld.check import MUST, SERVICE, Clause, Example, Finding, Kept, Measured, Outcome, Requirement, Unproven
from upheld.checks.latency._runs import load_run, operation_row
from upheld.verdict import FailedShare

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.verdict import LatencyRow, LoadRun

REQUIREMENT = Requirement(
    title="Under load, hardly any request is answered with an error or not at all",
    level=MUST,
    clause=Clause(
        "OWASP API4:2023, Unrestricted Resource Consumption (contract: load.max_error_rate)",
        "https://owasp.org/API-Security/editions/2023/en/0xa4-unrestricted-resource-consumption/",
    ),
    catalogue=("PERF-03",),
    reads=("load.max_error_rate", "load.rate"),
    owasp="API4:2023",
    cwe=("CWE-400",),
)

ACHIEVED = 0.95
"""Share of the arrivals that have to be sent, and not be refused by a limiter."""
LATE_MS = 25.0
"""What a generator may be late by where a missing answer accuses the service."""


def measure(load: LoadRun, contract: Contract) -> Iterator[Measured]:
    yield Measured(SERVICE, _outcome(load, contract), load.failed.requests if load.failed else 0)


def _outcome(load: LoadRun, contract: Contract) -> Outcome:
    seen, may = load.failed, contract.policy.load.max_error_rate
    if not load.valid or seen is None:
        return Unproven(load.reason)
    if not seen.requests:
        return Unproven("no request was sent")
    share = f"{seen.failed} of {seen.requests} requests ({seen.failed / seen.requests:.2%}) failed"
    never = sum(row.unfinished for row in _operations(load))
    if seen.low > may and seen.failed - never <= may * seen.requests and (why := _busy(load)):
        return Unproven(f"{never} requests had no answer in time, and {why}")
    if seen.low > may:
        return Finding(
            sent=f"{seen.requests} requests in {load.seconds:.0f} s, {load.rate:g}/s over all operations",
            required=f"at most {_percent(may)} of the requests under load fail (contract: load.max_error_rate)",
            expected=f"at most {_percent(may)}",
            actual=f"{share}: {_where(load)}",
        )
    if why := _not_achieved(load):
        return Unproven(why)
    if seen.high <= may or not (may or seen.failed):
        return Kept(f"{share}, at most {_percent(seen.high)} with 95% certainty")
    if seen.failed:
        return Unproven(f"{share}: {_where(load)}; {_percent(may)} may, and these are too few to tell")
    # One-sided 95 % bound of a share of which nothing was seen: 1 - 0.05 ** (1 / n).
    enough = math.ceil(math.log(0.05) / math.log1p(-may))
    seconds = math.ceil(load.seconds * enough / seen.requests)
    return Unproven(f"{share}; it takes {enough} to prove {_percent(may)}", f"--seconds {seconds}")


def _busy(load: LoadRun) -> str:
    """Why a missing answer may be this machine's fault."""
    late = load.delay_ms or 0.0
    return load.crowded or (f"this machine was itself {late:.0f} ms late" if late > LATE_MS else "")


def _not_achieved(load: LoadRun) -> str:
    """Why the service was not under the load that was meant, if it was not."""
    rows = _operations(load)
    sent, throttled = sum(row.sent for row in rows), sum(row.throttled for row in rows)
    refused = sum(count for row in rows for kind, count in row.failures if kind[:1] in ("1", "2", "3", "4"))
    due = load.rate * load.seconds
    # By the clock, but at random times: their number scatters by its root.
    if sent < ACHIEVED * due - 3 * math.sqrt(due):
        return f"{sent} requests were sent, and {due:.0f} were due: the service was not under the load that was meant"
    if throttled > (1 - ACHIEVED) * sent:
        return (
            f"{throttled} of {sent} answers were 429: the limiter refused the load, add identities or raise the limits"
        )
    if refused > (1 - ACHIEVED) * sent:
        return f"{refused} of {sent} of our own requests were refused, which is quickly done"
    return ""


def _operations(load: LoadRun) -> list[LatencyRow]:
    return list(load.operations)


def _where(load: LoadRun) -> str:
    """The operations that failed most, with how."""
    told = []
    for row in _operations(load):
        kinds = Counter({kind: count for kind, count in row.failures if kind[:1] not in ("1", "2", "3", "4")})
        if row.unfinished:
            kinds["never"] = row.unfinished
        if kinds:
            said = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common(2))
            told.append((kinds.total(), f"{row.name} {said}"))
    told.sort(reverse=True)
    return "; ".join(text for _, text in told[:3]) + (f" and {len(told) - 3} more operations" if len(told) > 3 else "")


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


CONFORMING = (
    Example("no error in 3,000", load=load_run(operation_row(), failed=FailedShare(3_000, 0, 0.0, 0.000998))),
    Example(
        "as many as may be, in many",
        load=load_run(
            operation_row(sent=100_000, errors=60, failures=(("503", 60),)),
            failed=FailedShare(100_000, 60, 0.00048, 0.00075),
        ),
    ),
)

BREACHING = (
    Example(
        "41 in 3,000",
        load=load_run(
            operation_row(over=41, errors=41, failures=(("503", 41),)), failed=FailedShare(3_000, 41, 0.0104, 0.0178)
        ),
    ),
    Example(
        "a service that stands still",
        load=load_run(operation_row(over=3_000, unfinished=3_000), failed=FailedShare(3_000, 3_000, 0.999, 1.0)),
    ),
)
