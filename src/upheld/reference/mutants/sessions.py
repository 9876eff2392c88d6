"""Defects of a session's life: how it is renewed, and what ends it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import anyio

from upheld.reference.core.problems import unauthenticated
from upheld.reference.core.security import Claims, InvalidTokenError
from upheld.reference.schemas.accounts import Tokens
from upheld.reference.services.principal import Principal

from . import Answer, Context, Mutant


async def _nothing(*_: Any) -> None:
    return None


def _old_token_back(ctx: Context) -> None:
    sessions, tokens = ctx.parts.sessions, ctx.parts.tokens

    async def refresh(token: str) -> Tokens:
        try:
            claims = tokens.verify(token, "refresh")
        except InvalidTokenError:
            raise unauthenticated("The refresh token is not valid.", error="invalid_token") from None
        async with sessions.units.reading() as uow:
            user = await uow.sessions.user_of(claims.family, claims.subject, sessions.clock.now())
        if user is None:
            raise unauthenticated("The refresh token is not valid.", error="invalid_token")
        access = tokens.issue("access", claims.subject, claims.session)
        return Tokens(access_token=access, refresh_token=token, expires_in=tokens.ttl["access"])

    ctx.replace(sessions, "refresh", refresh)


def _read_then_write(ctx: Context) -> None:
    sessions = ctx.parts.sessions

    async def rotate_in_two_steps(claims: Claims) -> UUID | None:
        async with sessions.units.reading() as uow:
            session = await uow.sessions.get(claims.family)
        if session is None or session.refresh_id != claims.token_id or session.revoked_at is not None:
            refused: UUID | None = await renew(claims)
            return refused
        await anyio.sleep(0.3)  # what a slow query between the two would take
        following = uuid4()
        async with sessions.units.writing() as uow:
            session = await uow.sessions.get(claims.family)
            if session is None:
                return None
            session.refresh_id = following
            await uow.commit()
        return following

    renew = ctx.replace(sessions, "renew", rotate_in_two_steps)


def _client_forgets(ctx: Context) -> None:
    tokens = ctx.parts.tokens

    async def logout(token: str) -> None:
        try:
            tokens.verify(token, "refresh")
        except InvalidTokenError:
            raise unauthenticated("The refresh token is not valid.", error="invalid_token") from None

    ctx.replace(ctx.parts.sessions, "logout", logout)


def _other_sessions_stay(ctx: Context) -> None:
    ctx.replace(ctx.parts.accounts, "end_other_sessions", _nothing)


def _current_password_not_compared(ctx: Context) -> None:
    ctx.replace(ctx.parts.accounts, "confirm", _nothing)


def _only_marked_deleted(ctx: Context) -> None:
    accounts = ctx.parts.accounts

    async def mark(principal: Principal) -> None:
        async with accounts.units.writing() as uow:
            user = await uow.users.get(principal.user_id)
            if user is not None:
                user.email = f"deleted-{user.id}@example.test"
            await uow.commit()

    ctx.replace(accounts, "delete", mark)


def _life_of_an_example(ctx: Context) -> None:
    def an_hour(scope: Mapping[str, Any], answer: Answer) -> Answer:
        if answer.status != 200 or not scope["path"].endswith(("/auth/login", "/auth/refresh")):
            return answer
        return answer.with_body(json.dumps({**json.loads(answer.body), "expires_in": 3600}).encode())

    ctx.alter(an_hour)


def _keys_remembered(ctx: Context) -> None:
    known: dict[str, Principal] = {}

    async def remembered(text: str, key_id: UUID) -> Principal:
        if text not in known:
            known[text] = await look_up(text, key_id)
        return known[text]

    look_up = ctx.replace(ctx.parts.sessions, "principal_of_key", remembered)


MUTANTS = (
    Mutant(
        name="jwt/old-token-back",
        requirement="jwt/rotation",
        says="A refresh gives a new access token and the old refresh token back.",
        apply=_old_token_back,
    ),
    Mutant(
        name="jwt/read-then-write",
        requirement="jwt/parallel-refresh",
        says="Whether a refresh token is the current one is read first and written later, and others come in between.",
        apply=_read_then_write,
    ),
    Mutant(
        name="jwt/client-forgets",
        requirement="jwt/logout-ends-session",
        says="The logout leaves it to the client to forget its tokens.",
        apply=_client_forgets,
    ),
    Mutant(
        name="jwt/other-sessions-stay",
        requirement="jwt/password-change-ends-sessions",
        says="A password change leaves the other sessions as they are.",
        apply=_other_sessions_stay,
    ),
    Mutant(
        name="jwt/only-marked-deleted",
        requirement="jwt/deleted-account",
        says="A deleted account is only renamed, so that nobody signs in, and its sessions go on.",
        apply=_only_marked_deleted,
    ),
    Mutant(
        name="auth/current-password-not-compared",
        requirement="auth/current-password",
        says="A password change asks for the current password and compares it with nothing.",
        apply=_current_password_not_compared,
    ),
    Mutant(
        name="auth/life-of-an-example",
        requirement="auth/token-response",
        says="expires_in is the 3600 of somebody's example, whatever the token says.",
        apply=_life_of_an_example,
        also=("jwt/lifetime",),
    ),
    Mutant(
        name="auth/keys-remembered",
        requirement="auth/api-keys",
        says="Whose an API key is, is remembered from its first use, and a revoked one goes on working.",
        apply=_keys_remembered,
    ),
)
