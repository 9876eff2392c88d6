"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID


@dataclass(frozen=True)
class Principal:
    """A user whose credential was verified and whose account and session stand."""

    user_id: UUID
    role: str
    by: Literal["token", "api_key"]
    session_id: UUID | None = None
    scopes: frozenset[str] | None = None
    """What an OAuth client may do for the user; None: it is the user, who may do all that the role allows."""

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"


@dataclass(frozen=True)
class Machine:
    """An OAuth client on its own behalf: there is no user, so it may do what its scopes say and nothing else."""

    client_id: str
    scopes: frozenset[str]


Caller = Principal | Machine
