"""How a plan is shown before anything is sent: promises, what can't be proven, what was inferred, what it costs."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from upheld.check import Check, NotApplicable, Subject, Unproven
from upheld.report.digest import plural

if TYPE_CHECKING:
    from rich.console import Console


MOST_NOTES = 20
PACE = 60
"""Requests a second that dialogues make, about, when nothing holds them up."""


class Promise(Protocol):
    """A planned promise, as far as it is shown."""

    @property
    def check(self) -> Check: ...
    @property
    def subject(self) -> Subject: ...
    @property
    def settled(self) -> Unproven | NotApplicable | None: ...


class LimitCost(Protocol):
    """What proving one rate rule takes, as far as it is shown."""

    @property
    def requests(self) -> int: ...
    @property
    def waiting(self) -> float: ...
    @property
    def quick(self) -> int: ...


class Plan(Protocol):
    """A plan, as far as it is shown."""

    @property
    def promises(self) -> Sequence[Any]: ...
    @property
    def by_rule(self) -> Mapping[str, int]: ...
    @property
    def requests(self) -> int: ...
    @property
    def waiting(self) -> float: ...
    @property
    def limits(self) -> Mapping[str, LimitCost]: ...
    @property
    def held_up(self) -> float | None: ...
    @property
    def one_address(self) -> bool: ...


def to_json(contract: Any, plan: Plan) -> dict[str, Any]:
    """The plan for machines: ``contract``, ``operations``, ``inferences``, ``promises``, ``requests``, ``seconds``, ``limits``."""
    return {
        "schema": "upheld.plan/1",
        "contract": contract.name,
        "operations": [operation.label for operation in contract.operations],
        "inferences": [{"key": i.key, "value": i.value, "source": i.source} for i in contract.inferences],
        "left_out_of_fuzzing": dict(contract.dangerous),
        "notes": [{"place": str(place), "note": note} for place, note in contract.notes],
        "promises": [
            {
                "requirement": p.check.id,
                "subject": p.subject.label,
                "level": str(p.check.level),
                "kind": p.check.kind,
                "state": _state(p),
                "reason": p.settled.reason if p.settled else "",
                "add": p.settled.add if isinstance(p.settled, Unproven) else "",
            }
            for p in plan.promises
        ],
        "requests": plan.requests,
        "requests_by_rule": dict(plan.by_rule),
        "seconds": seconds(plan),
        "seconds_for_quotas": plan.held_up,
        "one_address": plan.one_address,
        "limits": {
            rule: {"requests": cost.requests, "seconds": _took(cost.requests, cost.waiting)}
            for rule, cost in plan.limits.items()
        },
    }


def seconds(plan: Plan) -> int:
    """About how long the dialogues take: their requests, and the longest wait (waits overlap)."""
    return _took(plan.requests, max(plan.waiting, plan.held_up or 0.0)) + 5


def _took(requests: int, waiting: float) -> int:
    return math.ceil(requests / PACE + waiting)


def limits(plan: Plan) -> str:
    """What the rate limits take, in one sentence; empty where none is studied."""
    costs = plan.limits.values()
    if not costs:
        return ""
    requests, waiting = sum(cost.requests for cost in costs), max(cost.waiting for cost in costs)
    said = f"limits: {len(costs)} {plural(len(costs), 'rule')}, about {requests} requests, {_took(requests, waiting)} s"
    return f"{said} (with --quick {_took(sum(cost.quick for cost in costs), 0)} s)" if waiting else said


def render(contract: Any, plan: Plan, console: Console) -> None:
    """Print the plan for a person."""
    from rich.markup import escape
    from rich.table import Table

    console.print(f"[bold]{escape(contract.name)}[/]: {len(contract.operations)} operations")
    if contract.inferences:
        console.print("\n[bold]Read from the document[/] (pin any of it in upheld.yaml)")
        table = Table(box=None, show_header=False, padding=(0, 2))
        for inference in contract.inferences:
            table.add_row(escape(inference.key), escape(inference.value), f"[dim]{escape(inference.source)}[/]")
        console.print(table)
    if contract.dangerous:
        console.print("\n[bold]Never sent by fuzzing[/]")
        for label, why in contract.dangerous.items():
            console.print(f"  {escape(label)}  [dim]{escape(why)}[/]")
    if contract.notes:
        console.print("\n[bold]Noted[/]")
        for place, note in contract.notes[:MOST_NOTES]:
            console.print(f"  {escape(note)}  [dim]{escape(str(place))}[/]")
        if len(contract.notes) > MOST_NOTES:
            console.print(f"  … and {len(contract.notes) - MOST_NOTES} more, which --json shows")
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for promise in plan.promises:
        counts[promise.check.group][_state(promise)] += 1
    console.print("\n[bold]Promises[/]")
    table = Table(box=None, padding=(0, 2))
    for heading in ("group", "to check", "unproven", "not applicable"):
        table.add_column(heading, justify="left" if heading == "group" else "right")
    for group, states in counts.items():
        table.add_row(group, *(str(states[s] or "") for s in ("to check", "unproven", "not applicable")))
    console.print(table)
    unproven: dict[tuple[str, str], list[str]] = defaultdict(list)
    for promise in plan.promises:
        if isinstance(promise.settled, Unproven):
            unproven[promise.settled.reason, promise.settled.add].append(promise.check.id)
    if unproven:
        console.print("\n[bold]Can't be proven as it stands[/]")
        for (reason, add), ids in unproven.items():
            console.print(f"  {escape(reason)}  [dim]({escape(', '.join(dict.fromkeys(ids)))})[/]")
            if add:
                console.print(f"    add: {escape(add)}")
    total = sum(states["to check"] for states in counts.values())
    console.print(
        f"\n{total} promises to check, about {plan.requests} requests and {seconds(plan)} s, fuzzing and load apart"
    )
    if plan.held_up is not None:
        least = f", which takes at least {plan.held_up:.0f} s" if plan.held_up else ""
        console.print(f"The target's limits stay on: its quotas are kept{least}; fuzzing takes minutes then")
    if len(plan.by_rule) > 1 or "no rule" not in plan.by_rule:
        for rule, requests in plan.by_rule.items():
            console.print(f"  {requests:>6} requests under {escape(rule)}")
    if (said := limits(plan)) != "":
        console.print(f"\n{said}")
        for label, cost in plan.limits.items():
            took = f"{_took(cost.requests, cost.waiting)} s"
            console.print(f"  {cost.requests:>6} requests {took:>6}  {escape(label)}")
        if plan.one_address:
            console.print("All requests come from one address there: quotas that are keyed by address will be unproven")
        for rule in contract.rate_rules:
            if rule.label not in plan.limits:
                console.print(f"  [dim]no operation or too large a quota to try  {escape(rule.label)}[/]")


def _state(promise: Promise) -> str:
    if promise.settled is None:
        return "to check"
    return "unproven" if isinstance(promise.settled, Unproven) else "not applicable"
