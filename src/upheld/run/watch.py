"""Runs the observers over every exchange of every phase and keeps what they saw, by promise and by origin."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from upheld.check import Check, Finding, Kept, Outcome, Unproven
from upheld.exchange import Exchange

if TYPE_CHECKING:
    from upheld.contract import Contract

SERVICE_LABEL = "service"

# An error's number, a time, a token: what differs from one answer to the next although it is the same answer.
_PASSING = re.compile(r"[\w-]*\d[\w-]*|\b(?=(?:[A-Za-z]*?[a-z][A-Z]){2})[A-Za-z]{12,}\b")


def origin_of(finding: Finding) -> str:
    """By what two findings of one check and subject are the same: their origin, else what was seen without passing details."""
    if finding.origin:
        return finding.origin
    status, text = re.fullmatch(r"((?:\d{3}\b)?)(.*)", finding.actual, re.DOTALL).groups()  # type: ignore[union-attr]
    return status + _PASSING.sub("#", text)


@dataclass
class Sighting:
    """One finding, by its origin: the first exchange that showed it, how often, and from which sources."""

    finding: Finding
    exchange: Exchange
    count: int = 0
    sources: set[str] = field(default_factory=set)
    operations: set[str] = field(default_factory=set)


@dataclass
class Tally:
    """What one observer concluded about one subject."""

    kept: int = 0
    detail: str = ""
    unproven: Unproven | None = None
    sightings: dict[str, Sighting] = field(default_factory=dict)

    @property
    def judged(self) -> int:
        return self.kept + sum(sighting.count for sighting in self.sightings.values())


class Watch:
    """Observers and coverage of one run."""

    def __init__(self, contract: Contract, checks: Iterable[Check]) -> None:
        self.contract = contract
        self.observers = [check for check in checks if check.observe is not None]
        self.tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
        self.coverage: dict[str, Counter[str]] = {operation.label: Counter() for operation in contract.operations}
        self.broken: dict[str, str] = {}
        """Observer id → what it raised: a defect of ours."""

    def feed(self, exchange: Exchange) -> None:
        """Let every observer see the exchange."""
        label = exchange.operation
        if label in self.coverage:
            self.coverage[label][str(exchange.response.status)] += 1
        for check in self.observers:
            outcome = self.ask(check, exchange)
            if outcome is not None:
                self._record(check, exchange, outcome)

    def ask(self, check: Check, exchange: Exchange) -> Outcome | None:
        """What one observer says; None also when it raised, which is kept in `broken`."""
        assert check.observe is not None
        try:
            return check.observe(exchange, self.contract)
        except Exception as error:
            self.broken.setdefault(check.id, f"{type(error).__name__}: {error}")
            return None

    def _record(self, check: Check, exchange: Exchange, outcome: Outcome) -> None:
        by_operation = check.requirement.scope == "operation" and exchange.operation in self.coverage
        tally = self.tallies[check.id, (exchange.operation or SERVICE_LABEL) if by_operation else SERVICE_LABEL]
        match outcome:
            case Kept(detail):
                tally.kept += 1
                tally.detail = tally.detail or detail
            case Finding():
                origin = origin_of(outcome)
                sighting = tally.sightings.setdefault(origin, Sighting(outcome, exchange))
                sighting.count += 1
                sighting.sources.add(exchange.source)
                sighting.operations.add(exchange.operation or f"{exchange.request.method} {exchange.request.path}")
            case Unproven():
                tally.unproven = tally.unproven or outcome
            case _:
                pass
