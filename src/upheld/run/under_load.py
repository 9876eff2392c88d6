"""What breaks only under load: observers judge the answers that the generators kept, and those of the quiet service before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from upheld.check import Check, Finding, Subject, Unproven
from upheld.exchange import Exchange
from upheld.load.heard import under_load
from upheld.run.judge import Case
from upheld.run.plan import Promise
from upheld.run.watch import Sighting, Tally, Watch

if TYPE_CHECKING:
    from upheld.contract import Contract

BACKED_OFF = (429, 503)
"""Reasons to come back later, which a load does not; they are counted, and no answers to judge."""
ENOUGH = 2
"""Answers that have to show it. Under load nothing can be played again under the same circumstances."""


class UnderLoad:
    """Hears the exchanges of one load run, and tells what the quiet service did not show. ``before`` has seen the run until then."""

    def __init__(self, contract: Contract, checks: Iterable[Check], before: Watch) -> None:
        observers = [check for check in checks if check.observe is not None]
        self.contract = contract
        self._before = before
        self._quiet = Watch(contract, observers)
        self._pressed = Watch(contract, observers)

    def hear(self, exchange: Exchange) -> None:
        """One exchange, of the load or of the trials before and after it."""
        if exchange.response.status and exchange.response.status not in BACKED_OFF:
            (self._pressed if under_load(exchange) else self._quiet).feed(exchange)

    def count_into(self, coverage: Mapping[str, Counter[str]]) -> None:
        """Operation → status → how many were heard."""
        for watch in (self._quiet, self._pressed):
            for label, counts in watch.coverage.items():
                coverage[label].update(counts)

    @property
    def broken(self) -> dict[str, str]:
        """Observer → what it raised: a defect of ours."""
        return {**self._quiet.broken, **self._pressed.broken}

    @property
    def note(self) -> str:
        """That some findings are not the load's, where there are any; empty otherwise."""
        shown = {
            id_ for (id_, label), tally in self._pressed.tallies.items() for origin in tally.sightings
            if origin in self._calm(id_, label) and not self._was_told(id_, label)
        }  # fmt: skip
        if not shown:
            return ""
        return (
            f"{', '.join(sorted(shown))}: what the load met there the quiet service shows too; `upheld check` tells it"
        )

    def into(self, cases: Sequence[Case]) -> list[Case]:
        """The cases, and what showed only under load: in the case of its promise where there is one."""
        told = {case.promise.key: case for case in cases}
        checks = {check.id: check for check in self._pressed.observers}
        for (id_, label), tally in self._pressed.tallies.items():
            calm = self._calm(id_, label)
            fresh = [seen for origin, seen in tally.sightings.items() if origin not in calm]
            if not fresh:
                continue
            operation = self.contract.operation(label)
            key = (id_, label)
            case = told.setdefault(key, Case(Promise(checks[id_], Subject(label, operation=operation))))
            _tell(case, tally, sorted(fresh, key=lambda seen: -seen.count))
        return list(told.values())

    def _calm(self, id_: str, label: str) -> set[str]:
        """Origins that were seen without a load."""
        watches = (self._quiet, self._before)
        return {origin for watch in watches if (tally := watch.tallies.get((id_, label))) for origin in tally.sightings}

    def _was_told(self, id_: str, label: str) -> bool:
        tally = self._before.tallies.get((id_, label))
        return tally is not None and bool(tally.sightings)


def _tell(case: Case, tally: Tally, fresh: Sequence[Sighting]) -> None:
    case.judged += tally.judged
    findings = [_finding(seen, tally) for seen in fresh if seen.count >= ENOUGH]
    if isinstance(case.outcome, Finding):
        # It is broken without a load already; the command that shows that stands.
        case.also += findings
    elif findings:
        case.outcome, *case.also = findings
        case.seen, case.pressed = fresh[0].count, True
    else:
        actual = fresh[0].finding.actual
        case.outcome = Unproven(
            f"seen once in {tally.judged} answers that were judged under load ({actual}), and not before"
        )
        case.flaky = True


def _finding(seen: Sighting, tally: Tally) -> Finding:
    shown = seen.finding
    where = f"only under load, in {seen.count} of {tally.judged} answers that were judged"
    return replace(shown, actual=f"{shown.actual} ({where})", request=shown.request or seen.exchange.request)
