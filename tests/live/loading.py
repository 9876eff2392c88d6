"""The known-law server, plans against it, and what a load of it gives."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from upheld.load.outcome import load_run
from upheld.load.plan import Plan, Pressed, Secrets, Template
from upheld.load.process import generate
from upheld.verdict import LatencyRow, LoadRun, Progress


class Law:
    """The known-law server."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("known_law.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    def counts(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/counts", timeout=5) as answer:
            told: dict[str, Any] = json.load(answer)
        return told

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


def pressed(path: str, limit: float, rate: float, method: str = "GET", **template: Any) -> Pressed:
    return Pressed(
        name=f"{method} {path}",
        method=method,
        latency_class="crud",
        limit_ms=limit,
        rate=rate,
        templates=(Template((path,), **template),),
    )


def plan(url: str, *operations: Pressed, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "contract": "law", "base_url": url, "seed": 11, "seconds": 5.0, "warmup": 1.0, "drain": 1.5, "arrivals": "poisson",
        "max_error_rate": 0.001, "operations": operations, "pools": {},
    }  # fmt: skip
    return Plan(**{**values, **changes})


def pressing(
    made: Plan, secrets: Secrets | None = None, stop: threading.Event | None = None, **how: Any
) -> tuple[LoadRun, dict[str, Any], list[Progress]]:
    """The run, what the generator counted, and the progress that it told; ``how`` is for `upheld.load.process.generate`."""
    steps: list[Progress] = []
    listener = how.pop("listener", steps.append)
    result, trouble = generate(made, secrets or {}, listener, stop or threading.Event(), **how)
    return load_run(made, result, trouble=trouble), result or {}, steps


def by_path(run: LoadRun) -> dict[str, LatencyRow]:
    return {row.name: row for row in run.rows if not row.name.startswith("class ")}


def until(true: Callable[[], bool], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
