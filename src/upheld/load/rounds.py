"""Load runs that are played again and again and held against each other: which of them count."""

from __future__ import annotations

from upheld.verdict import LoadRun


def spoilt(run: LoadRun) -> str:
    """Why something else than the service was measured, or nothing; empty where the run counts."""
    if not run.valid or run.interrupted:
        return run.reason
    if throttled := sum(row.throttled for row in run.classes):
        return f"{throttled} answers were 429: the limiter was measured"
    return "" if run.classes else "nothing was measured"
