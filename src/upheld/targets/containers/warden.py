"""Outlives us, so that no container does: when we end without having removed what we made, this removes it.

Run as ``python -P -m upheld.targets.containers.warden CONTROL_FD PARENT_PID LABEL SCRATCH``. It waits for the other end of the control
socket: a word from us says that nothing is left, its closing that we are gone. Until then it has loaded nothing but the
standard library.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

DONE = b"done"
QUIET = 6.0
"""Seconds for which nothing more may appear before it ends: what was being started when we died is still coming."""
LONGEST = 300.0


class Warden:
    """Our end of it. Orphaned, it removes what has the label, and the folder ``scratch``."""

    def __init__(self, label: str, scratch: Path) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # -P: a folder `docker` of the project that is checked is not the package.
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), str(os.getpid()), label, str(scratch)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def dismiss(self) -> None:
        """Nothing is left to remove. May be called twice."""
        if self._control.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            self._control.sendall(DONE)
        self._control.close()
        self._process.wait()

    def leave(self) -> None:
        """Something is left: it goes on without us. May be called twice."""
        self._control.close()


def _orphaned(control: socket.socket, parent: int) -> bool:
    """Waits until we say that all is done (False) or are gone (True)."""
    while True:
        # A fork of the parent may hold the socket open after it.
        if os.getppid() != parent:
            return True
        readable, _, _ = select.select([control], [], [], 1.0)
        if readable:
            return control.recv(16) != DONE


def _clear(label: str) -> None:
    """Remove until nothing has appeared for a while. The engine may be away for a moment."""
    import docker
    from docker.errors import DockerException

    from upheld.targets.containers.leftovers import remove

    quiet_since = began = time.monotonic()
    pause = 0.2
    while time.monotonic() < min(began + LONGEST, quiet_since + QUIET):
        try:
            with contextlib.closing(docker.from_env(use_ssh_client=True)) as client:
                if remove(client, label):
                    quiet_since, pause = time.monotonic(), 0.2
        except (DockerException, OSError):
            quiet_since = time.monotonic()
        time.sleep(pause)
        pause = min(2.0, pause * 2)


def main(arguments: list[str]) -> None:
    """Wait for the end of ``PARENT_PID``."""
    control_fd, parent, label, scratch = arguments
    if _orphaned(socket.socket(fileno=int(control_fd)), int(parent)):
        shutil.rmtree(scratch, ignore_errors=True)
        _clear(label)


if __name__ == "__main__":
    main(sys.argv[1:])
