"""Where a service is known to be: what a command for it may name."""

from __future__ import annotations

from urllib.parse import urlsplit

from upheld.contract.model import Contract
from upheld.targets.url import is_loopback

EMBEDDED = "http://127.0.0.1:8500"
"""Where `upheld serve` puts the reference backend."""


def stated(contract: Contract) -> tuple[str, ...]:
    """The base URLs that the contract names, the likeliest first."""
    target = contract.policy.target
    servers = contract.document.get("servers") or ()
    named = [str(server.get("url", "")) for server in servers if isinstance(server, dict)]
    found = [target.url or "", EMBEDDED if target.embedded else "", *named]
    return tuple(url.rstrip("/") for url in found if url.startswith(("http://", "https://")))


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port); the names of this machine are one. Raises ValueError."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    port = parts.port or {"http": 80, "https": 443}.get(scheme, 0)
    return scheme, "localhost" if is_loopback(host) else host, port
