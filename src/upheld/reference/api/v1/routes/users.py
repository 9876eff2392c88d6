"""One's own account."""

from __future__ import annotations

from fastapi import APIRouter

from upheld.reference.api.access import ProfileReader, ProfileWriter, User
from upheld.reference.api.deps import Services, errors
from upheld.reference.api.route import ContractRoute
from upheld.reference.schemas.accounts import PasswordChange, ProfilePatch, UserOut
from upheld.reference.schemas.base import Uuid

router = APIRouter(prefix="/users", tags=["users"], route_class=ContractRoute)


@router.get("/me", operation_id="getMe")
async def get_me(caller: ProfileReader, services: Services) -> UserOut:
    """The account that the credential belongs to."""
    return await services.accounts.get(caller, caller.user_id)


@router.patch("/me", operation_id="updateMe")
async def update_me(patch: ProfilePatch, caller: ProfileWriter, services: Services) -> UserOut:
    """Change one's own profile."""
    return await services.accounts.change_profile(caller, patch)


@router.delete("/me", operation_id="deleteMe", status_code=204, responses=errors(409))
async def delete_me(caller: User, services: Services) -> None:
    """Delete one's own account with its orders and API keys, at once. 409 for administrators."""
    await services.accounts.delete(caller)


@router.put("/me/password", operation_id="changePassword", status_code=204)
async def change_password(change: PasswordChange, caller: User, services: Services) -> None:
    """Change one's own password. Needs the current one, and ends all other sessions."""
    await services.accounts.change_password(caller, change)


@router.get("/{user_id}", operation_id="getUser", responses=errors(404))
async def get_user(user_id: Uuid, caller: User, services: Services) -> UserOut:
    """One's own account by its id; an administrator sees any."""
    return await services.accounts.get(caller, user_id)
