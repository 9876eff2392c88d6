"""Health."""

from __future__ import annotations

from fastapi import APIRouter

from upheld.reference.schemas.system import Health

from .route import ContractRoute

router = APIRouter(tags=["health"], route_class=ContractRoute)


@router.get("/health", operation_id="health")
async def health() -> Health:
    """Whether the service is up. Needs no credentials and counts against no quota."""
    return Health(status="ok")
