"""How much a run may send and how long it may take. Hard: past it nothing more is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from upheld.check import CannotProve

ADD = "checks: {requests: 20000, seconds: 1800}"


class BudgetSpent(CannotProve):
    """The run's requests or seconds are used up."""


class Budget:
    """Counts requests and seconds from its making.

    ``requests`` and ``seconds`` are the limits; ``sent`` and ``elapsed`` what has been used.
    """

    def __init__(self, requests: int, seconds: float) -> None:
        self.requests = requests
        self.seconds = seconds
        self.sent = 0
        self.refused = ""
        """Why something was refused; empty while everything fitted."""
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds that are left, never negative."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def spent(self) -> str:
        """Why nothing more may be sent; empty while something may."""
        if self.sent >= self.requests:
            return f"the budget of {self.requests} requests is spent"
        if self.elapsed >= self.seconds:
            return f"the budget of {self.seconds:g} s is spent"
        return ""

    def take(self, count: int = 1) -> None:
        """Account for requests about to be sent. Raises `BudgetSpent`."""
        if why := self.spent:
            self.refused = self.refused or why
            raise BudgetSpent(why, ADD)
        self.sent += count

    def allow(self, seconds: float) -> None:
        """Refuse a wait that would end after the run. Raises `BudgetSpent`."""
        if seconds > self.left:
            raise BudgetSpent(f"a wait of {seconds:.0f} s does not fit into the {self.seconds:g} s of the run", ADD)

    @asynccontextmanager
    async def within(self) -> AsyncIterator[None]:
        """Break off what is going on when the seconds are over. Raises `BudgetSpent`."""
        clock = asyncio.timeout(self.left)
        try:
            async with clock:
                yield
        except TimeoutError:
            if not clock.expired():
                raise
            self.refused = self.refused or f"the budget of {self.seconds:g} s is spent"
            raise BudgetSpent(self.refused, ADD) from None
