"""Products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from upheld.reference.models import Product


@dataclass(frozen=True)
class ProductFilter:
    """What a list of products is asked for. Ties in the sort key are broken by id, so that pages do not overlap."""

    limit: int
    offset: int
    sort: str = "name"
    category: str | None = None
    min_price_cents: int | None = None
    max_price_cents: int | None = None
    in_stock: bool | None = None


class Products:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, product: Product) -> None:
        self.session.add(product)

    async def get(self, product_id: UUID, *, for_update: bool = False) -> Product | None:
        return await self.session.get(Product, product_id, with_for_update=for_update or None)

    async def delete(self, product: Product) -> None:
        await self.session.delete(product)

    async def many(self, ids: Sequence[UUID]) -> dict[UUID, Product]:
        rows = await self.session.execute(select(Product).where(Product.id.in_(ids)))
        return {product.id: product for product in rows.scalars()}

    async def page(self, wanted: ProductFilter) -> tuple[Sequence[Product], int]:
        query = self._filtered(select(Product), wanted)
        total = (await self.session.execute(self._filtered(select(func.count(Product.id)), wanted))).scalar_one()
        column = getattr(Product, wanted.sort.lstrip("-"))
        order = (column.desc(), Product.id.desc()) if wanted.sort.startswith("-") else (column, Product.id)
        rows = await self.session.execute(query.order_by(*order).limit(wanted.limit).offset(wanted.offset))
        return rows.scalars().all(), total

    async def move_stock(self, product_id: UUID, by: int) -> bool:
        """Add to the stock, or take from it if there is as much: one statement, so that it can never fall below 0."""
        query = (
            update(Product)
            .where(Product.id == product_id, Product.stock + by >= 0)
            .values(stock=Product.stock + by, version=Product.version + 1)
            .execution_options(synchronize_session=False)
        )
        result = cast("CursorResult[Any]", await self.session.execute(query))
        return result.rowcount == 1

    @staticmethod
    def _filtered(query: Select[Any], wanted: ProductFilter) -> Select[Any]:
        if wanted.category is not None:
            query = query.where(Product.category == wanted.category)
        if wanted.min_price_cents is not None:
            query = query.where(Product.price_cents >= wanted.min_price_cents)
        if wanted.max_price_cents is not None:
            query = query.where(Product.price_cents <= wanted.max_price_cents)
        if wanted.in_stock is not None:
            query = query.where(Product.stock > 0 if wanted.in_stock else Product.stock == 0)
        return query
