"""What will be judged, before a request is sent: the promises, what each needs, which can't be proven and why, what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from upheld.check import SERVICE, Check, NotApplicable, Subject, Unproven
from upheld.errors import HarnessError

if TYPE_CHECKING:
    from upheld.contract import Contract

QUICK = Unproven("it waits for a window of real time, and --quick leaves that out", "run without --quick")


@dataclass(frozen=True)
class Promise:
    """A requirement applied to a subject of this contract."""

    check: Check
    subject: Subject
    settled: Unproven | NotApplicable | None = None
    """The verdict that stands before anything is sent."""

    @property
    def id(self) -> str:
        """``http/challenge[GET /api/v1/items]``."""
        return f"{self.check.id}[{self.subject.label}]"

    @property
    def key(self) -> tuple[str, str]:
        return self.check.id, self.subject.label


@dataclass(frozen=True)
class Plan:
    """All promises of one run."""

    promises: tuple[Promise, ...]
    by_rule: Mapping[str, int] = field(default_factory=dict)
    """Label of a rate rule → requests of dialogues that it will count, about."""

    @property
    def dialogues(self) -> list[Promise]:
        """What has to be played."""
        return [p for p in self.promises if p.check.converse is not None and p.settled is None]

    @property
    def observers(self) -> list[Check]:
        """The observers that have something to watch for."""
        seen = {p.check.id: p.check for p in self.promises if p.check.observe is not None and p.settled is None}
        return list(seen.values())

    @property
    def requests(self) -> int:
        """About how many requests the dialogues take."""
        return sum(p.check.requirement.cost for p in self.dialogues)


def plan(contract: Contract, checks: Iterable[Check], *, quick: bool = False) -> Plan:
    """Apply every check to the contract. Pure: nothing is sent. Raises `HarnessError` when a check can't say its subjects."""
    promises: list[Promise] = []
    for check in checks:
        try:
            promises.extend(_apply(contract, check, quick))
        except Exception as error:
            raise HarnessError(f"{check.id}: subjects() failed: {type(error).__name__}: {error}") from error
    counted: Counter[str] = Counter()
    for promise in promises:
        operation = promise.subject.operation
        if promise.settled is None and promise.check.converse is not None:
            rule = promise.subject.rule or (contract.rate_rule(operation) if operation else None)
            counted[rule.label if rule else "no rule"] += promise.check.requirement.cost
    return Plan(tuple(promises), counted)


def _apply(contract: Contract, check: Check, quick: bool) -> Iterable[Promise]:
    if check.subjects is not None:
        subjects = check.subjects(contract)
        if isinstance(subjects, Unproven | NotApplicable):
            return [Promise(check, SERVICE, subjects)]
        found = list(subjects)
    elif check.requirement.scope == "service":
        found = [SERVICE]
    else:
        found = [Subject(operation.label, operation=operation) for operation in contract.operations]
    if not found:
        return [Promise(check, SERVICE, NotApplicable("the contract has nothing of the kind"))]
    settled = QUICK if quick and check.requirement.waits else None
    return [Promise(check, subject, settled) for subject in found]
