"""What is done to the target itself: a restart, an outage of its store. Afterwards everything stands as it did before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from upheld.check import CannotProve, Deed, Outcome
from upheld.errors import TargetDied, TargetError
from upheld.targets.store import StoreByCommands

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.run.drive import Played
    from upheld.run.judge import Case, Judge
    from upheld.run.plan import Promise
    from upheld.targets import Running
    from upheld.targets.base import Store

START_LINE = 'target: {start: "COMMAND --port {port}"}'
STORE_LINE = 'target: {store: {stop: "COMMAND", start: "COMMAND"}}, in containers {store: {part: NAME}}'


class Controls:
    """What one target lets us do to it."""

    def __init__(self, running: Running, store: Store | None) -> None:
        self._running = running
        self._store = store

    def do(self, deed: Deed) -> None:
        """Blocks until it is done. Raises `CannotProve` when it is not offered or failed, `TargetDied` when it does not come back."""
        if deed == "restart":
            self._restart()
        elif self._store is None:
            raise CannotProve("nothing is known to stop and start the store of the limits' counters", STORE_LINE)
        else:
            try:
                self._store.down() if deed == "store-down" else self._store.up()
            except TargetError as error:
                raise CannotProve(str(error), STORE_LINE) from error

    def restore(self) -> None:
        """Bring back what was taken away."""
        if self._store is not None:
            self._store.up()

    def _restart(self) -> None:
        if "restart" not in self._running.can:
            raise CannotProve("somebody else has started the target, so that it can't be started again", START_LINE)
        try:
            self._running.restart()
        except TargetError as error:
            raise TargetDied(f"the target did not come back when it was started again: {error}") from error


def store_of(contract: Contract) -> StoreByCommands | None:
    """The store whose commands upheld.yaml states. A part of a target in containers is the running target's own."""
    target, base = contract.policy.target, contract.folder
    if target.store is None or target.store.stop is None or target.store.start is None:
        return None
    return StoreByCommands(target.store.stop, target.store.start, base / target.cwd if base and target.cwd else base)


async def play_alone(
    promises: Iterable[Promise],
    play: Callable[[Promise], Awaitable[Played]],
    judge: Judge,
    controls: Iterable[Controls],
) -> list[Case]:
    """Play and replay one after the other."""

    async def replay(promise: Promise) -> Outcome:
        return (await play(promise)).outcome

    cases = []
    try:
        for promise in promises:
            played = await play(promise)
            case = await judge.played(promise, played.outcome, played.seconds, replay)
            case.exchanges = played.exchanges
            cases.append(case)
    finally:
        for each in controls:
            await asyncio.to_thread(each.restore)
    return cases
