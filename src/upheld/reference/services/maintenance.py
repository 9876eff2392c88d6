"""The maintenance switch: while it is on, everything but itself, login and /health answers 503."""

from __future__ import annotations

from upheld.reference.core.cache import Store
from upheld.reference.core.clock import Clock
from upheld.reference.core.problems import Problem
from upheld.reference.core.redis_link import RedisUnavailableError

_KEY = "maintenance"
_WEEK = 7 * 24 * 3600
_LOOK_AGAIN_US = 1_000_000


class Maintenance:
    """Kept in the cache's store, so that all workers see it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._known = False
        self._known_until_us = 0

    async def enabled(self) -> bool:
        """What the store said within the last second."""
        if self.clock.monotonic_us() >= self._known_until_us:
            try:
                self._remember(await self.store.get(_KEY) == b"1")
            except RedisUnavailableError:
                self._remember(self._known)
        return self._known

    async def switch(self, enabled: bool) -> None:
        try:
            await self.store.put(_KEY, b"1" if enabled else b"0", _WEEK)
        except RedisUnavailableError:
            raise Problem.of_status(503, "The other workers cannot be told.", headers={"Retry-After": "1"}) from None
        self._remember(enabled)

    def _remember(self, enabled: bool) -> None:
        self._known = enabled
        self._known_until_us = self.clock.monotonic_us() + _LOOK_AGAIN_US
