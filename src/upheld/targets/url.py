"""A backend that somebody else started: we are given its URL, start nothing and stop nothing."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from types import MappingProxyType
from urllib.parse import urlsplit

from upheld.errors import TargetUnreachable, UsageError
from upheld.targets.base import Capability, Running, Target
from upheld.targets.http import ask
from upheld.targets.ports import forwarded


def is_loopback(host: str) -> bool:
    """``host`` is this machine by its very name: 127.0.0.0/8, ``::1`` or RFC 6761's ``localhost``. No name is looked up."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def checked(url: str, allow_hosts: Iterable[str] = ()) -> str:
    """``url`` without a slash at its end. Raises `UsageError` when it is no base URL or its host is not allowed."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise UsageError(f"the target {url!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise UsageError(f"the target {url!r} is not a URL; it looks like http://127.0.0.1:8000")
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"the target's URL carries a password; leave it out and name it under `identities` ({host})")
    if parts.query or parts.fragment:
        raise UsageError(f"the target {url!r} has a query or fragment; it is only the address, such as http://{host}")
    if not is_loopback(host) and host not in {name.lower() for name in allow_hosts}:
        raise UsageError(
            f"the target {host} is not this machine, and checks send floods and broken requests. If it is yours to test, "
            f"say `--allow-host {host}`, or in upheld.yaml `target: {{allow_host: [{host}]}}`"
        )
    return url.rstrip("/")


def sees_addresses(url: str) -> bool:
    """The service at ``url`` sees the source address that a connection comes from: no forwarder of this machine stands between."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return not (is_loopback(parts.hostname or "") and forwarded(port))


class Url(Target):
    """The service at ``url``. Entering it only checks that something there speaks HTTP."""

    can: frozenset[Capability] = frozenset()

    def __init__(self, url: str, *, allow_hosts: Iterable[str] = (), health: str = "/", timeout: float = 5.0) -> None:
        self.url = checked(url, allow_hosts)
        self.health = health
        self.timeout = timeout
        self.sees_addresses = sees_addresses(self.url)

    @property
    def name(self) -> str:
        return self.url

    def open(self) -> Running:
        answer = ask(self.url, self.health, timeout=self.timeout)
        if answer.status is None:
            raise TargetUnreachable(f"{self.url} cannot be tested: {answer.reason}")
        return _Given(self)

    def close(self) -> None:
        pass


class _Given(Running):
    can: frozenset[Capability] = frozenset()
    env = MappingProxyType[str, str]({})

    def __init__(self, target: Url) -> None:
        self.url = target.url
        self.sees_addresses = target.sees_addresses
        self._target = target

    def alive(self) -> bool:
        return ask(self.url, self._target.health, timeout=self._target.timeout).status is not None
