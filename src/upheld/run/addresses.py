"""Source addresses on loopback: on Linux a client may bind any address of 127.0.0.0/8, and each is a fresh partition of
every limit that is keyed by address.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from itertools import count
from urllib.parse import urlsplit


def loopback(url: str) -> bool:
    """Whether source addresses can be chosen freely: an IPv4 loopback target on Linux."""
    host = urlsplit(url).hostname or ""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return ipaddress.IPv4Address("127.0.0.1" if host == "localhost" else host).is_loopback
    except ValueError:
        return False


LISTENS_ITSELF = 'target: {start: "COMMAND --port {port}"}, so that the service itself listens'


class Addresses:
    """Hands out addresses that no other lane of this run has; ``None`` where they can't be chosen.

    ``seen`` says whether the target sees them. They begin at a place that follows from ``start``, any number: a run soon after
    another one, also of the same seed, takes another, so as to meet no limit that was left drained.
    """

    def __init__(self, url: str, start: int, *, seen: bool = True) -> None:
        self._free = seen and loopback(url) and _can_bind("127.83.0.2")
        self.why_none = (
            "addresses can only be chosen towards IPv4 loopback on Linux"
            if seen
            else "a service behind the port of a container, or another forwarder, sees one address, whoever calls"
        )
        """Why there is none to be had, where there is none."""
        self.line = "" if seen else LISTENS_ITSELF
        """What upheld.yaml could say, so that there were."""
        self._next = count((start % 200 + 10) << 16 | 2)

    @property
    def available(self) -> bool:
        return self._free

    def fresh(self) -> str | None:
        """The next unused address, or None."""
        if not self._free:
            return None
        number = next(self._next)
        while number & 0xFF in (0, 255):
            number = next(self._next)
        return str(ipaddress.IPv4Address(0x7F000000 + (number & 0xFFFFFF)))


def _can_bind(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
