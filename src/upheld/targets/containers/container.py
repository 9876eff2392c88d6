"""One container of a target: its state, its last words, the wait until it is ready."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, DockerException, NotFound

from upheld.errors import TargetDied, TargetError, TargetUnreachable
from upheld.targets.containers.engine import asking

if TYPE_CHECKING:
    from docker.models.containers import Container as Raw

Hide = Callable[[str], str]
"""Takes secrets out of a text."""

SECRET_NAME = re.compile(r"pass|pwd|secret|credential|token|key|auth|url|uri|dsn|connection", re.IGNORECASE)
IN_URL = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")
SHORTEST = 6
"""Shorter values are too common to be replaced wherever they stand."""
MASK = "***"
LAST_LINES = 400


def hiding(env: Mapping[str, str], secret: Iterable[str] = ()) -> Hide:
    """Hides what in these environments is called like a secret, the values ``secret``, and passwords in URLs."""
    named = (value for name, value in env.items() if SECRET_NAME.search(name))
    values = sorted({value for value in (*named, *secret) if len(value) >= SHORTEST}, key=len, reverse=True)

    def hide(text: str) -> str:
        for value in values:
            text = text.replace(value, MASK)
        return IN_URL.sub(rf"\1{MASK}", text)

    return hide


class Container:
    """``name`` is what the author calls it; ``ready`` a shell command that ends with 0 in it when it is."""

    def __init__(self, name: str, raw: Raw, hide: Hide, ready: str | None = None) -> None:
        self.name = name
        self.hide = hide
        self._raw = raw
        self._ready = ready

    @property
    def state(self) -> Mapping[str, Any]:
        """``State`` of the engine's inspection, now. One that is gone has ended."""
        try:
            with asking(self.name):
                try:
                    self._raw.reload()
                except NotFound:
                    return {"Status": "removed"}
        except TargetUnreachable as error:
            return {"Status": "unknown", "Error": str(error)}
        state: Mapping[str, Any] = self._raw.attrs["State"]
        return state

    @property
    def ended(self) -> str | None:
        """How it ended, in words; None while it runs, or is about to."""
        state = self.state
        if state["Status"] == "removed":
            return "it was removed by somebody else"
        if state["Status"] not in ("exited", "dead"):
            return None
        killed = ", for want of memory" if state.get("OOMKilled") else ""
        said = f": {self.hide(state['Error'])}" if state.get("Error") else ""
        return f"it ended with status {state['ExitCode']}{killed}{said}"

    @property
    def trouble(self) -> str | None:
        """What is wrong with it, in words. One that ended with 0 has done its work."""
        state = self.state
        health = (state.get("Health") or {}).get("Status")
        if state["Status"] in ("exited", "dead"):
            return self.ended if state["ExitCode"] else None
        if state["Status"] != "running":
            return f"it is {state['Status']}"
        return f"it is {health}" if health in ("unhealthy", "starting") else None

    def output(self, lines: int = LAST_LINES) -> str:
        """The last lines that it wrote; empty when the engine does not tell."""
        try:
            return self.hide(self._raw.logs(tail=lines).decode("utf-8", "replace"))
        except (DockerException, OSError):
            return ""

    def quoted(self, lines: int = 20) -> str:
        """The same, set apart."""
        last = self.output(lines).rstrip().splitlines()
        return "\n" + "\n".join(f"  | {line}" for line in last) if last else "; it wrote nothing"

    @property
    def memory(self) -> int | None:
        """Octets that it holds, the cache of files apart; None where the engine does not account for it."""
        try:
            stats = self._raw.stats(stream=False, one_shot=True)
        except (DockerException, OSError):
            return None
        if not stats.get("pids_stats"):
            # A container without a cgroup of its own: the figures are the whole machine's.
            return None
        told = stats.get("memory_stats") or {}
        usage, detail = told.get("usage"), told.get("stats") or {}
        cache = detail.get("inactive_file", detail.get("total_inactive_file", 0))
        return int(usage) - int(cache) if usage else None

    def stop(self, grace: int | None = None) -> None:
        """SIGTERM, and SIGKILL after so many seconds; else as many as its Compose file or image says. Raises `TargetError`."""
        with asking(f"a stop of {self.name}"):
            self._raw.stop(timeout=grace)

    def start(self) -> None:
        """Start it again. Raises `TargetError`."""
        with asking(f"a start of {self.name}"):
            self._raw.start()

    def until_ready(self, within: float, over: threading.Event) -> None:
        """Until its command says so, else its image's HEALTHCHECK, else until it runs. Raises `TargetError` with its last words."""
        self.until(self._unready, within, over)

    def until(self, missing: Callable[[float], str | None], within: float, over: threading.Event) -> None:
        """Until ``missing``, given the seconds that are left, finds nothing. Ends with it when it ends, and when it is ``over``."""
        end = time.monotonic() + within
        pause, last = 0.02, "it does not run"
        while (left := end - time.monotonic()) > 0:
            if over.is_set():
                raise TargetUnreachable(f"{self.name!r} was stopped while it was being started")
            if how := self.ended:
                raise TargetDied(f"{self.name!r} was never ready: {how}{self.quoted()}")
            said = missing(left)
            if said is None:
                return
            last = said
            over.wait(pause)
            pause = min(0.25, pause * 1.5)
        raise TargetUnreachable(f"{self.name!r} was not ready within {within:g} s ({last}){self.quoted()}")

    def _unready(self, left: float) -> str | None:
        state = self.state
        if state["Status"] != "running":
            return f"it is {state['Status']}"
        if self._ready is not None:
            return self._asked(self._ready)
        health = (state.get("Health") or {}).get("Status", "none")
        return None if health in ("healthy", "none") else f"its health check says {health}"

    def _asked(self, command: str) -> str | None:
        try:
            ended = self._raw.exec_run(["/bin/sh", "-c", command])
        except (APIError, OSError) as error:
            return f"`{command}` cannot be run in it: {error}"
        said = ended.output.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return None if ended.exit_code == 0 else self.hide(f"`{command}` ends with {ended.exit_code}: {said}")


class Outage:
    """The store of a target in containers: its containers, stopped and started."""

    def __init__(self, containers: Iterable[Container], within: float) -> None:
        self._containers = tuple(containers)
        self._within = within
        self._is_down = False

    def down(self) -> None:
        """Stop it. Raises `TargetError`."""
        self._is_down = True
        for container in self._containers:
            container.stop()

    def up(self) -> None:
        """Start it again if it was stopped, and wait until it is ready. Raises `TargetError`."""
        if not self._is_down:
            return
        for container in self._containers:
            container.start()
        for container in self._containers:
            container.until_ready(self._within, threading.Event())
        self._is_down = False


def in_trouble(containers: Iterable[Container]) -> str:
    """What those say that are not well, for whoever reads why another one did not come up."""
    told = []
    for container in containers:
        with suppress(TargetError):
            if trouble := container.trouble:
                told.append(f"\n{container.name!r}: {trouble}{container.quoted(10)}")
    return "".join(told)
