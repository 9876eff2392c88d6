"""Which operations a change of the contract touches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from upheld.contract.difference import compare, pairs
from upheld.contract.model import Contract, Operation, RateRule

_OF_NONE = frozenset({"upheld", "openapi", "target", "checks", "fuzz", "waive", "load"})
"""Keys that promise nothing."""
_OF_EACH = frozenset({"rate_limits", "roles", "public", "never", "latency", "caching"})
"""Keys whose lines name operations: what they say of each is compared."""
_CACHED = ("routes", "etag", "if_match")


@dataclass(frozen=True)
class Touched:
    """What differs between two states of a contract."""

    operations: frozenset[str]
    """Labels of those that are there now."""
    rules: tuple[RateRule, ...] = ()
    """Rate rules that were not there, or not so."""
    everything: str = ""
    """The keys of upheld.yaml that have changed and hold for all operations; empty where there are none."""

    def __bool__(self) -> bool:
        return bool(self.operations or self.rules or self.everything)


def touched(before: Contract, after: Contract) -> Touched:
    """Compare all that a check could read: the document, and upheld.yaml as it is written."""
    found = {label for label, difference in compare(before, after) if difference.what != "operation"}
    names = {one.label: other.label for one, other in pairs(before, after) if one is not None and other is not None}
    labels = {names[label] for label in found}
    for one, other in pairs(before, after):
        if other is not None and (one is None or _said(before, one) != _said(after, other)):
            labels.add(other.label)
    known = {_limit(rule) for rule in before.rate_rules}
    rules = tuple(rule for rule in after.rate_rules if _limit(rule) not in known)
    return Touched(frozenset(labels), rules, ", ".join(_general(before, after)))


def _said(contract: Contract, operation: Operation) -> tuple[Any, ...]:
    """What upheld.yaml says of this operation in particular."""
    rule, caching = contract.rate_rule(operation), contract.policy.caching
    return (
        _limit(rule)[1:] if rule else None,
        contract.roles(operation),
        contract.is_public(operation),
        contract.dangerous.get(operation.label),
        contract.latency_target(operation),
        next((age for pattern, age in caching.routes.items() if contract.matches(pattern, operation)), None),
        *(
            any(contract.matches(pattern, operation) for pattern in patterns)
            for patterns in (caching.etag, caching.if_match)
        ),
    )


def _limit(rule: RateRule) -> tuple[Any, ...]:
    return (rule.pattern, rule.quota, rule.window, rule.key, rule.algorithm, rule.also_by)


def _general(before: Contract, after: Contract) -> Iterator[str]:
    one, other = (_written(contract) for contract in (before, after))
    for key in sorted((one.keys() | other.keys()) - _OF_NONE):
        said = [_apart(key, side.get(key)) for side in (one, other)]
        if said[0] != said[1]:
            yield key


def _apart(key: str, value: Any) -> Any:
    """The value without what is compared operation by operation."""
    if key == "caching" and isinstance(value, Mapping):
        return {name: said for name, said in value.items() if name not in _CACHED} or None
    return None if key in _OF_EACH else value


def _written(contract: Contract) -> Mapping[str, Any]:
    value = contract.written.value if contract.written else None
    return value if isinstance(value, Mapping) else {}
