"""Free ports, and whose a taken one is."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Nothing listens on ``port``. Connections of an earlier listener that linger in TIME_WAIT do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens on now.

    Below the range from which the kernel takes the ports of outgoing connections: under load, one of thousands of clients
    would otherwise take it between our choice and the target's bind.
    """
    try:
        top = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        top = 0
    for _ in range(50):
        port = random.randrange(15_000, top) if top > 16_000 else _any(host)
        if is_free(port, host):
            return port
    return _any(host)


def _any(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int, pids: set[int]) -> bool | None:
    """One of the processes ``pids`` listens on ``port``; None where that cannot be read."""
    try:
        inodes = {
            fields[9]
            for table in ("/proc/net/tcp", "/proc/net/tcp6")
            if Path(table).exists()
            for fields in (line.split() for line in Path(table).read_text().splitlines()[1:])
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port
        }
    except (OSError, IndexError, ValueError):
        return None
    known = bool(inodes)
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for pid in pids:
        try:
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):
                    if str(descriptor.readlink()) in wanted:
                        return True
        except FileNotFoundError:
            continue
        except OSError:
            known = False
    return False if known else None
