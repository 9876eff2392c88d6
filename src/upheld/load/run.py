"""The way in: press on a running service and decide its latency promises. Imports neither Locust nor gevent."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from upheld.errors import UsageError
from upheld.exchange import Session
from upheld.load.corpus import Corpus
from upheld.load.heard import heard
from upheld.load.members import Hear
from upheld.load.outcome import load_run
from upheld.load.plan import Plan, Secrets
from upheld.load.prepare import Length, prepared
from upheld.load.process import Elsewhere, generate, work
from upheld.verdict import Listener, LoadRun, Progress, silent

if TYPE_CHECKING:
    from upheld.contract import Contract

__all__ = ["Elsewhere", "prepared", "run_load", "save_plan", "work"]


def run_load(
    contract: Contract,
    base_url: str,
    sessions: Sequence[Session],
    *,
    seconds: Length | None = None,
    rate: float | None = None,
    profile: Literal["raised", "shipped"] = "shipped",
    listener: Listener = silent,
    seed: int = 0,
    workers: int = 0,
    elsewhere: Elsewhere | None = None,
    closed_users: int = 0,
    metrics_port: int | None = None,
    stop: threading.Event | None = None,
    corpus: Corpus | None = None,
    hear: Hear = lambda exchange: None,
) -> LoadRun:
    """Press for ``seconds`` (after a warm-up) at ``rate`` requests a second; both from ``load:`` when None.

    ``profile`` says whether the target runs as shipped, so that its quotas bound the rate, or with raised limits. ``stop``, set
    by another thread, ends the load as Ctrl-C does: what was measured until then is judged. ``workers`` processes share it, here
    or ``elsewhere``; ``metrics_port`` of loopback tells the counts while it runs. With ``closed_users`` it is the closed model: so
    many users ask one after the other, paced to the rate, and a service that stalls is asked less. ``corpus`` has unusual requests
    beside the usual ones. ``hear`` is told of every exchange before and after the load, and of those that the generators kept.
    Raises `TargetUnreachable`, `SetupError`, and `UsageError` for workers that are not as many as they must be.
    """
    if workers < 0 or (elsewhere and not workers):
        raise UsageError("say how many workers share the load: --workers 2")
    stop = stop or threading.Event()
    with prepared(
        contract,
        base_url,
        sessions,
        seconds=seconds,
        rate=rate,
        profile=profile,
        listener=listener,
        seed=seed,
        stop=stop,
        corpus=corpus,
        hear=hear,
    ) as (plan, secrets, left):
        users = max(1, len(plan.identities))
        if not plan.operations:
            return load_run(plan, None, users=users, trouble="no operation of the contract can be pressed on")
        if closed_users:
            plan = replace(plan, model="closed", users=closed_users)
        for line in (plan.told, *plan.notes):
            listener(Progress("note", line))
        result, trouble = generate(
            plan, secrets, listener, stop, workers=workers, elsewhere=elsewhere, metrics_port=metrics_port
        )
        left(result)
        for exchange in heard((result or {}).get("kept", ()), sessions):
            hear(exchange)
    return load_run(plan, result, users=plan.users or users, trouble=trouble)


def save_plan(plan: Plan, secrets: Secrets, path: Path) -> tuple[Path, Path]:
    """Write a plan for plain Locust (``UPHELD_LOAD_PLAN``) and, beside it, its secrets in a file that only its owner reads."""
    beside = path.with_name(path.name + ".secrets")
    path.write_text(plan.dumps(), encoding="utf-8")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(secrets, file)
    return path, beside
