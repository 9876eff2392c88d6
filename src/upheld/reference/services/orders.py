"""Orders: placed once for each Idempotency-Key, seen only by their owner."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from upheld.reference.core.cache import Cache
from upheld.reference.core.clock import Clock
from upheld.reference.core.ids import time_ordered_uuid
from upheld.reference.core.problems import IN_PROGRESS, KEY_REUSED, UNAVAILABLE_PRODUCT, Problem
from upheld.reference.models import IdempotencyRecord, Order, OrderItem
from upheld.reference.schemas.orders import OrderIn, OrderOut, OrderPage, OrderPatch, Receipt, SalesReport, SalesRow
from upheld.reference.unit_of_work import UnitOfWork, UnitsOfWork

from .principal import Principal
from .products import LISTS, tag_of

MAX_ROWS = 1000
ABANDONED = timedelta(seconds=60)
"""A request that is still "in progress" after this long died with its process."""


class Orders:
    def __init__(self, units: UnitsOfWork, cache: Cache, clock: Clock, idempotency_ttl: int) -> None:
        self.units = units
        self.cache = cache
        self.clock = clock
        self.idempotency_ttl = timedelta(seconds=idempotency_ttl)

    async def place(self, principal: Principal, given: OrderIn, key: str | None) -> OrderOut:
        """Place an order. With a key, the same request again gets the same answer (draft-ietf-httpapi-idempotency-key-07)."""
        if key is None:
            return await self._place(principal, given, None)
        earlier = await self._claim(principal.user_id, key, _fingerprint(given))
        if earlier is not None:
            return OrderOut.model_validate_json(earlier)
        try:
            return await self._place(principal, given, key)
        except BaseException:
            # Nothing was done, so the key is free again: the client may correct and retry.
            async with self.units.writing() as uow:
                await uow.idempotency.drop(principal.user_id, key)
                await uow.commit()
            raise

    async def _claim(self, user_id: UUID, key: str, fingerprint: str) -> str | None:
        """Take the key, or give the answer that it stands for. The primary key decides between two that race."""
        now = self.clock.now()
        record = IdempotencyRecord(user_id=user_id, key=key, fingerprint=fingerprint, created_at=now, answer=None)
        async with self.units.writing() as uow:
            await uow.idempotency.drop_older(now - self.idempotency_ttl)
            earlier = await uow.idempotency.get(user_id, key)
            if earlier is not None and earlier.answer is None and earlier.created_at < now - ABANDONED:
                await uow.session.delete(earlier)
                await uow.flush()
                earlier = None
            if earlier is not None:
                return self.replay(earlier, fingerprint)
            uow.idempotency.add(record)
            try:
                await uow.flush()
            except IntegrityError:
                raise Problem(IN_PROGRESS, headers={"Retry-After": "1"}) from None
            await uow.commit()
        return None

    def replay(self, earlier: IdempotencyRecord, fingerprint: str) -> str:
        if earlier.fingerprint != fingerprint:
            raise Problem(KEY_REUSED)
        if earlier.answer is None:
            raise Problem(IN_PROGRESS, headers={"Retry-After": "1"})
        return earlier.answer

    async def _place(self, principal: Principal, given: OrderIn, key: str | None) -> OrderOut:
        quantities: Counter[UUID] = Counter()
        for line in given.items:
            quantities[line.product_id] += line.quantity
        now = self.clock.now()
        async with self.units.writing() as uow:
            await self.reserve(uow, quantities)
            products = await uow.products.many(list(quantities))
            items = [
                OrderItem(
                    line=number, product_id=product_id, sku=products[product_id].sku, name=products[product_id].name,
                    quantity=quantity, unit_price_cents=products[product_id].price_cents,
                )
                for number, (product_id, quantity) in enumerate(quantities.items())
            ]  # fmt: skip
            order = Order(
                id=time_ordered_uuid(), user_id=principal.user_id, status="placed", note=given.note,
                total_cents=sum(item.quantity * item.unit_price_cents for item in items),
                placed_on=now.date().isoformat(), created_at=now, updated_at=now, items=items,
            )  # fmt: skip
            uow.orders.add(order)
            await uow.flush()
            answer = OrderOut.model_validate(order)
            if key is not None:
                await uow.idempotency.answer(principal.user_id, key, answer.model_dump_json())
            await uow.commit()
        await self._stock_moved(quantities)
        return answer

    async def reserve(self, uow: UnitOfWork, quantities: Counter[UUID]) -> None:
        # In the order of their ids, so that two orders for the same products cannot wait for each other.
        for product_id in sorted(quantities):
            if not await uow.products.move_stock(product_id, -quantities[product_id]):
                raise Problem(UNAVAILABLE_PRODUCT, f"Product {product_id} does not exist or is out of stock.")

    async def page(self, principal: Principal, limit: int, cursor: UUID | None, status: str | None) -> OrderPage:
        async with self.units.reading() as uow:
            orders = await uow.orders.page(principal.user_id, limit, cursor, status)
            items = [OrderOut.model_validate(order) for order in orders[:limit]]
        return OrderPage(items=items, next_cursor=items[-1].id if len(orders) > limit else None)

    async def get(self, principal: Principal, order_id: UUID) -> OrderOut:
        async with self.units.reading() as uow:
            return OrderOut.model_validate(await self._own(uow, principal, order_id))

    async def receipt(self, principal: Principal, order_id: UUID) -> Receipt:
        async with self.units.reading() as uow:
            order = await self._own(uow, principal, order_id)
            units = sum(item.quantity for item in order.items)
            return Receipt(order_id=order.id, units=units, total_cents=order.total_cents, placed_at=order.created_at)

    async def change(self, principal: Principal, order_id: UUID, patch: OrderPatch) -> OrderOut:
        async with self.units.writing() as uow:
            order = await self._own(uow, principal, order_id)
            if "note" in patch.model_fields_set and patch.note != order.note:
                order.note = patch.note
                order.updated_at = self.clock.now()
            answer = OrderOut.model_validate(order)
            await uow.commit()
        return answer

    async def cancel(self, principal: Principal, order_id: UUID) -> OrderOut:
        """Cancel and give the stock back. An order that is cancelled already stays as it is."""
        async with self.units.writing() as uow:
            order = await self._own(uow, principal, order_id)
            returned = await self._give_back(uow, order)
            if returned:
                order.status = "cancelled"
                order.updated_at = self.clock.now()
            answer = OrderOut.model_validate(order)
            await uow.commit()
        await self._stock_moved(returned)
        return answer

    async def delete(self, principal: Principal, order_id: UUID) -> None:
        async with self.units.writing() as uow:
            order = await self._own(uow, principal, order_id)
            returned = await self._give_back(uow, order)
            await uow.orders.delete(order)
            await uow.commit()
        await self._stock_moved(returned)

    async def sales(self, start: date, end: date, group_by: str) -> SalesReport:
        async with self.units.reading() as uow:
            rows = await uow.orders.sales(start.isoformat(), end.isoformat(), group_by, MAX_ROWS)
        sales = [
            SalesRow(group=group, orders=orders, units=units, revenue_cents=revenue)
            for group, orders, units, revenue in rows
        ]
        total = sum(row.revenue_cents for row in sales)
        return SalesReport.model_validate(
            {"start": start, "end": end, "group_by": group_by, "rows": sales, "total_cents": total}
        )

    async def _own(self, uow: UnitOfWork, principal: Principal, order_id: UUID) -> Order:
        order = await uow.orders.get(principal.user_id, order_id)
        if order is None:
            raise Problem.of_status(404)
        return order

    async def _give_back(self, uow: UnitOfWork, order: Order) -> Counter[UUID]:
        if order.status == "cancelled":
            return Counter()
        returned = Counter({item.product_id: item.quantity for item in order.items})
        for product_id in sorted(returned):
            await uow.products.move_stock(product_id, returned[product_id])
        return returned

    async def _stock_moved(self, products: Counter[UUID]) -> None:
        if products:
            await self.cache.invalidate(LISTS, *(tag_of(product_id) for product_id in products))


def _fingerprint(given: OrderIn) -> str:
    return hashlib.sha256(json.dumps(given.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
