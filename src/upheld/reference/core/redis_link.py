"""One connection pool to Redis for limiter and cache, and a breaker in front of it.

Redis may go away: limits then fail open and reads go to the database (both are declared). What must not happen is that
every request waits for a timeout, so after a failure nobody asks Redis again for ``COOL_OFF_US``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .clock import Clock

log = logging.getLogger("upheld.reference.redis")

COOL_OFF_US = 500_000

T = TypeVar("T")


class RedisUnavailableError(Exception):
    """Redis did not answer in time, or a moment ago it did not."""


class RedisLink:
    """Entered and left with the application; ``call`` is the only way through."""

    def __init__(self, url: str, timeout: float, clock: Clock) -> None:
        self.timeout = timeout
        self.clock = clock
        self.url = url
        self.pool: redis.ConnectionPool = redis.ConnectionPool.from_url(
            url,
            decode_responses=False,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            max_connections=64,
            retry=Retry(NoBackoff(), 1),  # one more try: a pooled connection may have died with the last Redis
        )
        self.client = redis.Redis(connection_pool=self.pool)
        self._closed_until_us = 0
        self._available = True

    async def call(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run one operation, or raise RedisUnavailableError within about ``timeout`` seconds."""
        if self.clock.monotonic_us() < self._closed_until_us:
            raise RedisUnavailableError("cooling off")
        try:
            async with asyncio.timeout(self.timeout * 2):
                answer = await operation()
        except (RedisError, OSError, TimeoutError) as error:
            if self._available:
                log.warning("Redis is unavailable (%s): limits are not enforced, nothing is cached", error)
            self._available = False
            self._closed_until_us = self.clock.monotonic_us() + COOL_OFF_US
            raise RedisUnavailableError(type(error).__name__) from error
        if not self._available:
            log.warning("Redis is back")
            self._available = True
        return answer

    async def aclose(self) -> None:
        await self.client.aclose()
        await self.pool.disconnect()
