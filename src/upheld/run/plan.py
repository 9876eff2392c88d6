"""What will be judged, before a request is sent: the promises, what each needs, which can't be proven and why, what it costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from upheld.check import SERVICE, Check, NotApplicable, Subject, Unproven
from upheld.errors import HarnessError

if TYPE_CHECKING:
    from upheld.contract import Contract

WINDOW = 60.0
"""Seconds that are waited for where no rate rule says how many."""
QUICK = Unproven("it waits for a window of real time, and --quick leaves that out", "run without --quick")
NO_LOAD = Unproven("nothing pressed on the service in this run", "`upheld load`, or check --load 60")
DEAR = Unproven("it takes many hashes or whole quotas, and --quick leaves that out", "run without --quick")


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

    @property
    def requests(self) -> int:
        """About how many requests it takes."""
        requirement, rule = self.check.requirement, self.subject.rule
        return requirement.cost + (math.ceil(requirement.quotas * rule.quota) if rule else 0)

    @property
    def weight(self) -> int:
        """Its share of what is played, beside others."""
        return max(1, self.check.requirement.cost)

    @property
    def waiting(self) -> float:
        """About how many seconds it waits for time to pass."""
        requirement, rule = self.check.requirement, self.subject.rule
        return requirement.windows * (rule.window if rule else WINDOW) if requirement.waits else 0.0


@dataclass
class LimitCost:
    """What proving one rate rule takes, about. Waits overlap, so that of several the longest counts."""

    requests: int = 0
    waiting: float = 0.0
    """Seconds."""
    quick: int = 0
    """Requests with ``--quick``."""

    def add(self, promise: Promise) -> None:
        if promise.settled is None:
            self.requests += promise.requests
            self.waiting = max(self.waiting, promise.waiting)
        if not (promise.check.requirement.waits or promise.check.requirement.dear):
            self.quick += promise.requests


@dataclass(frozen=True)
class Plan:
    """All promises of one run."""

    promises: tuple[Promise, ...]
    by_rule: Mapping[str, int] = field(default_factory=dict)
    """Label of a rate rule → requests of dialogues that it will count, about."""
    limits: Mapping[str, LimitCost] = field(default_factory=dict)
    """Label of a rate rule → what it takes to prove it."""
    narrowed: bool = False
    """Promises were left out: what is seen besides is not told."""
    held_up: float | None = None
    """About how many seconds it waits for the quotas of a target whose limits can't be raised; None where they are raised."""
    one_address: bool = False
    """The target sees all requests come from one address, so that limits by address can't be proven."""

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
        return sum(p.requests for p in self.dialogues)

    @property
    def waiting(self) -> float:
        """About how many seconds the dialogues wait for time to pass; their waits overlap."""
        return max((p.waiting for p in self.dialogues), default=0.0)


def plan(
    contract: Contract,
    checks: Iterable[Check],
    *,
    quick: bool = False,
    load: bool = False,
    only: Callable[[Promise], bool] | None = None,
) -> Plan:
    """Apply every check to the contract. ``load`` says that the run ends with one, ``only`` which promises are judged. Pure: nothing is sent. Raises `HarnessError` when a check can't say its subjects."""
    promises: list[Promise] = []
    for check in checks:
        try:
            promises.extend(
                filter(only, _apply(contract, check, quick, load)) if only else _apply(contract, check, quick, load)
            )
        except Exception as error:
            raise HarnessError(f"{check.id}: subjects() failed: {type(error).__name__}: {error}") from error
    counted: Counter[str] = Counter()
    limits: dict[str, LimitCost] = {}
    for promise in promises:
        operation = promise.subject.operation
        if promise.check.converse is None or promise.settled not in (None, QUICK):
            continue
        rule = promise.subject.rule or (contract.rate_rule(operation) if operation else None)
        if promise.settled is None:
            counted[rule.label if rule else "no rule"] += promise.requests
        if rule and promise.check.requirement.profile == "shipped":
            limits.setdefault(rule.label, LimitCost()).add(promise)
    return Plan(tuple(promises), counted, limits, narrowed=only is not None)


def _apply(contract: Contract, check: Check, quick: bool, load: bool) -> Iterable[Promise]:
    if check.measure is not None:
        # Of which operations it can tell something the load run itself finds out.
        return [Promise(check, SERVICE, None if load else NO_LOAD)]
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
    return [Promise(check, subject, _left_out(check) if quick else None) for subject in found]


def _left_out(check: Check) -> Unproven | None:
    """Why ``--quick`` leaves it out, if it does."""
    return QUICK if check.requirement.waits else DEAR if check.requirement.dear else None
