"""Fuzzing as one phase of a run: who it is signed in as, how much it may take, and what is kept when it is cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upheld.check import CannotProve
from upheld.errors import HarnessError
from upheld.run.fuzz import SPENT, FuzzRun, fuzz
from upheld.verdict import Listener

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.contract.policy import Fuzz
    from upheld.exchange import Exchange, Session
    from upheld.run.budget import Budget
    from upheld.run.drive import Driver

SHARE = 0.9
"""Of what is left of the budget: what is found has to be repeated."""
ENDED = "fuzzing was ended to keep within the budget of requests"
STARTS_WITHIN, STOPS_WITHIN = 3.0, 3.0
SECONDS, QUICK_SECONDS = 60.0, 3.0
PACED_SECONDS, PACED_QUICK_SECONDS = 300.0, 30.0
"""The same where quotas have to be kept, and a case costs about a second."""
QUICK_PHASES = ("coverage",)
"""It tries every constraint, from both sides, and the document's examples are among what it takes for valid."""


@dataclass(frozen=True, slots=True)
class Share:
    """What of a run's budget fuzzing may use."""

    seconds: float
    requests: int
    max_examples: int
    phases: tuple[str, ...]


def share(policy: Fuzz, budget: Budget, *, quick: bool, paced: bool = False) -> Share | None:
    """None when the budget leaves no room for it."""
    thorough, brief = (PACED_SECONDS, PACED_QUICK_SECONDS) if paced else (SECONDS, QUICK_SECONDS)
    seconds = min(budget.left * SHARE - STOPS_WITHIN, policy.seconds or (brief if quick else thorough))
    requests = int(budget.requests * SHARE) - budget.sent
    if seconds < STARTS_WITHIN or requests <= 0:
        return None
    if quick:
        return Share(seconds, requests, 5, QUICK_PHASES)
    return Share(seconds, requests, policy.max_examples, policy.phases)


class FuzzPhase:
    """One phase. ``outcome`` is there as soon as the engine has told anything, also when `run` raises."""

    def __init__(
        self,
        contract: Contract,
        driver: Driver,
        url: str,
        note: Callable[[str], None],
        listener: Listener,
        only: Collection[str] | None = None,
    ) -> None:
        self.contract = contract
        self.driver = driver
        self.url = url
        self.note = note
        self.listener = listener
        self.only = only
        """Labels of the operations that are fuzzed; None for all."""
        self.outcome: FuzzRun | None = None
        self._task: asyncio.Future[FuzzRun] | None = None

    async def run(self, *, quick: bool, seed: int, token: str) -> None:
        """Until it ends, the budget does, or Ctrl-C. Raises `HarnessError` when the engine cannot be started."""
        people, budget = self.driver.people, self.driver.budget
        granted = share(self.contract.policy.fuzz, budget, quick=quick, paced=self.driver.pace is not None)
        if granted is None:
            budget.refused = budget.refused or "the budget left no room for fuzzing"
            return
        user = await self._throw_away(people.default_role)
        others = {role for operation in self.contract.operations for role in self.contract.roles(operation) or ()}
        admin = None
        for role in sorted(others - {people.default_role}):
            admin = admin or await self._throw_away(role)
        if user is None and admin is None and any(operation.secured for operation in self.contract.operations):
            self.note("fuzzing had no identity: secured operations were only fuzzed without credentials")
        fuzzing = fuzz(
            self.contract,
            self.contract.document,
            self.url,
            user=user,
            admin=admin,
            addresses=None if self.driver.addresses.available else (),
            resend=self.driver.resend,
            on_exchange=self._take,
            seconds=granted.seconds,
            max_examples=granted.max_examples,
            phases=granted.phases,
            seed=seed,
            token=token,
            listener=self.listener,
            requests=granted.requests,
            pace=self.driver.pace,
            only=self.only,
        )
        task = self._task = asyncio.ensure_future(fuzzing)
        timer = asyncio.get_running_loop().call_later(budget.left, self._enough)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        except HarnessError:
            if not budget.refused:  # else it was ended before it had begun
                raise
        finally:
            timer.cancel()
            if task.done() and not task.cancelled() and task.exception() is None:
                self.outcome = task.result()
                if self.outcome.stopped == SPENT:
                    budget.refused = budget.refused or ENDED

    async def _throw_away(self, role: str) -> Session | None:
        """An identity for fuzzing, apart from those that judge, because fuzzing may ruin it."""
        try:
            return await self.driver.people.sign_in(role, fresh=True)
        except CannotProve as cannot:
            self.note(f"no throw-away {role} for fuzzing: {cannot}")
            return None

    def _take(self, exchange: Exchange) -> None:
        budget = self.driver.budget
        budget.sent += 1
        if (pace := self.driver.pace) is not None:
            # Where addresses can be chosen, the engine has its own.
            pace.add(pace.of(exchange.request, "of the engine" if self.driver.addresses.available else None))
        self.driver.watch.feed(exchange)
        if budget.sent >= budget.requests * SHARE:
            self._enough()

    def _enough(self) -> None:
        budget = self.driver.budget
        if self._task is not None and not budget.refused:
            budget.refused = budget.spent or ENDED
            self._task.cancel()
