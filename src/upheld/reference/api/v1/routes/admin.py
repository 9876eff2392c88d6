"""Administration."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from upheld.reference.api.access import Admin
from upheld.reference.api.deps import Limit, Offset, Services, errors, link
from upheld.reference.api.route import ContractRoute
from upheld.reference.schemas.accounts import UserOut, UserPage, UserPatch
from upheld.reference.schemas.base import Uuid
from upheld.reference.schemas.system import Maintenance

router = APIRouter(prefix="/admin", tags=["admin"], route_class=ContractRoute)


@router.get("/users", operation_id="listUsers")
async def list_users(
    request: Request, response: Response, caller: Admin, services: Services, limit: Limit = 20, offset: Offset = 0
) -> UserPage:
    """A page of all users, in the order of their registration."""
    page = await services.accounts.page(limit, offset)
    following = {"offset": offset + limit} if offset + limit < page.total else None
    previous = {"offset": max(0, offset - limit)} if offset else None
    link(request, response, next=following, prev=previous)
    return page


@router.patch("/users/{user_id}", operation_id="updateUser", responses=errors(404, 409))
async def update_user(user_id: Uuid, patch: UserPatch, caller: Admin, services: Services) -> UserOut:
    """Change a user's role, or disable them, which ends their sessions. 409 for oneself."""
    return await services.accounts.administer(caller, user_id, patch)


@router.post("/maintenance", operation_id="switchMaintenance")
async def switch_maintenance(given: Maintenance, caller: Admin, services: Services) -> Maintenance:
    """Switch maintenance on or off. While it is on, all operations but this, login and health answer 503."""
    await services.maintenance.switch(given.enabled)
    return given
