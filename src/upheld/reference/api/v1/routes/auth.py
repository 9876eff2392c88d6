"""Accounts and sessions."""

from __future__ import annotations

from fastapi import APIRouter, Response

from upheld.reference.api.deps import Services, errors
from upheld.reference.api.route import ContractRoute
from upheld.reference.schemas.accounts import Credentials, RefreshRequest, Registration, Tokens, UserOut

router = APIRouter(prefix="/auth", tags=["auth"], route_class=ContractRoute)


@router.post("/register", operation_id="register", status_code=201, responses=errors(409))
async def register(given: Registration, services: Services, response: Response) -> UserOut:
    """Create an account. 409 when the address has one already."""
    user = await services.accounts.register(given)
    response.headers["Location"] = f"/api/v1/users/{user.id}"
    return user


@router.post("/login", operation_id="login", responses=errors(401))
async def login(given: Credentials, services: Services) -> Tokens:
    """Begin a session. The answer does not tell an unknown address from a wrong password."""
    return await services.sessions.login(given)


@router.post("/refresh", operation_id="refresh", responses=errors(401))
async def refresh(given: RefreshRequest, services: Services) -> Tokens:
    """Trade a refresh token for new tokens. Each can be used once; using one again ends the session."""
    return await services.sessions.refresh(given.refresh_token)


@router.post("/logout", operation_id="logout", status_code=204, responses=errors(401))
async def logout(given: RefreshRequest, services: Services) -> None:
    """End the session that the refresh token belongs to. Its access tokens end with it."""
    await services.sessions.logout(given.refresh_token)
