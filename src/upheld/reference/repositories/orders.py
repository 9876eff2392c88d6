"""Orders, the sales report, and what an Idempotency-Key remembers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from upheld.reference.models import IdempotencyRecord, Order, OrderItem, Product


class Orders:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, order: Order) -> None:
        self.session.add(order)

    async def get(self, user_id: UUID, order_id: UUID) -> Order | None:
        """An order of this user; somebody else's is not found here, so that no caller can forget to ask."""
        query = select(Order).where(Order.id == order_id, Order.user_id == user_id).options(selectinload(Order.items))
        return (await self.session.execute(query)).scalar_one_or_none()

    async def page(self, user_id: UUID, limit: int, before: UUID | None, status: str | None) -> Sequence[Order]:
        """Newest first, ``limit`` + 1 rows, so that the caller sees whether there is more."""
        query = select(Order).where(Order.user_id == user_id).options(selectinload(Order.items))
        if before is not None:
            query = query.where(Order.id < before)
        if status is not None:
            query = query.where(Order.status == status)
        return (await self.session.execute(query.order_by(Order.id.desc()).limit(limit + 1))).scalars().all()

    async def delete(self, order: Order) -> None:
        await self.session.delete(order)

    async def sales(self, start: str, end: str, group_by: str, limit: int) -> Sequence[Any]:
        """(group, orders, units, revenue) of the placed orders of a period, days included."""
        group: Any = {"day": Order.placed_on, "product": OrderItem.sku, "category": Product.category}[group_by]
        revenue = func.sum(OrderItem.quantity * OrderItem.unit_price_cents)
        query = (
            select(group, func.count(func.distinct(Order.id)), func.sum(OrderItem.quantity), revenue)
            .join(OrderItem, OrderItem.order_id == Order.id)
            .where(Order.placed_on >= start, Order.placed_on <= end, Order.status == "placed")
            .group_by(group)
            .order_by(group)
            .limit(limit)
        )
        if group_by == "category":
            query = query.join(Product, Product.id == OrderItem.product_id)
        return (await self.session.execute(query)).all()


class IdempotencyRecords:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, record: IdempotencyRecord) -> None:
        self.session.add(record)

    async def get(self, user_id: UUID, key: str) -> IdempotencyRecord | None:
        return await self.session.get(IdempotencyRecord, (user_id, key))

    async def answer(self, user_id: UUID, key: str, answer: str) -> bool:
        query = (
            update(IdempotencyRecord)
            .where(IdempotencyRecord.user_id == user_id, IdempotencyRecord.key == key)
            .values(answer=answer)
            .execution_options(synchronize_session=False)
        )
        return cast("CursorResult[Any]", await self.session.execute(query)).rowcount == 1

    async def drop(self, user_id: UUID, key: str) -> None:
        await self.session.execute(
            delete(IdempotencyRecord).where(IdempotencyRecord.user_id == user_id, IdempotencyRecord.key == key)
        )

    async def drop_older(self, than: datetime) -> None:
        await self.session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.created_at < than))
