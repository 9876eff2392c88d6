"""Free ports, and whose a taken one is."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

_PROCESSES = Path("/proc")
_EPHEMERAL = _PROCESSES / "sys/net/ipv4/ip_local_port_range"
_DOCKERS = "docker-proxy"
_FORWARDERS = frozenset({"rootlessport", "rootlesskit", "slirp4netns", "pasta", "conmon", "kubectl", "ssh", "socat"})


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
        inodes = _listening(port)
    except (OSError, IndexError, ValueError):
        return None
    known = bool(inodes)
    for pid in pids:
        try:
            if _holds(pid, inodes):
                return True
        except FileNotFoundError:
            continue
        except OSError:
            known = False
    return False if known else None


def forwarded(port: int) -> bool:
    """Whether what answers at ``port`` of IPv4 loopback is reached by a forwarder, and so does not see where connections come from.

    That is a program that publishes the ports of containers or ends a tunnel, or, where something answers and nobody listens,
    the packet filter. False where nothing answers, and where it cannot be read.
    """
    try:
        inodes = _listening(port)
        return any(_forwards(folder, port, inodes) for folder in _PROCESSES.glob("[0-9]*")) or (
            not inodes and _answers(port)
        )
    except (OSError, IndexError, ValueError):
        return False


def _listening(port: int) -> set[str]:
    """The sockets that listen on it, as descriptors name them."""
    return {
        f"socket:[{fields[9]}]"
        for table in (_PROCESSES / "net/tcp", _PROCESSES / "net/tcp6")
        if table.exists()
        for fields in (line.split() for line in table.read_text().splitlines()[1:])
        if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port
    }


def _holds(pid: int, sockets: set[str]) -> bool:
    """Raises OSError for a process that is not ours to look into, or is gone."""
    for descriptor in Path(_PROCESSES, str(pid), "fd").iterdir():
        with suppress(FileNotFoundError):
            if str(descriptor.readlink()) in sockets:
                return True
    return False


def _forwards(process: Path, port: int, sockets: set[str]) -> bool:
    try:
        name = (process / "comm").read_text().strip()
        if name == _DOCKERS:
            # It runs as root; anybody may read its command line.
            words = (process / "cmdline").read_text().split("\0")
            return ("-host-port", str(port)) in pairwise(words)
        return name in _FORWARDERS and _holds(int(process.name), sockets)
    except OSError:
        return False


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
