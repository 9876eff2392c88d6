"""Defects of what is there after a write, and what is not."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from uuid import UUID

from upheld.reference.core.problems import Problem
from upheld.reference.schemas.accounts import ApiKeyList, ApiKeyOut
from upheld.reference.services.principal import Principal

from . import Context, Mutant

LAG = timedelta(seconds=1)


def _revoked_listed(ctx: Context) -> None:
    keys = ctx.parts.api_keys
    revoked: dict[UUID, list[ApiKeyOut]] = defaultdict(list)

    async def revoke(principal: Principal, key_id: UUID) -> None:
        shown = await keys.get(principal, key_id)
        await original_revoke(principal, key_id)
        revoked[principal.user_id].append(shown)

    async def list_all(principal: Principal) -> ApiKeyList:
        found: ApiKeyList = await original_list(principal)
        return ApiKeyList(items=[*revoked[principal.user_id][-10:], *found.items][:100])

    original_revoke = ctx.replace(keys, "revoke", revoke)
    original_list = ctx.replace(keys, "list", list_all)


def _replica_lags(ctx: Context) -> None:
    async def get(principal: Principal, key_id: UUID) -> ApiKeyOut:
        found: ApiKeyOut = await original(principal, key_id)
        if ctx.parts.clock.now() - found.created_at < LAG:
            raise Problem.of_status(404)
        return found

    original = ctx.replace(ctx.parts.api_keys, "get", get)


MUTANTS = (
    Mutant(
        name="idempotency/revoked-listed",
        requirement="idempotency/deleted-stays-deleted",
        says="The list of API keys still shows revoked ones: one query forgot the mark.",
        apply=_revoked_listed,
    ),
    Mutant(
        name="idempotency/replica-lags",
        requirement="idempotency/created-is-there",
        says="A new API key cannot be read during its first second.",
        apply=_replica_lags,
        also=("http/created-location",),
    ),
)
