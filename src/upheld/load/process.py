"""Starts the generator, hears its progress, and brings back what it counted. Imports neither Locust nor gevent."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from upheld.load import protocol
from upheld.load.plan import Plan, Secrets
from upheld.verdict import Listener, Progress

STARTS_WITHIN = 60.0
STOPS_WITHIN = 10.0
LOOKS_UP_EVERY = 0.2
INTERRUPTED = "interrupted before anything was measured"
LOCUSTFILE = Path(__file__).with_name("locustfile.py")


def generate(
    plan: Plan, secrets: Secrets, listener: Listener, stop: threading.Event
) -> tuple[dict[str, Any] | None, str]:
    """Run the plan in a process of its own. Returns what it counted, and why that counts for nothing (empty when it does).

    Ctrl-C, or ``stop`` from another thread, ends it; what was measured until then comes back. A second Ctrl-C raises
    KeyboardInterrupt.
    """
    if stop.is_set():
        return None, INTERRUPTED
    with tempfile.TemporaryDirectory(prefix="upheld-load-") as folder, (Path(folder) / "stderr").open("w+b") as errors:
        plan_file, result_file = Path(folder) / "plan.json", Path(folder) / "result.json"
        plan_file.write_text(plan.dumps(), encoding="utf-8")
        options = ["--headless", "--users", "1", "--spawn-rate", "1", "--only-summary", "--skip-log-setup"]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "upheld.load.child", "-f", str(LOCUSTFILE), *options],
            cwd=folder,
            env=_environment(folder, plan_file, result_file),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        try:
            trouble = _attend(process, plan, secrets, listener, stop)
        finally:
            _end(process)
        result = protocol.read(result_file)
        if result is None and not trouble:
            ended = f"the generator ended with status {process.returncode}: {_last_line(errors)}"
            trouble = INTERRUPTED if stop.is_set() else ended
        return result, trouble


def _environment(folder: str, plan_file: Path, result_file: Path) -> dict[str, str]:
    # Locust reads LOCUST_* and ~/.locust.conf; somebody's run time or worker mode there would change what is measured.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    return {
        **kept,
        "HOME": folder,
        "UPHELD_LOAD_PARENT": str(os.getpid()),
        "UPHELD_LOAD_PLAN": str(plan_file),
        "UPHELD_LOAD_SECRETS": "-",
        "UPHELD_LOAD_RESULT": str(result_file),
    }


def _attend(
    process: subprocess.Popen[bytes], plan: Plan, secrets: Secrets, listener: Listener, stop: threading.Event
) -> str:
    """Until it ends. Returns why its counts are worth nothing; empty when they are."""
    patience = STARTS_WITHIN + plan.warmup + plan.seconds + plan.drain + STOPS_WITHIN
    try:
        _hand_over(process, secrets)
        for line in _lines(process, time.monotonic() + patience, stop):
            if progress := protocol.heard(line):
                listener(_step(progress, plan))
    except KeyboardInterrupt:
        stop.set()
    if stop.is_set():
        process.send_signal(signal.SIGTERM)
        for _ in _lines(process, time.monotonic() + STOPS_WITHIN, threading.Event()):
            pass
    try:
        process.wait(STOPS_WITHIN)
    except subprocess.TimeoutExpired:
        return f"the generator did not end within {patience:.0f} s and was killed"
    return ""


def _hand_over(process: subprocess.Popen[bytes], secrets: Secrets) -> None:
    """By standard input: neither the arguments nor the environment of a process are private enough, and no file is left."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(json.dumps(secrets).encode())


def _lines(process: subprocess.Popen[bytes], deadline: float, stop: threading.Event) -> Iterator[str]:
    """The lines that it prints, until it closes its output, the deadline, or ``stop``."""
    assert process.stdout is not None
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline and not stop.is_set():
            if not selector.select(LOOKS_UP_EVERY):
                continue
            data = os.read(process.stdout.fileno(), 65_536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")


def _step(progress: Mapping[str, Any], plan: Plan) -> Progress:
    length = plan.warmup + plan.seconds
    elapsed = min(length, max(0.0, float(progress.get("elapsed", 0.0))))
    text = f"load, {plan.rate:.3g}/s" if elapsed >= plan.warmup else "load, warming up"
    if bad := progress.get("throttled"):
        text += f", {bad} x 429"
    return Progress(
        "step",
        text,
        done=round(elapsed),
        total=round(length),
        requests=int(progress.get("sent", 0)),
        seconds_left=length - elapsed,
        data=dict(progress),
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of it stays. Its group, because a plugin of Locust may have started something."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - 4096))
    lines = [line.strip() for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
