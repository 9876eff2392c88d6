"""Time as a seam, so that a test or a mutant can move it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Wall clock for what is stored and signed; monotonic clock for intervals."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000
