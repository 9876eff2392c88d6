"""Reports: the complex query of this API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from upheld.reference.api.access import ReportReader
from upheld.reference.api.deps import Services
from upheld.reference.api.route import ContractRoute
from upheld.reference.schemas.base import Date
from upheld.reference.schemas.orders import GroupBy, SalesReport

router = APIRouter(prefix="/reports", tags=["reports"], route_class=ContractRoute)


@router.get("/sales", operation_id="salesReport")
async def sales_report(
    caller: ReportReader,
    services: Services,
    start: Annotated[Date, Query(description="First day, UTC.", examples=["2026-01-01"])],
    end: Annotated[Date, Query(description="Last day, UTC. A period that ends before it starts is empty.")],
    group_by: Annotated[GroupBy, Query()] = "day",
) -> SalesReport:
    """Orders, units and revenue of a period. For administrators, and for OAuth clients on their own behalf."""
    return await services.orders.sales(start, end, group_by)
