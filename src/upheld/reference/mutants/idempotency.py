"""Defects of what is there after a write, and what is not."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from uuid import UUID

from upheld.reference.core.problems import CONFLICT, Problem
from upheld.reference.schemas.accounts import ApiKeyList, ApiKeyOut, Registration, UserOut
from upheld.reference.services.principal import Principal

from . import Context, Mutant

BETWEEN = 0.25
"""Seconds between looking and taking: a mutant that is a race only now and then proves nothing."""


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
    read: set[UUID] = set()

    async def get(principal: Principal, key_id: UUID) -> ApiKeyOut:
        found: ApiKeyOut = await original(principal, key_id)
        if key_id not in read:
            read.add(key_id)
            raise Problem.of_status(404)
        return found

    original = ctx.replace(ctx.parts.api_keys, "get", get)


def _looked_up_first(ctx: Context) -> None:
    accounts = ctx.parts.accounts

    async def there(email: str) -> UserOut | None:
        async with accounts.units.reading() as uow:
            user = await uow.users.by_email(email)
            return None if user is None else UserOut.model_validate(user)

    async def register(given: Registration) -> UserOut:
        if await there(given.email) is not None:
            raise Problem(CONFLICT, "An account with this email address exists already.")
        await asyncio.sleep(BETWEEN)
        try:
            made: UserOut | None = await original(given)
        except Problem as problem:
            made = await there(given.email)
            if problem.kind is not CONFLICT or made is None:
                raise
        assert made is not None
        return made

    original = ctx.replace(accounts, "register", register)


MUTANTS = (
    Mutant(
        name="idempotency/looked-up-first",
        requirement="idempotency/unique-race",
        says="Whether an e-mail address is taken is looked up before it is registered; who comes in between succeeds too.",
        apply=_looked_up_first,
    ),
    Mutant(
        name="idempotency/revoked-listed",
        requirement="idempotency/deleted-stays-deleted",
        says="The list of API keys still shows revoked ones: one query forgot the mark.",
        apply=_revoked_listed,
    ),
    Mutant(
        name="idempotency/replica-lags",
        requirement="idempotency/created-is-there",
        says="Who reads a new API key first does not find it: the read goes to a replica that lags.",
        apply=_replica_lags,
        also=("http/created-location",),
    ),
)
