"""Defects of registration, login and passwords, and of where a credential is looked for."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import Response
from pydantic import AfterValidator, StringConstraints
from sqlalchemy import text
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from upheld.reference.api.deps import Services
from upheld.reference.core.security import PASSWORD_MAX_BYTES
from upheld.reference.middleware.admission import Credential
from upheld.reference.schemas.accounts import COMMON_PASSWORDS, Credentials, Registration, Tokens, UserOut
from upheld.reference.schemas.base import canonical_email

from . import Context, Mutant

_PRINTABLE = r"^[ -~]+$"


def _not_common(value: str) -> str:
    if value in COMMON_PASSWORDS:
        raise ValueError("This password is among the commonest")
    return value


class _Any(Registration):
    password: Annotated[str, StringConstraints(min_length=8, max_length=72, pattern=_PRINTABLE)]


class _Endless(Registration):
    password: Annotated[
        str, StringConstraints(min_length=8, max_length=256, pattern=_PRINTABLE), AfterValidator(_not_common)
    ]


class _AsTyped(Registration):
    email: Annotated[str, AfterValidator(lambda typed: typed if canonical_email(typed) else "")]


async def _register_any(given: _Any, services: Services, response: Response) -> UserOut:
    return await _registered(given, services, response)


async def _register_endless(given: _Endless, services: Services, response: Response) -> UserOut:
    return await _registered(given, services, response)


async def _register_as_typed(given: _AsTyped, services: Services, response: Response) -> UserOut:
    email = canonical_email(given.email)
    if given.email != email:
        digest = await services.hasher.hash(given.password)
        async with services.accounts.units.writing() as uow:
            user = await uow.users.by_email(email)
            if user is not None:
                user.password_hash = digest
                answer = UserOut.model_validate(user)
                await uow.commit()
                return _made(answer, response)
    return await _registered(given.model_copy(update={"email": email}), services, response)


async def _registered(given: Registration, services: Services, response: Response) -> UserOut:
    return _made(await services.accounts.register(given), response)


def _made(user: UserOut, response: Response) -> UserOut:
    response.headers["Location"] = f"/api/v1/users/{user.id}"
    return user


def _any_password(ctx: Context) -> None:
    ctx.route("POST", "/api/v1/auth/register", _register_any, status_code=201)


def _truncated(ctx: Context) -> None:
    hasher = ctx.parts.hasher
    hash_, verify = hasher.hash, hasher.verify
    ctx.route("POST", "/api/v1/auth/register", _register_endless, status_code=201)
    ctx.replace(hasher, "hash", lambda password: hash_(password[:PASSWORD_MAX_BYTES]))
    ctx.replace(hasher, "verify", lambda password, digest: verify(password[:PASSWORD_MAX_BYTES], digest))


def _trimmed(ctx: Context) -> None:
    hasher = ctx.parts.hasher
    hash_, verify = hasher.hash, hasher.verify
    ctx.replace(hasher, "hash", lambda password: hash_(password.strip()))
    ctx.replace(hasher, "verify", lambda password, digest: verify(password.strip(), digest))


def _overwritten(ctx: Context) -> None:
    ctx.route("POST", "/api/v1/auth/register", _register_as_typed, status_code=201)


def _nothing_hashed(ctx: Context) -> None:
    hasher = ctx.parts.hasher
    verify = hasher.verify

    async def only_known(password: str, digest: str | None) -> bool:
        return digest is not None and await verify(password, digest)

    ctx.replace(hasher, "verify", only_known)


def _seeded(ctx: Context) -> None:
    accounts = ctx.parts.accounts
    seed = accounts.seed_admin

    async def with_another(email: str, password: str) -> None:
        await seed(email, password)
        await seed("admin@example.com", "admin")

    ctx.replace(accounts, "seed_admin", with_another)


def _query_of_text(ctx: Context) -> None:
    sessions = ctx.parts.sessions
    login = sessions.login

    async def asking(given: Credentials) -> Tokens:
        async with sessions.units.reading() as uow:
            await uow.session.execute(text(f"SELECT id FROM users WHERE email = '{given.email}'"))
        return await login(given)

    ctx.replace(sessions, "login", asking)


def _as_written(ctx: Context) -> None:
    reader = ctx.parts.credentials
    bearer = reader._bearer

    def exact(field: str) -> tuple[Credential, UUID | None]:
        other_case = field[:7].lower() == "bearer " and not field.startswith("Bearer ")
        return bearer("Bearer -" if other_case else field)

    ctx.replace(reader, "_bearer", exact)


class _FromUrl:
    """Puts a token of the URL where the rest of the application looks for one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and b"authorization" not in dict(scope["headers"]):
            for token in parse_qs(scope["query_string"].decode("latin-1")).get("access_token", ())[:1]:
                field = (b"authorization", f"Bearer {token}".encode())
                scope = {**scope, "headers": [*scope["headers"], field]}
        await self.app(scope, receive, send)


def _in_url(ctx: Context) -> None:
    ctx.wrappers.append(Middleware(_FromUrl))


def _second_part(ctx: Context) -> None:
    reader = ctx.parts.credentials
    bearer = reader._bearer

    def picked(field: str) -> tuple[Credential, UUID | None]:
        parts = field.split(" ")
        return bearer(f"{parts[0]} {parts[1]}")

    ctx.replace(reader, "_bearer", picked)


MUTANTS = (
    Mutant(
        name="auth/scheme-as-written",
        requirement="auth/scheme",
        says="The scheme of the Authorization field is compared with Bearer letter by letter.",
        apply=_as_written,
    ),
    Mutant(
        name="auth/token-in-url",
        requirement="auth/scheme",
        says="Where there is no Authorization field, ?access_token= is taken in its place.",
        apply=_in_url,
    ),
    Mutant(
        name="auth/second-part-taken",
        requirement="auth/malformed-field",
        says="The Authorization field is split at its spaces and the second part is taken, also where there is none.",
        apply=_second_part,
        # The same answer, seen as it passes.
        also=("http/server-error",),
    ),
    Mutant(
        name="auth/nothing-hashed",
        requirement="auth/login-time",
        says="The login hashes the password only where there is a user to compare it with.",
        apply=_nothing_hashed,
    ),
    Mutant(
        name="auth/password-truncated",
        requirement="auth/exact-password",
        says="Passwords may be long, and bcrypt is given their first 72 bytes.",
        apply=_truncated,
    ),
    Mutant(
        name="auth/password-trimmed",
        requirement="auth/exact-password",
        says="Spaces at the ends of a password are trimmed before it is hashed and before it is verified.",
        apply=_trimmed,
    ),
    Mutant(
        name="auth/any-password",
        requirement="auth/password-policy",
        says="Registration looks at the length of a password and at no list of common ones.",
        apply=_any_password,
    ),
    Mutant(
        name="auth/account-overwritten",
        requirement="auth/canonical-account",
        says="Registration looks for the address as it was typed and stores it in lower case, over whoever has it.",
        apply=_overwritten,
    ),
    Mutant(
        name="auth/seeded-account",
        requirement="auth/default-accounts",
        says="The script that makes the first administrator leaves another one behind, whose password is admin.",
        apply=_seeded,
    ),
    Mutant(
        name="auth/login-query-of-text",
        requirement="auth/login-injection",
        says="The login's query is put together as text, with the address between apostrophes.",
        apply=_query_of_text,
        also=("http/server-error",),
    ),
)
