"""Defects of the rate limits."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from upheld.reference.core.rate_limit import Rule, by_address, by_user_or_address

from . import Context, Mutant


def _rule(ctx: Context, name: str) -> Rule:
    return next(rule for rule in ctx.parts.limiter.table if rule.name == name)


def _off_by_one(ctx: Context) -> None:
    limit = _rule(ctx, "login").limit
    limit.limit = type(limit.limit)(limit.limit.amount - 1, limit.limit.multiples)


def _refused_without_a_word(ctx: Context) -> None:
    ctx.alter(lambda scope, answer: answer.with_body(b"").without("content-type") if answer.status == 429 else answer)


def _retry_after_missing(ctx: Context) -> None:
    ctx.alter(lambda scope, answer: answer.without("retry-after") if answer.status == 429 else answer)


def _user_and_address(ctx: Context) -> None:
    def key(request: Request) -> str:
        return f"{by_user_or_address(request)} {by_address(request)}"

    limit: Any = _rule(ctx, "default").limit
    limit.key_func = key


MUTANTS = (
    Mutant(
        name="ratelimit/off-by-one",
        requirement="ratelimit/quota",
        says="The limiter of the login compares with < where it means <=, and refuses the last request of the quota.",
        apply=_off_by_one,
        also=("ratelimit/fields",),
    ),
    Mutant(
        name="ratelimit/refused-without-a-word",
        requirement="ratelimit/refusal",
        says="A 429 has no body.",
        apply=_refused_without_a_word,
    ),
    Mutant(
        name="ratelimit/retry-after-missing",
        requirement="ratelimit/retry-after",
        says="A 429 does not say when to come back.",
        apply=_retry_after_missing,
        also=("body/response-headers",),
    ),
    Mutant(
        name="ratelimit/user-and-address",
        requirement="ratelimit/isolation",
        says="The default limit counts each user's addresses apart, so that a user who changes networks has it again.",
        apply=_user_and_address,
    ),
)
