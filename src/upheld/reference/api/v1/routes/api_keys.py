"""API keys."""

from __future__ import annotations

from fastapi import APIRouter, Response

from upheld.reference.api.access import User
from upheld.reference.api.deps import Services, errors
from upheld.reference.api.route import ContractRoute
from upheld.reference.schemas.accounts import ApiKeyIn, ApiKeyList, ApiKeyOut, NewApiKey
from upheld.reference.schemas.base import Uuid

router = APIRouter(prefix="/api-keys", tags=["api keys"], route_class=ContractRoute)


@router.post("", operation_id="createApiKey", status_code=201, responses=errors(409))
async def create_api_key(given: ApiKeyIn, caller: User, services: Services, response: Response) -> NewApiKey:
    """Create a key. Only this answer shows it; it reads products, orders and the own account."""
    key = await services.api_keys.create(caller, given)
    response.headers["Location"] = f"/api/v1/api-keys/{key.id}"
    return key


@router.get("", operation_id="listApiKeys")
async def list_api_keys(caller: User, services: Services) -> ApiKeyList:
    """One's own keys that are in force."""
    return await services.api_keys.list(caller)


@router.get("/{key_id}", operation_id="getApiKey", responses=errors(404))
async def get_api_key(key_id: Uuid, caller: User, services: Services) -> ApiKeyOut:
    """One of one's own keys, without the key itself."""
    return await services.api_keys.get(caller, key_id)


@router.delete("/{key_id}", operation_id="revokeApiKey", status_code=204, responses=errors(404))
async def revoke_api_key(key_id: Uuid, caller: User, services: Services) -> None:
    """Revoke a key, at once."""
    await services.api_keys.revoke(caller, key_id)
