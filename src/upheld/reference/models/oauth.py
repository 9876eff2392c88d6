"""Authorization codes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class AuthorizationCode(Base):
    """One authorization that a user gave, until a client trades its code for tokens, and after that as the memory of it."""

    __tablename__ = "oauth_codes"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the code: who reads the table can redeem nothing."""
    client_id: Mapped[str] = mapped_column(String(64))
    redirect_uri: Mapped[str] = mapped_column(String(2000))
    scope: Mapped[str] = mapped_column(String(200))
    challenge: Mapped[str] = mapped_column(String(43))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    given_in: Mapped[UUID]
    """The session of the user who authorized. A code dies with it."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
    family_id: Mapped[UUID | None] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    """The session that began with its redemption; None while it may be redeemed."""
