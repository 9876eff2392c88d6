"""Authorization codes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from upheld.reference.models import AuthorizationCode


class AuthorizationCodes:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, code: AuthorizationCode) -> None:
        self.session.add(code)

    async def claim(self, digest: str) -> AuthorizationCode | None:
        """The code, its row locked until the end of the transaction: of two that redeem it, the second sees the first."""
        query = select(AuthorizationCode).where(AuthorizationCode.digest == digest).with_for_update()
        return (await self.session.execute(query)).scalar_one_or_none()

    async def forget_expired(self, now: datetime) -> None:
        """Those that nobody redeemed. The others go with the session that they began."""
        unused = AuthorizationCode.family_id.is_(None)
        await self.session.execute(delete(AuthorizationCode).where(unused, AuthorizationCode.expires_at < now))
