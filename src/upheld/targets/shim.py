"""Stands between us and a command that we started, so that nothing of it outlives us. Standard library, one file.

Run by its path: ``python -I -S shim.py CONTROL_FD PARENT_PID GRACE LOG LOG_LIMIT SCRATCH -- COMMAND…``

It adopts every descendant of the command that loses its parent (a "child subreaper", prctl(2)), also those that called
setsid. When the control socket closes, for whatever reason (we stop it; we crash; somebody sends us SIGKILL), it sends all of
them SIGTERM, and SIGKILL after the grace. It writes their output to LOG, which it keeps within twice LOG_LIMIT octets, and
ends as the command ended: with its exit status, or by its signal. Orphaned, it removes SCRATCH, which nobody else would.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
KILLING_TAKES_AT_MOST = 10.0
BURIED = b"buried"
"""Our last word: nobody is left. A shim that ends without it was killed."""


def prctl(option: int, value: int) -> None:
    """prctl(2) where there is one; elsewhere the process group has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def descendants(pid: int) -> set[int]:
    """Every living process below ``pid``. Empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib would double the start-up time of this process
            if name.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    # The second field is the command's name in parentheses and may itself hold spaces and parentheses.
                    parent = int(file.read().rpartition(b")")[2].split()[1])
                    children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


class Log:
    """A file that starts anew when it is full; the full one is kept beside it as ``.1``."""

    def __init__(self, path: str, limit: int) -> None:
        self.path, self.limit = path, limit
        self.file = open(path, "ab", buffering=0)  # noqa: PTH123, SIM115
        self.size = self.file.tell()

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            if self.size + len(data) > self.limit:
                self.file.close()
                os.replace(self.path, f"{self.path}.1")  # noqa: PTH105
                self.file, self.size = open(self.path, "ab", buffering=0), 0  # noqa: PTH123, SIM115
            self.file.write(data)
            self.size += len(data)


class Shim:
    """The command, its descendants, its output and our life line, in one loop."""

    def __init__(self, control: socket.socket, parent: int, grace: float, log: Log, argv: list[str]) -> None:
        self.control, self.parent, self.grace, self.log = control, parent, grace, log
        self.orphaned = False
        self.status: int | None = None
        self.deadline: float | None = None
        self.killing = False
        self.output, write_end = os.pipe()
        os.set_blocking(self.output, False)
        self.command = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            start_new_session=True,
            # Our own SIGKILL would leave nobody to stop it; the kernel does, at least for the command itself.
            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        )
        os.close(write_end)

    def run(self) -> int:
        """Until the last descendant is gone. Returns the wait status of the command."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        # Handlers, not SIG_IGN: what is ignored stays ignored in the command.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop())
        with contextlib.suppress(OSError):
            self.control.sendall(b"%d\n" % self.command.pid)
        with selectors.DefaultSelector() as selector:
            for source in (self.control, self.output, wake_read):
                selector.register(source, selectors.EVENT_READ)
            while self.reap():
                for key, _ in selector.select(0.02 if self.killing else 0.2 if self.deadline else 1.0):
                    if key.fileobj is self.control:
                        if not self.hear():
                            selector.unregister(self.control)
                            self.stop()
                    elif key.fileobj == self.output:
                        if self.pump() == b"":
                            selector.unregister(self.output)
                    else:
                        with contextlib.suppress(BlockingIOError):
                            os.read(wake_read, 4096)
                self.watch()
        while self.pump():
            pass
        with contextlib.suppress(OSError):
            self.control.sendall(BURIED)
        return self.status if self.status is not None else 0

    def hear(self) -> bool:
        """Whether whoever started us still holds the other end."""
        try:
            return bool(self.control.recv(64))
        except OSError:
            return False

    def pump(self) -> bytes | None:
        """Move what was written to the log. None when there is nothing now, empty when there never will be again."""
        try:
            data = os.read(self.output, 65536)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        self.log.write(data)
        return data

    def reap(self) -> bool:
        """Bury the dead. False when nobody is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.command.pid:
                self.status = status
                # One that exits 0 and leaves others behind is a launcher; one that fails takes what it left with it.
                if status != 0:
                    self.stop()

    def stop(self) -> None:
        """Ask everybody to end, once."""
        if self.deadline is None:
            self.deadline = time.monotonic() + self.grace
            self.send(signal.SIGTERM)
            self.send(signal.SIGCONT)

    def watch(self) -> None:
        """Look after what no event tells: a parent that is gone although its socket lives on in a fork, and the grace."""
        self.orphaned = self.orphaned or os.getppid() != self.parent
        if self.orphaned:
            self.stop()
        if self.deadline is not None and time.monotonic() > self.deadline:
            self.killing = True
            self.send(signal.SIGKILL)
            if time.monotonic() > self.deadline + KILLING_TAKES_AT_MOST:
                raise SystemExit(f"upheld: process {sorted(descendants(os.getpid()))} does not die of SIGKILL")

    def send(self, number: int) -> None:
        found = descendants(os.getpid())
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        if not found:
            with contextlib.suppress(OSError):
                os.killpg(self.command.pid, number)


def main(arguments: list[str]) -> int:
    """Start the command, stay until nothing of it is left, and end as it did."""
    control_fd, parent, grace, log_path, limit, scratch, _, *argv = arguments
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    log = Log(log_path, int(limit))
    try:
        shim = Shim(socket.socket(fileno=int(control_fd)), int(parent), float(grace), log, argv)
    except OSError as error:
        log.write(f"{argv[0]}: {error.strerror or error}\n".encode())
        return 127
    status = shim.run()
    if shim.orphaned or os.getppid() != shim.parent:
        shutil.rmtree(scratch, ignore_errors=True)
    if os.WIFSIGNALED(status):
        with contextlib.suppress(OSError):
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
