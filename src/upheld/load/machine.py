"""Who keeps this machine's processors busy while a service on it is pressed on: we and the service, or somebody else. Linux.

A service that gets no processor is slow for a reason that is not its own; a generator that mostly sleeps need not notice.
"""

from __future__ import annotations

import ipaddress
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROC = Path("/proc")
LEAST_IDLE, MOST_OTHERS = 0.1, 0.1
LISTENS = "0A"
STRANGERS = {"docker-proxy", "rootlessport", "slirp4netns", "ssh"}
"""Hold a port for a service whose own processes are not theirs."""


@dataclass(frozen=True, slots=True)
class Look:
    """Clock ticks of all processors since the start of the machine."""

    total: int
    idle: int
    ours: int
    """Of our processes and the service's."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Shares of all processors' time."""

    idle: float
    others: float
    """Spent by processes that are neither ours nor the service's, or stolen by other machines."""

    @property
    def crowded(self) -> bool:
        """Whether others leave too little for the service to be judged by its latencies."""
        return self.idle < LEAST_IDLE and self.others > MOST_OTHERS

    def to_json(self) -> Mapping[str, Any]:
        return asdict(self)


class Machine:
    """This machine, with the service that listens on a port of it."""

    def __init__(self, port: int, proc: Path = PROC, *, us: int | None = None) -> None:
        self._proc = proc
        listening = set(_listening(port, proc))
        owners = {int(folder.name) for folder in _folders(proc) if listening & set(_sockets(folder))}
        known = owners and not any(_name(proc / str(pid)) in STRANGERS for pid in owners)
        self._roots = {us or os.getpid(), *owners} if known else set()

    def look(self) -> Look | None:
        """A look at the processors; None where nobody can tell which processes are the service's."""
        if not self._roots:
            return None
        try:
            times = [int(number) for number in (self._proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
            known = dict(_processes(self._proc))
        except (OSError, ValueError):
            return None
        family = _descendants(self._roots, {pid: parent for pid, (parent, _) in known.items()})
        return Look(sum(times), times[3] + times[4], sum(known[pid][1] for pid in family if pid in known))


def on_this_machine(url: str) -> bool:
    """Whether the host of this URL is loopback."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def between(first: Look | None, last: Look | None) -> Busy | None:
    """What was done from one look to the other; None when one is missing or there is no time between them."""
    if first is None or last is None or last.total <= first.total:
        return None
    total, idle = last.total - first.total, last.idle - first.idle
    others = total - idle - (last.ours - first.ours)
    return Busy(max(0.0, idle / total), max(0.0, others / total))


def _listening(port: int, proc: Path) -> Iterable[str]:
    for name in ("tcp", "tcp6"):
        table = proc / "net" / name
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"


def _folders(proc: Path) -> list[Path]:
    return [folder for folder in proc.iterdir() if folder.name.isdecimal()] if proc.is_dir() else []


def _name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text().strip()
    except OSError:
        return ""


def _processes(proc: Path) -> Iterable[tuple[int, tuple[int, int]]]:
    """Process → parent, and ticks of its own and of the children that it has buried."""
    for folder in _folders(proc):
        try:
            # The name in brackets may hold anything.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        yield int(folder.name), (int(fields[1]), sum(map(int, fields[11:15])))


def _sockets(folder: Path) -> Iterable[str]:
    try:
        names = list((folder / "fd").iterdir())
    except OSError:
        return
    for name in names:
        try:
            yield str(name.readlink())
        except OSError:
            continue


def _descendants(roots: set[int], parents: Mapping[int, int]) -> set[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for pid, parent in parents.items():
        children[parent].append(pid)
    found, left = set(roots), list(roots)
    while left:
        left += (more := [pid for pid in children[left.pop()] if pid not in found])
        found.update(more)
    return found
