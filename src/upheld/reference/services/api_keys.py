"""API keys."""

from __future__ import annotations

from uuid import UUID, uuid4

from upheld.reference.core.clock import Clock
from upheld.reference.core.problems import WRONG_STATE, Problem
from upheld.reference.core.security import ApiKeyCodec
from upheld.reference.models import ApiKey
from upheld.reference.schemas.accounts import ApiKeyIn, ApiKeyList, ApiKeyOut, NewApiKey
from upheld.reference.unit_of_work import UnitsOfWork

from .principal import Principal

MAX_KEYS = 100


class ApiKeys:
    def __init__(self, units: UnitsOfWork, codec: ApiKeyCodec, clock: Clock) -> None:
        self.units = units
        self.codec = codec
        self.clock = clock

    async def create(self, principal: Principal, given: ApiKeyIn) -> NewApiKey:
        key_id = uuid4()
        text = self.codec.issue(key_id, principal.user_id)
        record = ApiKey(
            id=key_id, user_id=principal.user_id, name=given.name, digest=self.codec.digest(text), hint=text[:9],
            created_at=self.clock.now(), revoked_at=None,
        )  # fmt: skip
        async with self.units.writing() as uow:
            if await uow.api_keys.count(principal.user_id) >= MAX_KEYS:
                raise Problem(WRONG_STATE, f"An account can have {MAX_KEYS} keys. Revoke one first.")
            uow.api_keys.add(record)
            await uow.flush()
            shown = ApiKeyOut.model_validate(record)
            await uow.commit()
        return NewApiKey(**shown.model_dump(), key=text)

    async def list(self, principal: Principal) -> ApiKeyList:
        async with self.units.reading() as uow:
            keys = await uow.api_keys.of(principal.user_id, MAX_KEYS)
            return ApiKeyList(items=[ApiKeyOut.model_validate(key) for key in keys])

    async def get(self, principal: Principal, key_id: UUID) -> ApiKeyOut:
        async with self.units.reading() as uow:
            key = await uow.api_keys.get(principal.user_id, key_id)
            if key is None:
                raise Problem.of_status(404)
            return ApiKeyOut.model_validate(key)

    async def revoke(self, principal: Principal, key_id: UUID) -> None:
        async with self.units.writing() as uow:
            key = await uow.api_keys.get(principal.user_id, key_id)
            if key is None:
                raise Problem.of_status(404)
            key.revoked_at = self.clock.now()
            await uow.commit()
