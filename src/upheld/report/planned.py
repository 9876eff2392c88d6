"""How a plan is shown before anything is sent: promises, what can't be proven, what was inferred, what it costs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from upheld.check import Check, NotApplicable, Subject, Unproven

if TYPE_CHECKING:
    from rich.console import Console


MOST_NOTES = 20


class Promise(Protocol):
    """A planned promise, as far as it is shown."""

    @property
    def check(self) -> Check: ...
    @property
    def subject(self) -> Subject: ...
    @property
    def settled(self) -> Unproven | NotApplicable | None: ...


class Plan(Protocol):
    """A plan, as far as it is shown."""

    @property
    def promises(self) -> Sequence[Any]: ...
    @property
    def by_rule(self) -> Mapping[str, int]: ...
    @property
    def requests(self) -> int: ...


def to_json(contract: Any, plan: Plan) -> dict[str, Any]:
    """The plan for machines: ``contract``, ``operations``, ``inferences``, ``promises``, ``requests``, ``seconds``."""
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
                "kind": "dialogue" if p.check.converse else "observer",
                "state": _state(p),
                "reason": p.settled.reason if p.settled else "",
                "add": p.settled.add if isinstance(p.settled, Unproven) else "",
            }
            for p in plan.promises
        ],
        "requests": plan.requests,
        "requests_by_rule": dict(plan.by_rule),
        "seconds": seconds(plan),
    }


def seconds(plan: Plan) -> int:
    """About how long the dialogues take: their requests, and one window where some wait (waits overlap)."""
    waits = any(p.check.requirement.waits and p.settled is None for p in plan.promises)
    return round(plan.requests / 60 + (60 if waits else 0)) + 5


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
    if len(plan.by_rule) > 1 or "no rule" not in plan.by_rule:
        for rule, requests in plan.by_rule.items():
            console.print(f"  {requests:>6} requests under {escape(rule)}")


def _state(promise: Promise) -> str:
    if promise.settled is None:
        return "to check"
    return "unproven" if isinstance(promise.settled, Unproven) else "not applicable"
