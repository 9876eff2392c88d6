"""Limiters in memory: what each known algorithm would do with a series of requests.

Each is asked how many requests more it would admit (`room`), and told which were admitted (`note`). Times are seconds of one clock,
never going back. The names are those of `rate_limit.algorithm`, the sliding log being ``moving-window`` and the weighted counter of
two windows ``sliding-window``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol


class Limiter(Protocol):
    def room(self, at: float) -> float:
        """Requests that it would admit at this moment; a request needs 1."""
        ...

    def note(self, at: float, admitted: bool) -> None:
        """A request was admitted, or refused."""
        ...

    def wait(self, at: float) -> float:
        """Seconds until it admits a request; 0 when it does now."""
        ...


Make = Callable[[int, float, float], Limiter]
"""(quota, window, a moment at which a window of the clock begins) → a limiter that nobody has asked."""


class TokenBucket:
    """Holds ``quota`` tokens, and earns that many evenly in each window."""

    def __init__(self, quota: int, window: float, begins: float = 0.0) -> None:
        self.quota, self.rate = quota, quota / window
        self._level, self._since = float(quota), begins

    def room(self, at: float) -> float:
        return min(self.quota, self._level + (at - self._since) * self.rate)

    def note(self, at: float, admitted: bool) -> None:
        self._level, self._since = self.room(at) - admitted, at

    def wait(self, at: float) -> float:
        return max(0.0, 1 - self.room(at)) / self.rate


class FixedWindow:
    """A window begins with the first request after the one before."""

    def __init__(self, quota: int, window: float, begins: float = 0.0) -> None:
        self.quota, self.window = quota, window
        self._start, self._count = -math.inf, 0

    def room(self, at: float) -> float:
        return self.quota if at >= self._start + self.window else self.quota - self._count

    def note(self, at: float, admitted: bool) -> None:
        if at >= self._start + self.window:
            self._start, self._count = at, 0
        self._count += admitted

    def wait(self, at: float) -> float:
        return 0.0 if self.room(at) >= 1 else self._start + self.window - at


class AlignedWindow:
    """Windows follow one another on the server's clock, whoever asks. ``begins`` is the start of one of them."""

    def __init__(self, quota: int, window: float, begins: float = 0.0) -> None:
        self.quota, self.window, self.begins = quota, window, begins
        self._number, self._count = 0, 0

    def _of(self, at: float) -> int:
        return math.floor((at - self.begins) / self.window)

    def room(self, at: float) -> float:
        return self.quota - (self._count if self._of(at) == self._number else 0)

    def note(self, at: float, admitted: bool) -> None:
        if self._of(at) != self._number:
            self._number, self._count = self._of(at), 0
        self._count += admitted

    def wait(self, at: float) -> float:
        return 0.0 if self.room(at) >= 1 else self.begins + (self._of(at) + 1) * self.window - at


class MovingWindow:
    """A log: as many as were not admitted in the window that ends now."""

    def __init__(self, quota: int, window: float, begins: float = 0.0) -> None:
        self.quota, self.window = quota, window
        self._log: list[float] = []

    def room(self, at: float) -> float:
        return self.quota - sum(1 for entry in self._log if entry > at - self.window)

    def note(self, at: float, admitted: bool) -> None:
        if admitted:
            self._log.append(at)

    def wait(self, at: float) -> float:
        return 0.0 if self.room(at) >= 1 else self._log[-self.quota] + self.window - at


class StrictMovingWindow(MovingWindow):
    """A log that refused requests are entered into as well."""

    def note(self, at: float, admitted: bool) -> None:
        self._log.append(at)


class SlidingCounter:
    """Two windows are counted; the one before weighs as much as of it lies in the window that ends now."""

    def __init__(self, quota: int, window: float, begins: float = 0.0) -> None:
        self.quota, self.window, self.begins = quota, window, begins
        self._number, self._before, self._count = 0, 0, 0

    def _at(self, at: float) -> tuple[int, int, int]:
        number = math.floor((at - self.begins) / self.window)
        if number == self._number:
            return number, self._before, self._count
        return number, self._count if number == self._number + 1 else 0, 0

    def room(self, at: float) -> float:
        number, before, count = self._at(at)
        gone = (at - self.begins) / self.window - number
        return self.quota - before * (1 - gone) - count

    def note(self, at: float, admitted: bool) -> None:
        self._number, self._before, self._count = self._at(at)
        self._count += admitted

    def wait(self, at: float) -> float:
        missing = 1 - self.room(at)
        if missing <= 0:
            return 0.0
        number, before, _ = self._at(at)
        ends = self.begins + (number + 1) * self.window - at
        return min(ends, missing * self.window / before) if before else ends
