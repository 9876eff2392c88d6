"""Which lines of upheld.yaml and of the OpenAPI document make a promise."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from upheld.contract.model import Contract, Operation, RateRule
from upheld.contract.patterns import PATTERN
from upheld.errors import Place

Key = tuple[str | int, ...]


def promised_at(
    contract: Contract, reads: Iterable[str], operation: Operation | None = None, rule: RateRule | None = None
) -> tuple[Place, ...]:
    """The lines that a requirement rests on which reads these keys, the one that says most of this subject first; never empty.

    First the rate rule and the lines of upheld.yaml whose pattern names the operation, then the operation itself, then other keys.
    A document that the target serves has no lines here.
    """
    own: list[Key] = [("rate_limits", contract.rate_rules.index(rule))] if rule in contract.rate_rules else []
    general: list[Key] = []
    for key in reads:
        path = tuple(key.split("."))
        patterns = _patterns(_value(contract, path))
        if operation is None or not patterns:
            general.append(path)
        else:
            matching = (step for step, pattern in patterns if contract.matches(pattern, operation))
            own += [(*path, step) for step in matching][:1]
    places = [contract.place(*path) for path in own if _has(contract, path)]
    if operation is not None and operation.line and _is_file(contract):
        places.append(Place(contract.openapi_file, operation.line))
    places += [contract.place(*path) for path in general if _has(contract, path)]
    return tuple(dict.fromkeys(places)) or (contract.place("extends" if _has(contract, ("extends",)) else "upheld"),)


def _patterns(value: Any) -> list[tuple[str | int, str]]:
    """The entries of a list or a table that name operations, each with its pattern."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for step, entry in entries:
        said = step if isinstance(step, str) else entry.get("op") if isinstance(entry, dict) else entry
        if isinstance(said, str) and re.fullmatch(PATTERN, said):
            found.append((step, said))
    return found


def _value(contract: Contract, path: Key) -> Any:
    node: Any = contract.written.value if contract.written else None
    for step in path:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def _has(contract: Contract, path: Key) -> bool:
    return contract.written is not None and contract.written.has(path)


def _is_file(contract: Contract) -> bool:
    return contract.folder is None or Path(contract.openapi_file).is_relative_to(contract.folder)
