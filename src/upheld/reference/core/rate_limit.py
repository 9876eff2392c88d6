"""Which rule a request falls under, whose bucket it drinks from, and what the answer says about it.

The vocabulary is SlowAPI's (`Limit`: quota, key function, scope, methods; `RateLimitExceeded`); its middleware is
not used, because it asks its storage synchronously and after routing. See docs/decisions/token-bucket.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from limits import RateLimitItem, parse
from slowapi.errors import RateLimitExceeded
from slowapi.util import get_remote_address
from slowapi.wrappers import Limit
from starlette.requests import Request

from .redis_link import RedisLink, RedisUnavailableError
from .settings import RAISED_FACTOR, Settings
from .token_bucket import Reading, TokenBucket

KeyFunction = Callable[[Request], str]


def path_of(request: Request) -> str:
    """The path that is routed. Not ``request.url.path``: that is parsed from the Host field as well, and
    ``Host: x/health?`` would make every request one to /health, which is exempt."""
    path: str = request.scope["path"]
    return path


@dataclass(frozen=True)
class Rule:
    """One row of the table in the contract: an operation (or all of them), a quota, and what keys it."""

    name: str
    limit: Limit
    path: str | None = None
    """None matches every path."""

    @property
    def quota(self) -> RateLimitItem:
        return self.limit.limit

    def matches(self, request: Request) -> bool:
        if self.path is None:
            return True
        return path_of(request) == self.path and request.method.lower() in (self.limit.methods or ())


@dataclass(frozen=True)
class Decision:
    """What the limiter says about one request."""

    rule: Rule
    reading: Reading

    @property
    def retry_after(self) -> int:
        """Seconds until the request would be admitted, rounded up: never too early, never 0."""
        return max(1, -(-self.reading.next_token_us // 1_000_000))

    def headers(self) -> dict[str, str]:
        """draft-ietf-httpapi-ratelimit-headers-10 §3 and §4. ``t`` is the time to the next token, so that Retry-After is
        never earlier than it (§6)."""
        window = self.rule.quota.get_expiry()
        fields = {
            "RateLimit-Policy": f'"{self.rule.name}";q={self.rule.quota.amount};w={window}',
            "RateLimit": f'"{self.rule.name}";r={self.reading.remaining};t={min(self.retry_after, window)}',
        }
        if not self.reading.admitted:
            fields["Retry-After"] = str(self.retry_after)
        return fields


class QuotaExceededError(RateLimitExceeded):
    """The refusal, with the decision that its answer is made of."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.rule.limit)
        self.decision = decision


def by_address(request: Request) -> str:
    """One partition an IPv4 address or IPv6 /64 (one customer's network), taken from the socket and no header."""
    text = get_remote_address(request)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return f"ip:{text}"
    if address.version == 6:
        return f"ip:{ipaddress.ip_network((address, 64), strict=False).network_address}"
    return f"ip:{address}"


def by_user_or_address(request: Request) -> str:
    """The subject of a *verified* credential, else the address: a made-up token must not be a partition of its own."""
    subject = getattr(request.state, "subject", None)
    return f"user:{subject}" if subject else by_address(request)


def rules(settings: Settings, prefix: str) -> tuple[Rule, ...]:
    """The table of the contract, first match wins."""

    def rule(name: str, quota: str, key: KeyFunction, path: str | None = None) -> Rule:
        item = parse(quota)
        if settings.profile == "raised":
            item = type(item)(item.amount * RAISED_FACTOR, item.multiples)
        methods = None if path is None else ["post"]
        return Rule(name, Limit(item, key, name, False, methods, None, None, 1, True), path)

    return (
        rule("login", settings.login_quota, by_address, f"{prefix}/auth/login"),
        rule("register", settings.register_quota, by_address, f"{prefix}/auth/register"),
        rule("refresh", settings.refresh_quota, by_address, f"{prefix}/auth/refresh"),
        rule("token", settings.oauth_token_quota, by_address, f"{prefix}/oauth/token"),
        rule("default", settings.default_quota, by_user_or_address),
    )


class Limiter:
    """Counts a request and refuses it when its bucket is empty. A seam: a mutant may replace it or its parts."""

    def __init__(self, strategy: TokenBucket, table: tuple[Rule, ...], exempt: frozenset[str], link: RedisLink | None):
        self.strategy = strategy
        self.table = table
        self.exempt = exempt
        self.link = link

    def rule_for(self, request: Request) -> Rule | None:
        if path_of(request) in self.exempt:
            return None
        return next((rule for rule in self.table if rule.matches(request)), None)

    async def check(self, request: Request) -> Decision | None:
        """The decision for an admitted request; None where no rule applies or the store is down (it fails open).

        :raises QuotaExceededError: the bucket is empty.
        """
        rule = self.rule_for(request)
        if rule is None:
            return None
        key = rule.limit.key_func(request)
        try:
            reading = await self._take(rule, key)
        except RedisUnavailableError:
            return None
        decision = Decision(rule, reading)
        if not reading.admitted:
            raise QuotaExceededError(decision)
        return decision

    async def _take(self, rule: Rule, key: str) -> Reading:
        if self.link is None:
            return await self.strategy.take(rule.quota, rule.name, key)
        return await self.link.call(lambda: self.strategy.take(rule.quota, rule.name, key))
