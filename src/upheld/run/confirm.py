"""Shows again what observers saw, before it is told as a breach."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from upheld.check import CannotProve, Finding
from upheld.exchange import Exchange
from upheld.run.fuzz.renew import Renewer
from upheld.run.reach import together
from upheld.run.watch import Sighting, Tally, Watch, origin_of

if TYPE_CHECKING:
    from upheld.exchange import Request, Response
    from upheld.run.judge import Confirmed
    from upheld.run.plan import Promise

MOST = 10
"""Origins of one observer on one subject that are shown again."""


class Confirmation:
    """``play`` plays a dialogue again and gives its exchanges; ``resend`` sends one request alone."""

    def __init__(
        self,
        watch: Watch,
        dialogues: dict[str, Promise],
        play: Callable[[Promise], Awaitable[list[Exchange]]],
        resend: Callable[[Request], Awaitable[Response]],
    ) -> None:
        self.watch = watch
        self.dialogues = dialogues
        """Source of a playing → what was played."""
        self._checks = {check.id: check for check in watch.observers}
        self._play = play
        self._resend = resend
        self._again: dict[str, asyncio.Future[list[Exchange]]] = {}
        self._renewer = Renewer(watch.contract, f"r{secrets.token_hex(4)}")

    async def all(self) -> Confirmed:
        """For (check, subject, origin): whether it was seen again."""
        confirmed: Confirmed = {}

        async def one(key: tuple[str, str], origin: str, sighting: Sighting, tally: Tally) -> None:
            confirmed[(*key, origin)] = await self._stands(key[0], origin, sighting, tally)

        await together(
            one(key, origin, sighting, tally)
            for key, tally in list(self.watch.tallies.items())
            for origin, sighting in list(tally.sightings.items())[:MOST]
        )
        return confirmed

    async def _stands(self, check: str, origin: str, sighting: Sighting, tally: Tally) -> bool:
        dialogue = self.dialogues.get(sighting.exchange.source)
        if len(sighting.sources) > 1:
            # Seen in several places: mostly it is so. Where it mostly is not, it has to be seen once more, as whatever
            # was seen in one place only.
            if sighting.count >= tally.kept or self._shows(check, origin, await self._alone(sighting)):
                return True
            if dialogue is None:
                return False
        if dialogue is None:
            return self._shows(check, origin, await self._alone(sighting))
        return self._shows(check, origin, await self._played(sighting.exchange.source, dialogue))

    def _shows(self, check: str, origin: str, exchanges: list[Exchange]) -> bool:
        outcomes = (self.watch.ask(self._checks[check], exchange) for exchange in exchanges)
        return any(isinstance(outcome, Finding) and origin_of(outcome) == origin for outcome in outcomes)

    async def _played(self, source: str, dialogue: Promise) -> list[Exchange]:
        if source not in self._again:
            self._again[source] = asyncio.ensure_future(self._play(dialogue))
        return await self._again[source]

    async def _alone(self, sighting: Sighting) -> list[Exchange]:
        old = sighting.exchange
        try:
            response = await self._resend(self._renewer.renewed(old.operation, old.request))
        except CannotProve:
            return []
        return [Exchange(old.request, response, old.phase, "replay", old.intent, old.broken)]
