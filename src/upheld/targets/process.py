"""A process that we started, with everything that came of it: its shim, its output, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from upheld.targets import shim

LOG_LIMIT = 1024 * 1024
SHIM_STARTS_WITHIN = 15.0


class Process:
    """Runs ``argv`` under `upheld.targets.shim`. Nothing of it is left after `stop`, nor after our own sudden end."""

    def __init__(
        self, argv: Sequence[str], *, scratch: Path, cwd: Path | None, env: Mapping[str, str], grace: float = 5.0
    ) -> None:
        self.grace = grace
        self.log = scratch / "output.log"
        self._control, theirs = socket.socketpair()
        with theirs:
            arguments = (theirs.fileno(), os.getpid(), grace, self.log, LOG_LIMIT, scratch, "--", *argv)
            self._shim = subprocess.Popen(
                # By its path and isolated: it starts in some 20 ms, and PYTHONPATH and the like reach the command alone.
                [sys.executable, "-I", "-S", shim.__file__, *map(str, arguments)],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._control.settimeout(SHIM_STARTS_WITHIN)
        self._heard = b""
        self.pid = 0
        try:
            with contextlib.suppress(OSError):
                self._heard = self._control.recv(64)
        except BaseException:
            self.stop()
            raise
        self.pid = int(self._heard.partition(b"\n")[0] or b"0")
        """Of the command itself, which leads its process group; 0 when it could not be run."""

    @property
    def pids(self) -> set[int]:
        """The command and everything below it, now."""
        return shim.descendants(self._shim.pid)

    @property
    def memory(self) -> int | None:
        """Resident octets of `pids` together; None where there is no /proc."""
        pages = 0
        for pid in self.pids:
            # One of them may have ended just now.
            with contextlib.suppress(OSError, IndexError, ValueError):
                pages += int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") or None

    @property
    def returncode(self) -> int | None:
        """As `subprocess.Popen.returncode`: None while anything of it runs, negative for the signal that ended it."""
        code = self._shim.poll()
        if code is not None:
            self._bury()
        return code

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        code = self.returncode
        if code is None:
            return "it runs"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with status {code}"

    def output(self, limit: int = 64 * 1024) -> str:
        """The last ``limit`` octets that it wrote, as text, from the start of a line."""
        data = b""
        for path in (self.log, self.log.with_name(self.log.name + ".1")):
            with contextlib.suppress(OSError), path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - (limit - len(data))))
                data = file.read(limit - len(data)) + data
            if len(data) >= limit:
                data = data.partition(b"\n")[2] or data
                break
        return data.decode("utf-8", "replace")

    def stop(self) -> None:
        """End everything: SIGTERM, after the grace SIGKILL. Returns when it is done; may be called twice."""
        if self._control.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        try:
            self._shim.wait(self.grace + shim.KILLING_TAKES_AT_MOST + 2)
        except subprocess.TimeoutExpired:
            self._shim.kill()
            self._shim.wait()
        self._bury()

    def _bury(self) -> None:
        """The shim has ended. One that somebody killed has left the command's group to us."""
        if self._control.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            self._heard += self._control.recv(64)
        self._control.close()
        if self.pid and shim.BURIED not in self._heard:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
