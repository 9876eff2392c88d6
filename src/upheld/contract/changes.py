"""What a change of a contract does to those who use the service: whoever kept to the old one must get along with the new one.

A request may come to allow more and an answer to promise more, never less. The rules are those on which the tools for comparing OpenAPI
documents agree.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from upheld.contract.difference import Difference, compare, pairs
from upheld.contract.model import Contract, Operation


class Effect(StrEnum):
    """On somebody who uses the service as the old contract says."""

    BREAKING = "breaking"
    WARNING = "warning"
    """It breaks some of them: those who rely on what was not promised in so many words."""
    HARMLESS = "harmless"


BREAKING, WARNING, HARMLESS = Effect.BREAKING, Effect.WARNING, Effect.HARMLESS
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_STABILITY = ("draft", "alpha", "beta", "stable")
_TYPES = {"number", "integer"}


@dataclass(frozen=True)
class Change:
    """One change."""

    effect: Effect
    operation: str
    """Label."""
    text: str
    """What changed, without the operation."""


def changes(before: Contract, after: Contract, today: datetime.date, *, policies: bool = True) -> list[Change]:
    """Every change of what OpenAPI says, and with ``policies`` of quotas and roles in upheld.yaml; the breaking ones first."""
    found = [
        Change(effect, label, difference.text)
        for label, difference in compare(before, after)
        if (effect := _effect(difference, before.operation(label), today)) is not None
    ]
    found += _policies(before, after) if policies else ()
    order = list(Effect)
    return sorted(dict.fromkeys(found), key=lambda change: order.index(change.effect))


def _effect(found: Difference, operation: Operation | None, today: datetime.date) -> Effect | None:
    """None where another difference says it already."""
    if found.side == "operation":
        return _of_operation(found, operation, today)
    request = found.side == "request"
    match found.what:
        case "required":
            return _required(found, request)
        case "parameter" | "body" | "property" | "header" if request:
            return HARMLESS if found.before is None and found.after == "optional" else _more(found)
        case "property" | "header":
            if found.after is not None:
                return HARMLESS
            return BREAKING if found.before == "required" else WARNING
        case "media type":
            return BREAKING if found.after is None else HARMLESS
        case "status":
            return BREAKING if found.after is None and " 2" in f" {found.where}" else HARMLESS
        case "default":
            changed = found.before is not None and found.after is not None
            return (BREAKING if changed else WARNING) if request else HARMLESS
    return _of_values(found, request)


def _more(found: Difference) -> Effect:
    """A request that has to say more, or says what nobody reads any more."""
    if found.after is None:
        return WARNING
    # Of a new property `required` tells whether it has to be there.
    return HARMLESS if found.what == "property" else BREAKING


def _required(found: Difference, request: bool) -> Effect | None:
    released, demanded = found.before, found.after
    if not released and not demanded:
        return None
    return BREAKING if (demanded if request else released) else HARMLESS


def _of_operation(found: Difference, operation: Operation | None, today: datetime.date) -> Effect | None:
    match found.what:
        case "operation":
            if found.after is not None:
                return HARMLESS
            over = operation is not None and _day(operation.raw.get("x-sunset"))
            return HARMLESS if over and over <= today else BREAKING
        case "security":
            # Whoever has one of the old alternatives has to fulfil one of the new ones.
            left = all(any(new <= old for new in found.after) for old in found.before)
            return HARMLESS if left else BREAKING
        case "deprecated":
            return WARNING if found.after else HARMLESS
        case "x-sunset":
            before, after = _day(found.before), _day(found.after)
            return BREAKING if before and after and after < before else HARMLESS
        case "x-stability-level":
            ranks = [_STABILITY.index(level) if level in _STABILITY else None for level in (found.before, found.after)]
            before_, after_ = ranks
            return BREAKING if before_ is not None and after_ is not None and after_ < before_ else HARMLESS
    return WARNING


def _day(value: Any) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


# -- values ----------------------------------------------------------------------------------------------------------------


def _of_values(found: Difference, request: bool) -> Effect:
    """A keyword of a schema: whether fewer or more values fit than before."""
    if ", not" in found.where:
        return WARNING
    before, after = found.before, found.after
    match found.what:
        case "type":
            narrower, wider = not _fits(before, after), not _fits(after, before)
            return _judged(request, narrower=narrower, wider=wider)
        case "nullable" if found.where.startswith("parameter "):
            return HARMLESS  # outside of JSON nobody can send null
        case "nullable":
            return _judged(request, narrower=after is None, wider=before is None)
        case "enum" if before is None or after is None:
            if request:
                return BREAKING if before is None else HARMLESS
            return HARMLESS if before is None else WARNING
        case "enum":
            if not request:
                return WARNING if set(after) - set(before) else HARMLESS
            return BREAKING if set(before) - set(after) else HARMLESS
        case "alternatives":
            return _judged(request, narrower=before > 0, wider=after > 0)
        case "allOf":
            return _judged(request, narrower=after > 0, wider=before > 0)
        case "fits":
            # Further properties, which nobody has to read.
            return BREAKING if request and after == "nothing" else HARMLESS
        case "pattern" if request:
            return BREAKING if before is None else HARMLESS if after is None else WARNING
        case what if what in _UPPER or what in _LOWER:
            return _bound(request, what in _UPPER, before, after)
    # Formats, multiples, uniqueness: newly asked for in a request, or given up in an answer.
    return WARNING if (after if request else before) is not None else HARMLESS


def _bound(request: bool, upper: bool, before: Any, after: Any) -> Effect:
    if before is None:
        return WARNING if request else HARMLESS
    if after is None:
        return HARMLESS if request else BREAKING
    narrower = (after < before) == upper
    return _judged(request, narrower=narrower, wider=not narrower)


def _judged(request: bool, *, narrower: bool, wider: bool) -> Effect:
    return BREAKING if (narrower if request else wider) else HARMLESS


def _fits(one: str | None, other: str | None) -> bool:
    """Whether every value of the types ``one`` is of the types ``other``; None is any type."""
    if other is None:
        return True
    if one is None:
        return False
    known = set(other.split(" or "))
    return set(one.split(" or ")) <= (known | _TYPES if "number" in known else known)


# -- upheld.yaml -----------------------------------------------------------------------------------------------------------


def _policies(before: Contract, after: Contract) -> Iterator[Change]:
    """Quotas and roles of the operations that both have."""
    for one, other in pairs(before, after):
        if one is None or other is None:
            continue
        old, new = before.rate_rule(one), after.rate_rule(other)
        said = [f"{rule.quota}/{rule.window:g}s" if rule else "none" for rule in (old, new)]
        if said[0] != said[1]:
            faster = new is None or (old is not None and new.quota >= old.quota and new.window <= old.window)
            yield Change(HARMLESS if faster else BREAKING, one.label, f"quota {said[0]} → {said[1]}")
        roles, now = before.roles(one), after.roles(other)
        if roles != now:
            kept = now is None or (roles is not None and set(roles) <= set(now))
            text = f"roles {', '.join(roles or ['any'])} → {', '.join(now or ['any'])}"
            yield Change(HARMLESS if kept else BREAKING, one.label, text)
