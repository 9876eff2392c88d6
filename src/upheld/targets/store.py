"""The store that a service keeps its counters in, such as Redis: stopped and started by commands that upheld.yaml states."""

from __future__ import annotations

import subprocess
from pathlib import Path

from upheld.errors import TargetUnreachable

WITHIN = 60.0
"""Seconds that one command may take."""


class StoreByCommands:
    """``stop`` and ``start`` are lines for ``/bin/sh``, run in ``cwd``. ``start`` may leave a process behind, not wait for it."""

    def __init__(self, stop: str, start: str, cwd: Path | None = None) -> None:
        self._stop = stop
        self._start = start
        self._cwd = cwd
        self._is_down = False

    def down(self) -> None:
        """Stop it. Raises `TargetUnreachable` when the command fails."""
        self._is_down = True
        self._run(self._stop, "stop")

    def up(self) -> None:
        """Start it again if it was stopped. Raises `TargetUnreachable` when the command fails."""
        if self._is_down:
            self._run(self._start, "start")
            self._is_down = False

    def _run(self, line: str, name: str) -> None:
        # Not its output: a store that goes on in the background would keep the pipe open.
        try:
            ended = subprocess.run(
                ["/bin/sh", "-c", line],
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=WITHIN,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TargetUnreachable(f"target.store.{name} did not end within {WITHIN:g} s: {line}") from None
        if ended.returncode:
            raise TargetUnreachable(f"target.store.{name} ended with status {ended.returncode}: {line}")
