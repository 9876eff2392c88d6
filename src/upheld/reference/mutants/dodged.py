"""Defects of the rate limits that only show to who comes twice at once, on another connection, or in another guise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from upheld.reference.core.problems import QUOTA_EXCEEDED, Problem
from upheld.reference.core.rate_limit import Decision, QuotaExceededError, Rule, by_address
from upheld.reference.core.token_bucket import MemoryTokenBuckets, Reading, TokenBucket, reading
from upheld.reference.schemas.accounts import Credentials, Tokens

from . import Answer, Context, Mutant

ROUND_TRIP = 0.02
"""Seconds to a store in the next building, between reading and writing."""


def _rule(ctx: Context, name: str) -> Rule:
    return next(rule for rule in ctx.parts.limiter.table if rule.name == name)


def _read_then_written(ctx: Context) -> None:
    stored: dict[str, tuple[int, int]] = {}
    link = ctx.parts.redis

    async def read(key: str) -> tuple[int, int] | None:
        if link is None:
            return stored.get(key)
        found = await link.client.get(f"upheld:race:{key}")
        if found is None:
            return None
        level, since = (found if isinstance(found, str) else found.decode()).split()
        return int(level), int(since)

    async def write(key: str, level: int, since: int) -> None:
        stored[key] = (level, since)
        if link is not None:
            await link.client.set(f"upheld:race:{key}", f"{level} {since}", ex=3600)

    async def take_tokens(key: str, quota: int, window_us: int, cost: int) -> Reading:
        now, full = ctx.parts.clock.monotonic_us(), quota * window_us
        level, since = await read(key) or (full, now)
        level = min(full, level + max(0, now - since) * quota)
        admitted = level >= cost * window_us
        if admitted:
            level -= cost * window_us
        await asyncio.sleep(ROUND_TRIP)
        await write(key, level, now)
        return reading(level, admitted, quota, window_us, cost)

    ctx.replace(ctx.parts.limiter.strategy.storage, "take_tokens", take_tokens)


def _two_counters(ctx: Context) -> None:
    limiter, clock = ctx.parts.limiter, ctx.parts.clock
    counters = [TokenBucket(MemoryTokenBuckets(clock)), TokenBucket(MemoryTokenBuckets(clock))]
    mine: ContextVar[TokenBucket] = ContextVar("mine")

    async def check(request: Request) -> Decision | None:
        # The kernel hands out ports of one parity first.
        mine.set(counters[(request.client.port if request.client else 0) // 2 % 2])
        decision: Decision | None = await original(request)
        return decision

    async def take(rule: Rule, key: str) -> Reading:
        return await mine.get().take(rule.quota, rule.name, key)

    original = ctx.replace(limiter, "check", check)
    ctx.replace(limiter, "_take", take)


def _forwarded_for(ctx: Context) -> None:
    def key(request: Request) -> str:
        claimed = request.headers.get("x-forwarded-for", "").split(",")[0].strip()
        return f"ip:{claimed}" if claimed else by_address(request)

    limit: Any = _rule(ctx, "login").limit
    limit.key_func = key


def _head_uncounted(ctx: Context) -> None:
    def rule_for(request: Request) -> Rule | None:
        return None if request.method == "HEAD" else original(request)

    original = ctx.replace(ctx.parts.limiter, "rule_for", rule_for)


class _CutsSlashes:
    """Cuts a slash at the end of the path off, and remembers the path as it was written."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/auth/login/"):
            scope = {**scope, "written": scope["path"], "path": scope["path"].rstrip("/")}
        await self.app(scope, receive, send)


def _slash_uncounted(ctx: Context) -> None:
    def rule_for(request: Request) -> Rule | None:
        return _rule(ctx, "default") if "written" in request.scope else original(request)

    ctx.wrappers.append(Middleware(_CutsSlashes))
    original = ctx.replace(ctx.parts.limiter, "rule_for", rule_for)


def _after_the_password(ctx: Context) -> None:
    over: ContextVar[Decision | None] = ContextVar("over", default=None)

    async def check(request: Request) -> Decision | None:
        over.set(None)
        try:
            decision: Decision | None = await original_check(request)
        except QuotaExceededError as exceeded:
            if exceeded.decision.rule.name != "login":
                raise
            over.set(exceeded.decision)
            return replace(exceeded.decision, reading=replace(exceeded.decision.reading, admitted=True))
        return decision

    async def login(given: Credentials) -> Tokens:
        try:
            tokens: Tokens = await original_login(given)
        except Problem:
            decision = over.get()
            if decision is None:
                raise
            retry = {"Retry-After": str(decision.retry_after)}
            raise Problem(QUOTA_EXCEEDED, headers=retry, extensions={"violated-policies": ["login"]}) from None
        return tokens

    original_check = ctx.replace(ctx.parts.limiter, "check", check)
    original_login = ctx.replace(ctx.parts.sessions, "login", login)


def _token_is_the_key(ctx: Context) -> None:
    limit: Any = _rule(ctx, "default").limit
    limit.key_func = lambda request: request.headers.get("authorization") or by_address(request)


def _health_counted(ctx: Context) -> None:
    ctx.parts.limiter.exempt = frozenset()


def _refused_afterwards(ctx: Context) -> None:
    async def check(request: Request) -> Decision | None:
        try:
            decision: Decision | None = await original(request)
        except QuotaExceededError as exceeded:
            if exceeded.decision.rule.name != "register":
                raise
            return exceeded.decision
        return decision

    def refuse(scope: Mapping[str, Any], answer: Answer) -> Answer:
        decision = scope["state"].get("decision")
        if decision is None or decision.reading.admitted or answer.status == 429:
            return answer
        problem = {
            "type": QUOTA_EXCEEDED.type,
            "title": QUOTA_EXCEEDED.title,
            "status": 429,
            "violated-policies": [decision.rule.name],
            "request_id": answer.get("x-request-id"),
        }
        refused = replace(answer.without("location", "www-authenticate"), status=429)
        refused = refused.with_header("cache-control", "no-store")
        return refused.with_body(json.dumps(problem).encode(), "application/problem+json")

    original = ctx.replace(ctx.parts.limiter, "check", check)
    ctx.alter(refuse)


MUTANTS = (
    Mutant(
        name="ratelimit/read-then-written",
        requirement="ratelimit/parallel",
        says="The limiter reads a bucket, decides, and writes it back in steps of their own.",
        apply=_read_then_written,
    ),
    Mutant(
        name="ratelimit/two-counters",
        requirement="ratelimit/processes",
        says="There are two counters in memory, as two workers have them; a connection meets one of them.",
        apply=_two_counters,
        # From another address a user comes on another connection, and meets the other counter.
        also=("ratelimit/isolation",),
    ),
    Mutant(
        name="ratelimit/forwarded-for",
        requirement="ratelimit/forwarded-headers",
        says="The login's limit takes the client's address from X-Forwarded-For, whoever sent it.",
        apply=_forwarded_for,
    ),
    Mutant(
        name="ratelimit/head-uncounted",
        requirement="ratelimit/path-variants",
        says="HEAD is not counted, and it is answered after the quota of GET is used up.",
        apply=_head_uncounted,
    ),
    Mutant(
        name="ratelimit/slash-uncounted",
        requirement="ratelimit/path-variants",
        says="The router cuts a slash at the end off, the login's limit does not know the path with it.",
        apply=_slash_uncounted,
    ),
    Mutant(
        name="ratelimit/after-the-password",
        requirement="ratelimit/login-attempts",
        says="The login's limit is looked at when the password was wrong; the right one always gets in.",
        apply=_after_the_password,
    ),
    Mutant(
        name="ratelimit/token-is-the-key",
        requirement="ratelimit/fresh-credentials",
        says="The default limit is keyed by the text of the Authorization field, read by nobody.",
        apply=_token_is_the_key,
    ),
    Mutant(
        name="ratelimit/health-counted",
        requirement="ratelimit/coverage",
        says="The health check is limited like everything else.",
        apply=_health_counted,
        also=("http/undocumented-status",),
    ),
    Mutant(
        name="ratelimit/refused-afterwards",
        requirement="ratelimit/refused-does-nothing",
        says="A registration above the quota makes the account, and then answers 429.",
        apply=_refused_afterwards,
    ),
)
