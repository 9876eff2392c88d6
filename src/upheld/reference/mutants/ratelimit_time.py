"""Defects of the rate limits that show when time passes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from limits import RateLimitItem, RateLimitItemPerSecond

from upheld.reference.core.rate_limit import Rule
from upheld.reference.core.token_bucket import Reading, reading

from . import Context, Mutant

Take = Callable[[Rule, str], Awaitable[Reading]]


def _limiting(name: str, make: Callable[[Context], Callable[[Rule, str], Reading]]) -> Any:
    """An ``apply`` that gives one rule another limiter, in this process."""

    def apply(ctx: Context) -> None:
        own = make(ctx)

        async def take(rule: Rule, key: str) -> Reading:
            return own(rule, key) if rule.name == name else await original(rule, key)

        original: Take = ctx.replace(ctx.parts.limiter, "_take", take)

    return apply


def _log(ctx: Context) -> Callable[[Rule, str], Reading]:
    logs: dict[str, list[int]] = defaultdict(list)

    def take(rule: Rule, key: str) -> Reading:
        now, window, quota = ctx.parts.clock.monotonic_us(), rule.quota.get_expiry() * 1_000_000, rule.quota.amount
        log = logs[key] = [entry for entry in logs[key] if entry > now - window]
        admitted = len(log) < quota
        if admitted:
            log.append(now)
        return Reading(admitted, quota - len(log), 0 if len(log) < quota else log[0] + window - now)

    return take


def _saved_up(ctx: Context) -> Callable[[Rule, str], Reading]:
    buckets: dict[str, tuple[int, int]] = {}

    def take(rule: Rule, key: str) -> Reading:
        now, window, quota = ctx.parts.clock.monotonic_us(), rule.quota.get_expiry() * 1_000_000, rule.quota.amount
        level, since = buckets.get(key, (quota * window, now))
        level = min(2 * quota * window, level + (now - since) * quota)
        admitted = level >= window
        buckets[key] = (level - window * admitted, now)
        return reading(level - window * admitted, admitted, quota, window, 1)

    return take


def _earns_twice(ctx: Context) -> None:
    async def take(item: RateLimitItem, *identifiers: str, cost: int = 1) -> Reading:
        shorter = RateLimitItemPerSecond(item.amount, item.get_expiry() // 2)
        drawn: Reading = await original(shorter if identifiers[0] == "register" else item, *identifiers, cost=cost)
        return drawn

    original = ctx.replace(ctx.parts.limiter.strategy, "take", take)


def _constant(ctx: Context) -> None:
    ctx.alter(lambda scope, answer: answer.with_header("retry-after", "60") if answer.status == 429 else answer)


MUTANTS = (
    Mutant(
        name="ratelimit/log-for-bucket",
        requirement="ratelimit/algorithm",
        says="The login's limiter keeps a log of the last minute, in place of a token bucket.",
        apply=_limiting("login", _log),
        also=("ratelimit/retry-after", "ratelimit/returns"),
    ),
    Mutant(
        name="ratelimit/saved-up",
        requirement="ratelimit/window",
        says="What a key does not use of the login's quota in one minute is added to the next.",
        apply=_limiting("login", _saved_up),
    ),
    Mutant(
        name="ratelimit/earns-twice",
        requirement="ratelimit/returns",
        says="The bucket of registrations fills up in half a minute instead of a minute.",
        apply=_earns_twice,
    ),
    Mutant(
        name="ratelimit/retry-after-constant",
        requirement="ratelimit/retry-after",
        says="Every 429 says Retry-After: 60, though the next token is there in six seconds.",
        apply=_constant,
    ),
)
