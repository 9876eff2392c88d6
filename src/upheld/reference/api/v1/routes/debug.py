"""A fault to order. Mounted by ``fault_route`` only, and never in the document."""

from __future__ import annotations

from fastapi import APIRouter

from upheld.reference.api.route import ContractRoute

router = APIRouter(prefix="/debug", include_in_schema=False, route_class=ContractRoute)


class DeliberateFaultError(Exception):
    """Nobody catches this; its text must not be seen outside the log."""


@router.get("/fault")
async def fault() -> None:
    """Raises, so that the 500 answer can be seen."""
    raise DeliberateFaultError("secret detail: connection to db.internal:5432 as shop failed")
