"""How often each operation is called: the contract's rate by weight, kept within the quotas where those are in force."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, RateRule

RESERVE = 0.1
"""Share of each quota that stays unused, for whatever else its key is charged with."""
HASHING = 1.0
"""Most calls a second of an operation that hashes a password, unless load.weights names it: one takes a quarter of a second of
a processor by design, and its promise is about waiting, not about throughput."""
FEWER = 0.7
"""Things are used up at this share of the rate at which they are made: of the rest some are only read."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One operation that wants to be called."""

    operation: Operation
    callers: tuple[str, ...]
    """As whom, by turns; the empty name without credentials."""
    makes: str = ""
    takes: str = ""


def weight(contract: Contract, operation: Operation) -> float | None:
    """What ``load.weights`` says of it, by the first line that matches; None when no line does."""
    return next(
        (w for pattern, w in contract.policy.load.weights.items() if contract.matches(pattern, operation)), None
    )


def shares(contract: Contract, demands: Sequence[Demand], rate: float) -> list[float]:
    """Calls a second of each, together at most ``rate``: by weight, then lessened where an operation has a bound of its own."""
    stated = [weight(contract, demand.operation) for demand in demands]
    weights = [1.0 if w is None else w for w in stated]
    whole = sum(weights) or 1.0
    rates = [rate * w / whole for w in weights]
    for index, demand in enumerate(demands):
        if stated[index] is None and contract.latency_class(demand.operation) == "auth":
            rates[index] = min(rates[index], HASHING)
    for pool in {demand.takes for demand in demands if demand.takes}:
        made = sum(r for r, demand in zip(rates, demands, strict=True) if demand.makes == pool)
        takers = [index for index, demand in enumerate(demands) if demand.takes == pool]
        taken = sum(rates[index] for index in takers)
        for index in takers if taken else ():
            rates[index] *= min(1.0, FEWER * made / taken)
    return rates


def balanced(contract: Contract, demands: Sequence[Demand]) -> tuple[str, ...]:
    """Pools of which as much may be used up as is made: nobody has said otherwise in ``load.weights``."""
    said = {demand.makes or demand.takes for demand in demands if weight(contract, demand.operation) is not None}
    made, taken = ({getattr(demand, kind) for demand in demands} for kind in ("makes", "takes"))
    return tuple(sorted((made & taken) - said - {""}))


def within_quotas(
    contract: Contract,
    demands: Sequence[Demand],
    rates: Sequence[float],
    spent: Mapping[tuple[str, str], int],
) -> list[float]:
    """The rates, lessened so that no key of any limit is charged more than its quota less the reserve and what was ``spent``
    ((label, caller) → requests) just before."""
    charged: dict[tuple[str, str], float] = defaultdict(float)
    before: dict[tuple[str, str], int] = defaultdict(int)
    rules: dict[str, RateRule] = {}
    for demand, rate in zip(demands, rates, strict=True):
        for key in _keys(contract, demand.operation, demand.callers, rules):
            charged[key] += rate / len(demand.callers)
    for (label, caller), requests in spent.items():
        if operation := contract.operation(label):
            for key in _keys(contract, operation, (caller,), rules):
                before[key] += requests
    allowed = {
        key: max(0.0, rules[key[0]].quota * (1 - RESERVE) - before[key]) / rules[key[0]].window for key in charged
    }
    factor = {key: min(1.0, allowed[key] / load) if load else 1.0 for key, load in charged.items()}
    return [
        rate * min((factor[key] for key in _keys(contract, demand.operation, demand.callers, rules)), default=1.0)
        for demand, rate in zip(demands, rates, strict=True)
    ]


def identities_for(contract: Contract, demands: Sequence[Demand], rates: Sequence[float]) -> tuple[int, list[str]]:
    """How many identities these rates take where quotas are each user's own, and the labels of the rules that no number of
    identities helps with, because an address or everybody together is charged."""
    load: dict[str, float] = defaultdict(float)
    shared: dict[tuple[str, str], float] = defaultdict(float)
    rules: dict[str, RateRule] = {}
    for demand, rate in zip(demands, rates, strict=True):
        # `Demand.callers` use the same keys by turns, so one of them tells the kind.
        for label, key in _keys(contract, demand.operation, demand.callers[:1], rules):
            if demand.callers[0] and not rules[label].key.startswith(("ip", "global")):
                load[label] += rate
            else:
                shared[label, key] += rate
    each = {label: rule.quota * (1 - RESERVE) / rule.window for label, rule in rules.items()}
    needed = max((math.ceil(rate / each[label] - 1e-9) for label, rate in load.items()), default=0)
    return needed, sorted({label for (label, _), rate in shared.items() if rate > each[label]})


def _keys(
    contract: Contract, operation: Operation, callers: Sequence[str], rules: dict[str, RateRule]
) -> list[tuple[str, str]]:
    """(rule, key) that a call is charged to, once for each caller."""
    rule = contract.rate_rule(operation)
    if rule is None:
        return []
    rules[rule.label] = rule
    return [(rule.label, _key(rule.key, operation, caller)) for caller in callers]


def _key(kind: str, operation: Operation, caller: str) -> str:
    if kind == "global":
        return "all"
    # One generator has one address.
    who = caller if caller and not kind.startswith("ip") else "ip"
    return f"{who} {operation.label}" if kind.endswith("+route") else who
