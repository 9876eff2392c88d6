"""Orders, and the sales report over them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .base import Closed, Instant, JsonInteger, Note, Uuid

Status = Literal["placed", "cancelled"]
GroupBy = Literal["day", "product", "category"]

Quantity = Annotated[int, Field(ge=1, le=1000), JsonInteger]


class OrderLineIn(Closed):
    product_id: Uuid
    quantity: Quantity


class OrderIn(Closed):
    items: list[OrderLineIn] = Field(min_length=1, max_length=50, description="Lines of one product are added up.")
    note: Note | None = None


class OrderPatch(Closed):
    model_config = ConfigDict(json_schema_extra={"example": {"note": "Leave it at the door."}})

    note: Note | None = Field(None, description="Null removes it.")


class OrderLineOut(Closed):
    product_id: Uuid
    sku: str = Field(max_length=40)
    name: str = Field(max_length=200)
    quantity: int = Field(ge=1)
    unit_price_cents: int = Field(ge=0)


class OrderOut(Closed):
    id: Uuid
    status: Status
    note: str | None = Field(max_length=500)
    items: list[OrderLineOut] = Field(min_length=1, max_length=50)
    total_cents: int = Field(ge=0)
    created_at: Instant
    updated_at: Instant


class Receipt(Closed):
    order_id: Uuid
    units: int = Field(ge=1)
    total_cents: int = Field(ge=0)
    placed_at: Instant


class OrderPage(Closed):
    items: list[OrderOut] = Field(max_length=100)
    next_cursor: Uuid | None = Field(description="Null on the last page.")


class SalesRow(Closed):
    group: str = Field(max_length=200, description="The day, the SKU or the category.")
    orders: int = Field(ge=0)
    units: int = Field(ge=0)
    revenue_cents: int = Field(ge=0)


class SalesReport(Closed):
    start: date
    end: date
    group_by: GroupBy
    rows: list[SalesRow] = Field(max_length=1000)
    total_cents: int = Field(ge=0)
