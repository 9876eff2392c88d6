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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from upheld.errors import TargetUnreachable
from upheld.load import protocol
from upheld.load.machine import Look, Machine, between, on_this_machine
from upheld.load.plan import Plan, Secrets
from upheld.verdict import Listener, Progress

STARTS_WITHIN = 60.0
STOPS_WITHIN = 20.0
LOOKS_UP_EVERY = 0.2
INTERRUPTED = "interrupted before anything was measured"
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
PLAN, SECRETS, SHARE, RESULT, METRICS = (
    f"UPHELD_LOAD_{name}" for name in ("PLAN", "SECRETS", "SHARE_SECRETS", "RESULT", "METRICS_PORT")
)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Workers are started by somebody else, on other machines, and find the master here."""

    host: str = "*"
    """Address on which the master listens; ``*`` for all."""
    port: int = 5557
    share_secrets: bool = False
    """Send them the credentials too. The way there is not encrypted: in a network that you trust."""
    within: float = 600.0
    """Seconds in which all have to come."""


def generate(
    plan: Plan,
    secrets: Secrets,
    listener: Listener,
    stop: threading.Event,
    *,
    workers: int = 0,
    elsewhere: Elsewhere | None = None,
    metrics_port: int | None = None,
) -> tuple[dict[str, Any] | None, str]:
    """Run the plan in a process of its own. Returns what it counted, and why that counts for nothing (empty when it does).

    With ``workers``, so many processes share the load, here or ``elsewhere``, and a further one leads them; what they counted is
    added up, and the loss of one counts as a loss of all. ``metrics_port`` of loopback tells the counts while it runs.
    Ctrl-C, or ``stop`` from another thread, ends it; what was measured until then comes back. A second Ctrl-C raises
    KeyboardInterrupt.
    """
    if stop.is_set():
        return None, INTERRUPTED
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="upheld-load-")))
        files = {PLAN: folder / "plan.json", RESULT: folder / "result.json"}
        files[PLAN].write_text(plan.dumps(), encoding="utf-8")
        told = {name: str(file) for name, file in files.items()}
        if metrics_port is not None:
            told[METRICS] = str(metrics_port)
        leads = _leading(workers, elsewhere) if workers else []
        if elsewhere and elsewhere.share_secrets:
            told[SHARE] = "1"
        process = stack.enter_context(_Child(folder, "master", ["--headless", *_QUIET, *leads], told, secrets))
        crew = _Crew(stack, folder, secrets, 0 if elsewhere else workers, files[RESULT])
        patience = STARTS_WITHIN + plan.warmup + plan.longest + plan.drain + STOPS_WITHIN
        beside = _Beside(plan)
        patience += elsewhere.within if elsewhere else 0
        trouble = _attend(process, crew, plan, patience, beside.heard(listener), stop)
        result = protocol.read(files[RESULT]) or {}
        trouble = trouble or str(result.pop("trouble", ""))
        if "operations" not in result:
            ended = f"the generator ended with status {process.status}: {process.last_line()}"
            return None, trouble or (INTERRUPTED if stop.is_set() else ended)
        return {**result, "machine": beside.told()}, trouble


def work(host: str, port: int, secrets: Path | None, stop: threading.Event) -> int:
    """Be one worker of a master on another machine, until its run has ended or ``stop`` is set. Returns the exit status.

    ``secrets`` is the file with the credentials, as `upheld.load.run.save_plan` writes it; None when the master sends them.
    Raises `TargetUnreachable` when no master answers.
    """
    known: Secrets | None = json.loads(secrets.read_text(encoding="utf-8")) if secrets else None
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="upheld-load-")))
        process = stack.enter_context(_Child(folder, "worker", _working(host, port), {}, known))
        while process.status is None and not stop.is_set():
            stop.wait(LOOKS_UP_EVERY)
        if process.status is None:
            process.ask_to_end()
            process.wait(STOPS_WITHIN)
        if process.status and not stop.is_set():
            raise TargetUnreachable(f"the worker of {host}:{port} ended: {process.last_line()}")
        return process.status or 0


_QUIET = ("--only-summary", "--skip-log-setup")


def _leading(workers: int, elsewhere: Elsewhere | None) -> list[str]:
    host, port, within = (
        (elsewhere.host, elsewhere.port, elsewhere.within) if elsewhere else ("127.0.0.1", 0, STARTS_WITHIN)
    )
    return [
        *("--master", "--master-bind-host", host, "--master-bind-port", str(port)),
        *("--expect-workers", str(workers), "--expect-workers-max-wait", f"{within:.0f}"),
        *("--users", str(workers), "--spawn-rate", str(workers)),
    ]


def _working(host: str, port: int) -> list[str]:
    return ["--worker", "--master-host", host, "--master-port", str(port), *_QUIET]


class _Child:
    """One Locust process with our locustfile, which ends with us."""

    def __init__(
        self, folder: Path, name: str, options: Sequence[str], told: Mapping[str, str], secrets: Secrets | None
    ) -> None:
        self._errors = (folder / f"{name}.stderr").open("w+b")
        # Locust reads LOCUST_* and ~/.locust.conf; somebody's run time or worker mode there would change what is measured.
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("LOCUST_", "UPHELD_LOAD_"))}
        passed = {} if secrets is None else {SECRETS: "-"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "upheld.load.child", "-f", str(LOCUSTFILE), *options],
            cwd=folder,
            env={**kept, "HOME": str(folder), "UPHELD_LOAD_PARENT": str(os.getpid()), **passed, **told},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if name == "master" else subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,
        )
        # By standard input: neither the arguments nor the environment of a process are private enough, and no file is left.
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(b"" if secrets is None else json.dumps(secrets).encode())

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing of it stays. Its group, because a plugin of Locust may have started something."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def ask_to_end(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.status is not None

    def last_line(self) -> str:
        """What it complained of last."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 4096))
        lines = [line.strip() for line in self._errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it said nothing"


class _Beside:
    """What else this machine does while a service on it is measured."""

    def __init__(self, plan: Plan) -> None:
        parts = urlsplit(plan.base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._machine = Machine(port) if on_this_machine(plan.base_url) else None
        self._warmup = plan.warmup
        self._first: Look | None = None
        self._last: Look | None = None

    def heard(self, listener: Listener) -> Listener:
        """Looks whenever the listener is told something of the measured part."""

        def listen(step: Progress) -> None:
            if self._machine is not None and float(step.data.get("elapsed", 0.0)) >= self._warmup:
                self._last = self._machine.look()
                self._first = self._first or self._last
            listener(step)

        return listen

    def told(self) -> Mapping[str, Any] | None:
        """For the result; None where it is not known."""
        busy = between(self._first, self._last)
        return None if busy is None else busy.to_json()


class _Crew:
    """The workers that we start ourselves, once the master says where it listens."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path, secrets: Secrets, count: int, result: Path) -> None:
        self._stack, self._folder, self._secrets, self._count, self._result = stack, folder, secrets, count, result
        self._workers: list[_Child] = []

    def start(self, port: int) -> None:
        for number in range(1, self._count + 1):
            options = _working("127.0.0.1", port)
            child = _Child(self._folder, f"worker-{number}", options, {}, self._secrets)
            self._workers.append(self._stack.enter_context(child))

    def lost(self) -> str:
        """Which of them ended before the counts were there, and how; empty when none did."""
        for number, worker in enumerate(self._workers, 1):
            if worker.status is not None and not self._result.exists():
                return f"worker {number} of {self._count} is gone: status {worker.status}, {worker.last_line()}"
        return ""


def _attend(
    process: _Child, crew: _Crew, plan: Plan, patience: float, listener: Listener, stop: threading.Event
) -> str:
    """Until it ends. Returns why its counts are worth nothing; empty when they are."""
    trouble = ""
    try:
        for line in _lines(process.output, time.monotonic() + patience):
            told = protocol.heard(line) if line else None
            if told and "port" in told:
                crew.start(int(told["port"]))
            elif told:
                listener(_step(told, plan))
            if stop.is_set() or (trouble := crew.lost()):
                break
    except KeyboardInterrupt:
        stop.set()
    if stop.is_set() or trouble:
        process.ask_to_end()
        for _ in _lines(process.output, time.monotonic() + STOPS_WITHIN):
            pass
    if not process.wait(STOPS_WITHIN):
        return trouble or f"the generator did not end within {patience:.0f} s and was killed"
    return trouble


def _lines(output: IO[bytes], deadline: float) -> Iterator[str]:
    """The lines that it prints, and "" when there is none for a while, until it closes its output or the deadline."""
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if not selector.select(LOOKS_UP_EVERY):
                yield ""
                continue
            data = os.read(output.fileno(), 65_536)
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
