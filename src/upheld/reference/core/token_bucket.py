"""A token bucket for `limits`: one strategy, and two storages that can take a token atomically.

`limits` ships fixed, moving and sliding windows. Its documented extension points are used here: a subclass of
`limits.aio.strategies.RateLimiter`, and storages that subclass its own. Levels are whole numbers, so that nothing is
lost to rounding: a bucket of N tokens a window of W microseconds holds up to N·W units, a request costs W, and
each microsecond returns N.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol, cast

import redis.asyncio as redis
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import RateLimiter
from limits.storage import StorageTypes
from limits.util import WindowStats

from .clock import Clock


@dataclass(frozen=True)
class Reading:
    """The state of one bucket after a request."""

    admitted: bool
    remaining: int
    """Whole tokens left."""
    next_token_us: int
    """Microseconds until there is one token more; for a refused request, until it would be admitted."""


def reading(level: int, admitted: bool, quota: int, window_us: int, cost: int) -> Reading:
    """What a level means. ``level`` in units, see the module."""
    tokens = level // window_us
    wanted = (tokens + 1) * window_us if admitted else cost * window_us
    return Reading(admitted, tokens, max(0, -((level - wanted) // quota)))


class TokenBucketStorage(Protocol):
    """What a storage has to offer, next to what `limits` asks of it."""

    async def take_tokens(self, key: str, quota: int, window_us: int, cost: int) -> Reading:
        """Refill, then take ``cost`` tokens if there are as many; one atomic step. Cost 0 only looks."""
        ...


class MemoryTokenBuckets(MemoryStorage):
    """Buckets of this process. Atomic because nothing is awaited between reading and writing."""

    STORAGE_SCHEME = ["async+memory+token-bucket"]  # noqa: RUF012 - the base class reads it as a plain list

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.buckets: dict[str, tuple[int, int, int]] = {}
        """key → (level, time of that level, time at which it is full again)"""
        self._sweep_at = 1024

    async def take_tokens(self, key: str, quota: int, window_us: int, cost: int) -> Reading:
        now, full = self.clock.monotonic_us(), quota * window_us
        level, since, _ = self.buckets.get(key, (full, now, now))
        level = min(full, level + max(0, now - since) * quota)
        admitted = level >= cost * window_us
        if admitted:
            level -= cost * window_us
        self.buckets[key] = (level, now, now + (full - level) // quota)
        if len(self.buckets) > self._sweep_at:
            self._sweep(now)
        return reading(level, admitted, quota, window_us, cost)

    def _sweep(self, now: int) -> None:
        """Drop the buckets that are full again: they say nothing that a new one would not."""
        self.buckets = {key: bucket for key, bucket in self.buckets.items() if bucket[2] > now}
        self._sweep_at = max(1024, 2 * len(self.buckets))


class RedisTokenBuckets(RedisStorage):
    """Buckets shared by all workers. One Lua script, run by Redis as a whole, on Redis' own clock."""

    STORAGE_SCHEME = ["async+redis+token-bucket"]  # noqa: RUF012 - the base class reads it as a plain list

    SCRIPT = """
    local quota, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
    local time = redis.call('TIME')
    local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
    local full = quota * window
    local stored = redis.call('HMGET', KEYS[1], 'level', 'since')
    local level, since = tonumber(stored[1]) or full, tonumber(stored[2]) or now
    level = math.min(full, level + math.max(0, now - since) * quota)
    local admitted = 0
    if level >= cost * window then
      level = level - cost * window
      admitted = 1
    end
    redis.call('HSET', KEYS[1], 'level', string.format('%.0f', level), 'since', string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[1], math.ceil((full - level) / quota / 1000) + 1000)
    return {admitted, string.format('%.0f', level)}
    """

    def __init__(self, uri: str, connection_pool: redis.ConnectionPool) -> None:
        options: dict[str, Any] = {"connection_pool": connection_pool}  # typed as scalars there
        super().__init__(f"async+{uri}", implementation="redispy", **options)
        self._script = redis.Redis(connection_pool=connection_pool).register_script(self.SCRIPT)

    async def take_tokens(self, key: str, quota: int, window_us: int, cost: int) -> Reading:
        admitted, level = await self._script(keys=[f"upheld:limit:{key}"], args=[quota, window_us, cost])
        return reading(int(level), bool(admitted), quota, window_us, cost)


class TokenBucket(RateLimiter):
    """The strategy, beside `limits`' fixed window, moving window and sliding window counter."""

    def __init__(self, storage: StorageTypes) -> None:
        if not hasattr(storage, "take_tokens"):
            raise NotImplementedError(f"{type(storage).__name__} cannot take tokens")
        super().__init__(storage)

    async def take(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> Reading:
        """Take tokens and say what is left: one round trip for the decision and for its header fields."""
        storage = cast(TokenBucketStorage, self.storage)
        return await storage.take_tokens(item.key_for(*identifiers), item.amount, item.get_expiry() * 1_000_000, cost)

    async def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return (await self.take(item, *identifiers, cost=cost)).admitted

    async def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return (await self.take(item, *identifiers, cost=0)).remaining >= cost

    async def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        state = await self.take(item, *identifiers, cost=0)
        return WindowStats(time.time() + state.next_token_us / 1e6, state.remaining)
