"""One transaction: enter it, use its repositories, commit. Leaving without a commit rolls back."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from .repositories.accounts import ApiKeys, Sessions, Users
from .repositories.oauth import AuthorizationCodes
from .repositories.orders import IdempotencyRecords, Orders
from .repositories.products import Products


class UnitOfWork:
    def __init__(self, sessions: async_sessionmaker[AsyncSession], *, writes: bool) -> None:
        self._sessions = sessions
        self._writes = writes

    async def __aenter__(self) -> Self:
        self.session = self._sessions()
        if self._writes:
            await self.session.connection(execution_options={"writes": True})
        self.users = Users(self.session)
        self.sessions = Sessions(self.session)
        self.api_keys = ApiKeys(self.session)
        self.codes = AuthorizationCodes(self.session)
        self.products = Products(self.session)
        self.orders = Orders(self.session)
        self.idempotency = IdempotencyRecords(self.session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()  # which rolls back what was not committed

    async def flush(self) -> None:
        await self.session.flush()

    async def commit(self) -> None:
        await self.session.commit()


class UnitsOfWork:
    """Begins them: ``async with units.reading() as uow`` or ``units.writing()``."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    def reading(self) -> UnitOfWork:
        return UnitOfWork(self._sessions, writes=False)

    def writing(self) -> UnitOfWork:
        return UnitOfWork(self._sessions, writes=True)
