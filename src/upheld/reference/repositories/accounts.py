"""Users, sessions, API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from upheld.reference.models import ApiKey, Session, User


class Users:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, user: User) -> None:
        self.session.add(user)

    async def get(self, user_id: UUID) -> User | None:
        return await self.session.get(User, user_id)

    async def by_email(self, email: str) -> User | None:
        return (await self.session.execute(select(User).where(User.email == email))).scalar_one_or_none()

    async def delete(self, user_id: UUID) -> None:
        await self.session.execute(delete(User).where(User.id == user_id))

    async def page(self, limit: int, offset: int) -> tuple[Sequence[User], int]:
        total = (await self.session.execute(select(func.count()).select_from(User))).scalar_one()
        rows = await self.session.execute(select(User).order_by(User.created_at, User.id).limit(limit).offset(offset))
        return rows.scalars().all(), total


class Sessions:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, session: Session) -> None:
        self.session.add(session)

    async def get(self, session_id: UUID) -> Session | None:
        return await self.session.get(Session, session_id)

    async def user_of(self, session_id: UUID, user_id: UUID, now: datetime) -> User | None:
        """The user of a session that still stands: one query a request, by primary keys."""
        query = (
            select(User)
            .join(Session, Session.user_id == User.id)
            .where(Session.id == session_id, User.id == user_id)
            .where(Session.revoked_at.is_(None), Session.expires_at > now, User.disabled.is_(False))
        )
        return (await self.session.execute(query)).scalar_one_or_none()

    async def rotate(self, session_id: UUID, used: UUID, following: UUID, expires_at: datetime) -> bool:
        """Make ``following`` the current token if ``used`` still is. One statement: of two that race, one wins."""
        query = (
            update(Session)
            .where(Session.id == session_id, Session.refresh_id == used, Session.revoked_at.is_(None))
            .values(refresh_id=following, expires_at=expires_at)
            .execution_options(synchronize_session=False)
        )
        return _rows(await self.session.execute(query)) == 1

    async def revoke(self, session_id: UUID, now: datetime) -> None:
        await self._revoke(Session.id == session_id, now)

    async def revoke_all_of(self, user_id: UUID, now: datetime, *, but: UUID | None = None) -> None:
        condition = Session.user_id == user_id
        await self._revoke(condition if but is None else condition & (Session.id != but), now)

    async def forget_expired(self, now: datetime) -> None:
        await self.session.execute(delete(Session).where(Session.expires_at < now))

    async def _revoke(self, condition: Any, now: datetime) -> None:
        query = update(Session).where(condition, Session.revoked_at.is_(None)).values(revoked_at=now)
        await self.session.execute(query.execution_options(synchronize_session=False))


class ApiKeys:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, key: ApiKey) -> None:
        self.session.add(key)

    async def of(self, user_id: UUID, limit: int) -> Sequence[ApiKey]:
        query = select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
        return (await self.session.execute(query.order_by(ApiKey.created_at, ApiKey.id).limit(limit))).scalars().all()

    async def get(self, user_id: UUID, key_id: UUID) -> ApiKey | None:
        query = select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
        return (await self.session.execute(query)).scalar_one_or_none()

    async def count(self, user_id: UUID) -> int:
        query = select(func.count()).select_from(ApiKey)
        return (
            await self.session.execute(query.where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None)))
        ).scalar_one()

    async def owner_of(self, key_id: UUID, digest: str) -> User | None:
        query = (
            select(User)
            .join(ApiKey, ApiKey.user_id == User.id)
            .where(ApiKey.id == key_id, ApiKey.digest == digest, ApiKey.revoked_at.is_(None), User.disabled.is_(False))
        )
        return (await self.session.execute(query)).scalar_one_or_none()


def _rows(result: Any) -> int:
    return cast("CursorResult[Any]", result).rowcount
