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

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"
