"""Breaches that are known: which waiver stands for a promise, which has ended, which waives nothing any more."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from upheld.check import Check, Subject
from upheld.run.plan import Promise
from upheld.verdict import Result, Verdict

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.contract.policy import Waiver


def _requirement(waiver: Waiver) -> str:
    return waiver.id.partition("[")[0]


class Waivers:
    """Those of upheld.yaml and of the baseline."""

    def __init__(self, contract: Contract, today: datetime.date) -> None:
        self.contract = contract
        self.today = today

    def standing(self, check: Check, subject: Subject) -> Waiver | None:
        """The one that lets a breach of this promise pass today."""
        return next((waiver for waiver in self._of(check, subject) if waiver.until >= self.today), None)

    def ended(self, check: Check, subject: Subject) -> Waiver | None:
        """The one that did so until a day that has passed, where no other stands."""
        matching = list(self._of(check, subject))
        return None if any(waiver.until >= self.today for waiver in matching) else next(iter(matching), None)

    def idle(self, judged: Iterable[tuple[Promise, Result]], *, fuzzed: bool) -> Iterator[tuple[str, str]]:
        """(id, a sentence) of each that waives nothing any more: what it names is kept, or has left the contract.

        Where generated requests could have shown the breach, a run that was not ``fuzzed`` to the end tells nothing of it.
        """
        results = list(judged)
        for waiver, place in self.contract.waivers:
            covered = [
                (promise.check, result.verdict)
                for promise, result in results
                if self._covers(waiver, promise.check, promise.subject)
            ]
            said = f"{waiver.id}{'' if waiver.op == '**' else f' on {waiver.op}'} is waived ({place})"
            if any(check.id == _requirement(waiver) for check, _ in covered):
                verdicts = {verdict for _, verdict in covered}
                looked = fuzzed or all(check.observe is None and not check.requirement.engine for check, _ in covered)
                if looked and Verdict.UPHELD in verdicts <= {Verdict.UPHELD, Verdict.NOT_APPLICABLE}:
                    yield waiver.id, f"{said} and does not occur any more: remove the line"
            elif not covered and self._has_left(waiver):
                yield waiver.id, f"{said}, but the contract has no such operation any more: remove the line"

    def _of(self, check: Check, subject: Subject) -> Iterator[Waiver]:
        return (waiver for waiver, _ in self.contract.waivers if self._covers(waiver, check, subject))

    def _covers(self, waiver: Waiver, check: Check, subject: Subject) -> bool:
        names = (check.id, f"{check.id}[{subject.label}]", check.group, *check.requirement.catalogue)
        if waiver.id not in names:
            return False
        operation = subject.operation
        return waiver.op in ("**", subject.label) or (
            operation is not None and self.contract.matches(waiver.op, operation)
        )

    def _has_left(self, waiver: Waiver) -> bool:
        _, _, label = waiver.id.removesuffix("]").partition("[")
        return re.fullmatch(r"[A-Z]+ /\S*", label) is not None and self.contract.operation(label) is None
