"""The run's counts in the Prometheus text exposition format 0.0.4, for whoever wants to watch it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from upheld.load.counts import Counts
from upheld.load.plan import Plan

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
EDGES_MS = (5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
PREFIX = "upheld_load_"


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a run is."""

    counts: Mapping[str, Counts]
    """Operation → counts of the measured part until now."""
    in_flight: int = 0
    delay_ms: float = 0.0
    """99th percentile of how late the generator itself is."""
    noise_ms: float | None = None
    """95th percentile of a request that does nothing."""
    generators: int = 1


def exposition(plan: Plan, moment: Moment) -> str:
    """Everything as text. Latencies are those of the 2xx answers, in seconds; each operation's limit is an edge of its buckets."""
    known = [(operation, moment.counts.get(operation.name, Counts())) for operation in plan.operations]
    lines = list(_head("requests_total", "counter", "Requests by operation and outcome."))
    for operation, counts in known:
        for outcome, value in _outcomes(counts):
            lines.append(_line("requests_total", value, operation=operation.name, outcome=outcome))
    lines += _head("over_limit_total", "counter", "Requests slower than the limit, failed or unfinished.")
    lines += [_line("over_limit_total", counts.over, operation=operation.name) for operation, counts in known]
    lines += _head(
        "latency_seconds", "histogram", "Latency of 2xx answers from the moment at which the request was due."
    )
    for operation, counts in known:
        lines += _histogram(operation.name, operation.limit_ms, counts)
    lines += _head("in_flight", "gauge", "Requests that are not answered yet.")
    lines.append(_line("in_flight", moment.in_flight))
    lines += _head("generator_delay_seconds", "gauge", "99th percentile of how late the generator itself is.")
    lines.append(_line("generator_delay_seconds", moment.delay_ms / 1000))
    if moment.noise_ms is not None:
        lines += _head("noise_floor_seconds", "gauge", "95th percentile of a request that does nothing.")
        lines.append(_line("noise_floor_seconds", moment.noise_ms / 1000))
    lines += _head("generators", "gauge", "Generator processes.")
    lines.append(_line("generators", moment.generators))
    return "\n".join(lines) + "\n"


def _outcomes(counts: Counts) -> Iterable[tuple[str, int]]:
    yield "ok", counts.ok
    yield "error", counts.failed
    yield "throttled", counts.throttled
    yield "unfinished", counts.unfinished


def _histogram(name: str, limit_ms: float, counts: Counts) -> Iterable[str]:
    total = 0.0
    for edge in sorted({*map(float, EDGES_MS), limit_ms}):
        within = sum(count for bin_, count in counts.histogram.items() if bin_ <= edge * 10)
        yield _line("latency_seconds_bucket", within, operation=name, le=f"{edge / 1000:g}")
    for bin_, count in counts.histogram.items():
        total += bin_ / 10_000 * count
    yield _line("latency_seconds_bucket", counts.ok, operation=name, le="+Inf")
    yield _line("latency_seconds_sum", total, operation=name)
    yield _line("latency_seconds_count", counts.ok, operation=name)


def _head(name: str, kind: str, said: str) -> Iterable[str]:
    yield f"# HELP {PREFIX}{name} {said}"
    yield f"# TYPE {PREFIX}{name} {kind}"


def _line(name: str, value: float, **labels: str) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    number = str(value) if isinstance(value, int) else f"{value:.9g}"
    return f"{PREFIX}{name}{'{' + told + '}' if told else ''} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
