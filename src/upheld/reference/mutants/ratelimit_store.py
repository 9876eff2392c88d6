"""Defects of the rate limits that show when the service or its store is stopped. They need Redis to differ from what is right."""

from __future__ import annotations

from starlette.requests import Request

from upheld.reference.core.clock import Clock
from upheld.reference.core.rate_limit import Decision, QuotaExceededError
from upheld.reference.core.token_bucket import MemoryTokenBuckets, TokenBucket

from . import Context, Mutant


def _counters_of_the_process(ctx: Context) -> None:
    limiter = ctx.parts.limiter
    limiter.strategy = TokenBucket(MemoryTokenBuckets(Clock()))
    limiter.link = None


def _breaks_without_its_store(ctx: Context) -> None:
    limiter = ctx.parts.limiter

    async def check(request: Request) -> Decision | None:
        rule = limiter.rule_for(request)
        if rule is None:
            return None
        decision = Decision(rule, await limiter._take(rule, rule.limit.key_func(request)))
        if not decision.reading.admitted:
            raise QuotaExceededError(decision)
        return decision

    ctx.replace(limiter, "check", check)


MUTANTS = (
    Mutant(
        name="ratelimit/counters-of-the-process",
        requirement="ratelimit/restart",
        says="Tokens are counted in the process although there is a Redis for them, and a restart gives them all back.",
        apply=_counters_of_the_process,
    ),
    Mutant(
        name="ratelimit/breaks-without-its-store",
        requirement="ratelimit/store-outage",
        says="Nobody catches what the limiter raises when Redis is away, and every request is answered with 500.",
        apply=_breaks_without_its_store,
    ),
)
