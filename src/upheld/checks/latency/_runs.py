"""Load runs for examples."""

from __future__ import annotations

from typing import Any

from upheld.verdict import LatencyRow, LoadRun


def operation_row(name: str = "GET /items", *, low: float = 0.0, high: float = 0.02, **changes: Any) -> LatencyRow:
    """3,000 requests of one operation at 50 a second, all of them answered in time unless the changes say otherwise.

    ``low`` and ``high`` are the bounds of the share over the limit.
    """
    values: dict[str, Any] = {
        "name": name, "latency_class": "crud", "limit_ms": 200.0, "quantile": 0.95, "sent": 3_000, "over": 0, "errors": 0,
        "throttled": 0, "unfinished": 0, "p50_ms": 12.0, "p95_ms": 31.0, "p99_ms": 44.0, "verdict": "met",
        "share_over_low": low, "share_over_high": high,
    } | changes  # fmt: skip
    values.setdefault("ok", values["sent"] - values["errors"] - values["throttled"] - values["unfinished"])
    return LatencyRow(**values)


def load_run(*rows: LatencyRow, **changes: Any) -> LoadRun:
    """A minute of these at the rate that they were sent at, arrivals by the clock."""
    seconds = changes.pop("seconds", 60.0)
    values: dict[str, Any] = {
        "seconds": seconds, "rate": sum(row.sent for row in rows) / seconds, "model": "open", "users": 1, "rows": rows, "valid": True,
    }  # fmt: skip
    return LoadRun(**{**values, **changes})
