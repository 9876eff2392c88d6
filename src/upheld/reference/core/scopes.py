"""What an OAuth token may be limited to (RFC 6749 §3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

Scope = Literal["orders:read", "orders:write", "profile", "reports:read"]

OF_USERS: Mapping[Scope, str] = {
    "orders:read": "Read the user's orders.",
    "orders:write": "Place, change, cancel and delete orders for the user.",
    "profile": "Read and change the user's profile.",
}
"""What a user can let a client do."""
OF_CLIENTS: Mapping[Scope, str] = {"reports:read": "Read the sales report."}
"""What a client can do on its own behalf."""


def parse(text: str) -> frozenset[str]:
    """``"a b"`` as a set: order means nothing."""
    return frozenset(text.split(" "))


def written(scopes: Iterable[str]) -> str:
    return " ".join(sorted(scopes))
