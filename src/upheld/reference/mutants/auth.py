"""Defects of authentication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query

from upheld.reference.api.deps import Services
from upheld.reference.core.problems import unauthenticated
from upheld.reference.schemas.accounts import Credentials, Tokens
from upheld.reference.schemas.base import Date
from upheld.reference.schemas.orders import GroupBy, SalesReport

from . import Answer, Context, Mutant


async def _open_report(
    services: Services,
    start: Annotated[Date, Query()],
    end: Annotated[Date, Query()],
    group_by: Annotated[GroupBy, Query()] = "day",
) -> SalesReport:
    return await services.orders.sales(start, end, group_by)


def _forgotten_dependency(ctx: Context) -> None:
    ctx.route("GET", "/api/v1/reports/sales", _open_report)


def _no_reason(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        is_bearer = (answer.get("www-authenticate") or "").startswith("Bearer")
        return answer.with_header("www-authenticate", 'Bearer realm="upheld"') if is_bearer else answer

    ctx.alter(change)


def _unknown_user_told(ctx: Context) -> None:
    sessions = ctx.parts.sessions
    login = sessions.login

    async def telling(given: Credentials) -> Tokens:
        async with sessions.units.reading() as uow:
            known = await uow.users.by_email(given.email)
        if known is None:
            await sessions.hasher.verify(given.password, None)
            raise unauthenticated("Nobody has registered with this email.")
        return await login(given)

    ctx.replace(sessions, "login", telling)


MUTANTS = (
    Mutant(
        name="auth/forgotten-dependency",
        requirement="auth/credentials-required",
        says="The route of the sales report was written without the dependency that asks for credentials.",
        apply=_forgotten_dependency,
        also=("http/refusal-status", "authz/role-matrix"),
    ),
    Mutant(
        name="auth/no-reason",
        requirement="auth/bearer-challenge",
        says="A 401 has the same challenge for whoever shows no token and for whoever shows a bad one.",
        apply=_no_reason,
    ),
    Mutant(
        name="auth/unknown-user-told",
        requirement="auth/user-enumeration",
        says="The login tells that nobody has registered with this email.",
        apply=_unknown_user_told,
    ),
)
