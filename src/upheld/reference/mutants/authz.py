"""Defects of authorization."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import selectinload

from upheld.reference.core.problems import Problem
from upheld.reference.models import Order
from upheld.reference.schemas.orders import OrderOut
from upheld.reference.services.principal import Principal

from . import Context, Mutant


def _orders_read_by_id_alone(ctx: Context) -> None:
    orders = ctx.parts.orders

    async def get(principal: Principal, order_id: UUID) -> OrderOut:
        async with orders.units.reading() as uow:
            order = await uow.session.get(Order, order_id, options=[selectinload(Order.items)])
            if order is None:
                raise Problem.of_status(404)
            return OrderOut.model_validate(order)

    ctx.replace(orders, "get", get)


MUTANTS = (
    Mutant(
        name="authz/orders-read-by-id-alone",
        requirement="authz/foreign-read",
        says="An order is looked up by its id without asking whose it is.",
        apply=_orders_read_by_id_alone,
    ),
)
