"""A backend that a command starts: we choose its port, wait until it is healthy, keep its output, and end all of it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from upheld.errors import TargetDied, TargetUnreachable, UsageError
from upheld.targets import ports
from upheld.targets.base import Capability, Running, Target
from upheld.targets.http import ask
from upheld.targets.process import Process
from upheld.targets.url import checked

PATHS = ("/health", "/")
STARTS = 4
FOREIGN_LISTENER_SETTLES_IN = 3.0
"""How long we let our own process find out that another one listens on its port, before we believe that the other one
belongs to it all the same (``docker run`` is such a command: the listener is no child of it)."""


class Command(Target):
    """The service that ``start`` runs. In it and in the values of ``env``, ``{port}`` becomes the port (which ``$PORT`` holds
    too) and ``{scratch}`` a folder that lives as long as the target does, restarts included.

    A string is a line for ``/bin/sh``, a sequence is run as it is. With ``url`` the port is the URL's; without it a free one
    of 127.0.0.1, and ``base`` is its base path. It is healthy when one of ``paths`` answers 2xx to 4xx.
    """

    def __init__(
        self,
        start: str | Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        url: str | None = None,
        base: str = "",
        paths: Sequence[str] = PATHS,
        can: frozenset[Capability] = frozenset(),
        gives: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        grace: float = 5.0,
        name: str = "",
    ) -> None:
        self.start = start
        self.cwd = cwd
        self.env = dict(env or {})
        self.url = checked(url) if url else None
        self.base = base.rstrip("/")
        self.paths = tuple(dict.fromkeys(paths)) or PATHS
        self.can = can | {"restart", "logs"}
        self.gives = dict(gives or {})
        self.timeout = timeout
        self.grace = grace
        self._name = name or (start if isinstance(start, str) else " ".join(start))
        self._running: _Started | None = None
        if cwd is not None and not cwd.is_dir():
            raise UsageError(f"target.cwd: {cwd} is not a folder")

    @property
    def name(self) -> str:
        return self._name

    @property
    def fixed_port(self) -> int | None:
        """The port that the URL prescribes; None when we choose one."""
        if self.url is None:
            return None
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    def open(self) -> Running:
        if self._running is not None:
            raise UsageError(f"{self.name} is already running; a target is entered once")
        self._running = _Started(self)
        self._running.begin()
        return self._running

    def close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.end()


class _PortTaken(TargetUnreachable):
    """Another process has the port. With a port of our choice we try the next one."""


class _Started(Running):
    """One command while it is entered, over its restarts."""

    def __init__(self, target: Command) -> None:
        self.can = target.can
        self.env = target.gives
        self.port = 0
        self._target = target
        self._scratch = Path(tempfile.mkdtemp(prefix="upheld-target-"))
        self._process: Process | None = None
        self._last_words = ""
        self._ended = False
        """Another thread may end it while it is being started."""

    @property
    def output(self) -> str:
        return self._process.output() if self._process else self._last_words

    @property
    def memory(self) -> int | None:
        return self._process.memory if self._process else None

    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def begin(self) -> None:
        fixed = self._target.fixed_port
        for attempt in range(1, STARTS + 1):
            self.port = fixed or ports.free_port()
            self.url = self._target.url or f"http://127.0.0.1:{self.port}{self._target.base}"
            try:
                return self._start()
            except _PortTaken:
                if fixed or attempt == STARTS:
                    raise
                self._stop()
        return None

    def restart(self) -> None:
        self._stop()
        self._start()

    def end(self) -> None:
        self._ended = True
        self._stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _start(self) -> None:
        self._until_free()
        target, port = self._target, str(self.port)
        places = {"{port}": port, "{scratch}": str(self._scratch)}
        start = [target.start] if isinstance(target.start, str) else target.start
        words = [_placed(word, places) for word in start]
        argv = ["/bin/sh", "-c", *words] if isinstance(target.start, str) else words
        own = {key: _placed(value, places) for key, value in target.env.items()}
        env = {"PYTHONUNBUFFERED": "1", **os.environ, "PORT": port, **own}
        if not self._ended:
            self._process = Process(argv, scratch=self._scratch, cwd=target.cwd, env=env, grace=target.grace)
        process = self._process
        if self._ended or process is None:
            self._stop()
            raise TargetUnreachable(f"{target.name} was stopped while it was being started")
        self._wait(process)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            # Reports quote it after the target is left, when its folder is gone.
            self._last_words = self._process.output()
            self._process = None

    def _until_free(self) -> None:
        """Never test whoever else is on the port."""
        # After a restart the kernel may still be closing the listener that we have just stopped.
        end = time.monotonic() + (2.0 if self._last_words else 0.0)
        while not ports.is_free(self.port):
            if time.monotonic() >= end:
                raise _PortTaken(
                    f"port {self.port} is taken before {self._target.name!r} is started, so another process would be "
                    f"tested instead; stop that one, or write {{port}} in target.start and leave target.url out"
                )
            time.sleep(0.05)

    def _wait(self, process: Process) -> None:
        """Until it is healthy. Raises with the reason and its last lines when it will not be."""
        end = time.monotonic() + self._target.timeout
        pause, last, foreign_since = 0.02, "no answer", None
        while time.monotonic() < end:
            if process.returncode is not None:
                raise self._died(process)
            for path in self._target.paths:
                answer = ask(self.url, path, timeout=min(5.0, max(0.2, end - time.monotonic())))
                if answer.status is None:
                    last = answer.reason
                    break
                last = f"{path} answers {answer.status}"
                if not answer.ready:
                    continue
                if ports.listens(self.port, process.pids) is not False:
                    return
                foreign_since = foreign_since or time.monotonic()
                if time.monotonic() - foreign_since > FOREIGN_LISTENER_SETTLES_IN:
                    return
                break
            time.sleep(pause)
            pause = min(0.25, pause * 1.5)
        raise TargetUnreachable(
            f"{self._target.name!r} was not healthy within {self._target.timeout:g} s at {self.url} ({last}). It listens on "
            f"$PORT or {{port}}? `target.health` names another path{_quoted(process)}"
        )

    def _died(self, process: Process) -> TargetDied | _PortTaken:
        output = process.output()
        taken = "address already in use" in output.lower() or "EADDRINUSE" in output or not ports.is_free(self.port)
        if taken:
            return _PortTaken(
                f"{self._target.name!r} could not have port {self.port}: {process.ended}{_quoted(process)}"
            )
        hint = "; /bin/sh does not find the command" if process.returncode == 127 else ""
        return TargetDied(f"{self._target.name!r} never answered: {process.ended}{hint}{_quoted(process)}")


def _quoted(process: Process, lines: int = 20) -> str:
    """Its last lines, set apart."""
    last = process.output().rstrip().splitlines()[-lines:]
    return "\n" + "\n".join(f"  | {line}" for line in last) if last else "; it wrote nothing"


def _placed(text: str, places: Mapping[str, str]) -> str:
    """With the places filled in. Not str.format: a shell line is full of braces that are none of ours."""
    for place, value in places.items():
        text = text.replace(place, value)
    return text
