"""Cache-aside with generations: a write makes every older entry unreachable, also one that is stored late.

A key is built from the current generation of its tag. A reader fetches the generation *before* it asks the database; a writer
replaces it *after* its commit. A slow reader that saw the old row stores it under the old generation, where nobody looks
any more: plain "delete the key" would let it come back and stay for a whole TTL.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import uuid4

from .clock import Clock
from .redis_link import RedisLink, RedisUnavailableError

log = logging.getLogger("upheld.reference.cache")


class Store(Protocol):
    """The few commands of Redis that the cache needs."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes, ttl: int) -> None: ...

    async def get_or_put(self, key: str, value: bytes, ttl: int) -> bytes:
        """The value under the key, after storing this one where there was none. Callers that race get the same one."""
        ...


class MemoryStore:
    """A store of this process, bounded: the oldest entry goes first."""

    def __init__(self, clock: Clock, capacity: int = 4096) -> None:
        self.clock = clock
        self.capacity = capacity
        self.entries: dict[str, tuple[bytes, int]] = {}

    async def get(self, key: str) -> bytes | None:
        entry = self.entries.get(key)
        if entry is None:
            return None
        if entry[1] <= self.clock.monotonic_us():
            del self.entries[key]
            return None
        return entry[0]

    async def put(self, key: str, value: bytes, ttl: int) -> None:
        self.entries.pop(key, None)
        while len(self.entries) >= self.capacity:
            del self.entries[next(iter(self.entries))]
        self.entries[key] = (value, self.clock.monotonic_us() + ttl * 1_000_000)

    async def get_or_put(self, key: str, value: bytes, ttl: int) -> bytes:
        current = await self.get(key)
        if current is None:
            await self.put(key, value, ttl)
        return current or value


class RedisStore:
    """The same in Redis, shared by all workers."""

    PREFIX = "upheld:cache:"

    def __init__(self, link: RedisLink) -> None:
        self.link = link

    async def get(self, key: str) -> bytes | None:
        value = await self.link.call(lambda: self.link.client.get(self.PREFIX + key))
        return value if value is None or isinstance(value, bytes) else str(value).encode()

    async def put(self, key: str, value: bytes, ttl: int) -> None:
        await self.link.call(lambda: self.link.client.set(self.PREFIX + key, value, ex=ttl))

    async def get_or_put(self, key: str, value: bytes, ttl: int) -> bytes:
        current = await self.get(key)
        if current is None:
            await self.link.call(lambda: self.link.client.set(self.PREFIX + key, value, ex=ttl, nx=True))
            current = await self.get(key)
        return current or value


class Cache:
    """What the services use. A seam: a mutant may replace it. Without its store it is only slower, never wrong."""

    def __init__(self, store: Store, ttl: int) -> None:
        self.store = store
        self.ttl = ttl
        self._unsaid: set[str] = set()
        """Tags that could not be invalidated while the store was away; told before anything is read from it again."""

    async def remember(self, tag: str, key: str, load: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """The cached bytes, or what ``load`` gives (None is not cached: an absence is cheap and must end at once)."""
        try:
            await self._say_unsaid()
            full_key = f"{tag}:{await self._generation(tag)}:{key}"
            hit = await self.store.get(full_key)
        except RedisUnavailableError:
            return await load()
        if hit is not None:
            return hit
        value = await load()
        if value is not None:
            try:
                await self.store.put(full_key, value, self.ttl)
            except RedisUnavailableError:
                return value
        return value

    async def invalidate(self, *tags: str) -> None:
        """Call it after the commit and before the answer, so that whoever saw the answer sees the write."""
        self._unsaid.update(tags)
        try:
            await self._say_unsaid()
        except RedisUnavailableError:
            log.warning("invalidation of %s is put off: the store is unavailable", sorted(self._unsaid))

    async def _say_unsaid(self) -> None:
        for tag in tuple(self._unsaid):
            await self.store.put(f"generation:{tag}", self._fresh(), self._generation_ttl)
            self._unsaid.discard(tag)

    async def _generation(self, tag: str) -> str:
        return (await self.store.get_or_put(f"generation:{tag}", self._fresh(), self._generation_ttl)).decode()

    @property
    def _generation_ttl(self) -> int:
        # A lost generation is replaced by a new random one, so that losing it can only cost a miss.
        return 10 * self.ttl

    @staticmethod
    def _fresh() -> bytes:
        return uuid4().hex.encode()
