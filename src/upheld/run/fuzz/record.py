"""What the engine's process writes down: its cases, answers and failures as plain values.

Runs there, but takes the engine's objects as they come: only `hooks` imports the engine. Standard library only.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

Credentials = Mapping[str, list[list[str]]]

_RENDERED = 20
"""Sentences about one place in one schema; rendering one walks the schema."""


def exchange(node: Any, interaction: Any, credentials: Credentials, limit: int) -> dict[str, Any]:
    """One case of the engine's recorder with its answer. Credentials of ours are named, not told."""
    case, request, response = node.value, interaction.request, interaction.response
    parts = urlsplit(request.uri)
    who, headers = _caller(request.headers, credentials)
    return {
        "op": case.operation.label,
        "own": request.method == case.operation.method.upper(),
        # A case with a parent that no link led to was made by a check, to probe something.
        "probe": node.parent_id is not None and node.transition is None,
        "parent": node.parent_id,
        "m": request.method,
        "u": parts.path or "/",
        "q": parts.query,
        "h": headers,
        "b": _octets(request.body, limit),
        "long": (len(request.body or b"") > limit, response.body_size is not None and response.body_size > limit),
        "who": who,
        "st": response.status_code,
        "rh": [[name, value] for name, values in response.headers.items() for value in values],
        "rb": _octets(response.content, limit),
        "el": response.elapsed,
        "at": interaction.timestamp,
        "meta": _meta(case.meta),
    }


def _caller(headers: Mapping[str, list[str]], credentials: Credentials) -> tuple[str, list[list[str]]]:
    pairs = [[name, value] for name, values in headers.items() for value in values]
    for who, fields in credentials.items():
        mine = {(name.lower(), value) for name, value in fields}
        if mine and mine <= {(name.lower(), value) for name, value in pairs}:
            return who, [[name, value] for name, value in pairs if (name.lower(), value) not in mine]
    return "", pairs


def _octets(data: bytes | None, limit: int) -> str | None:
    return b2a_base64(data[:limit], newline=False).decode() if data is not None else None


def _meta(meta: Any) -> dict[str, Any] | None:
    """How the case was made: meant to be valid or not, and what of it was broken."""
    if meta is None:
        return None
    data = meta.phase.data
    scenario = getattr(data, "scenario", None)
    return {
        "mode": meta.generation.mode.value,
        "phase": meta.phase.name.value,
        "scenario": scenario.value if scenario is not None else "",
        "place": _name(data.parameter_location),
        "parameter": data.parameter or "",
        "negative": [place.name for place, part in meta.components.items() if part.mode.is_negative],
        "mutations": [
            {
                "place": _name(mutation.parameter_location),
                "parameter": mutation.parameter or "",
                "pointer": mutation.schema_pointer,
                "operator": mutation.operator.value,
                "keywords": list(mutation.keywords),
            }
            for mutation in data.mutations[:5]
        ],
    }


def _name(place: Any) -> str:
    return "" if place is None else str(place.name)


class Failures:
    """Failures of the engine's checks as values: their code and the facts that they carry, not their titles."""

    def __init__(self) -> None:
        self._rendered: Counter[tuple[str, str]] = Counter()

    def line(self, check: str, failure: Any) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for kind in type(failure).__mro__:
            for name in getattr(kind, "__slots__", ()):
                if not name.startswith("_") and name not in ("title", "message", "severity", "case_id", "document"):
                    data[name] = _small(getattr(failure, name, None))
        if failure.code == "ST108":
            place = (str(failure.operation), str(data.get("schema_path")))
            self._rendered[place] += 1
            if self._rendered[place] <= _RENDERED:
                data["validation_message"] = str(getattr(failure, "validation_message", ""))[:300]
        return {"check": check, "code": failure.code, "data": data}


def _small(value: Any) -> Any:
    if isinstance(value, (int, float, bool)) or value is None:
        return value
    if isinstance(value, (list, tuple)) and len(value) <= 60:
        return [_small(item) for item in value]
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text[:200]


class Shares:
    """The engine gives each operation an even share of the time that is left, and ends its cases silently when that is spent.

    Reckoned here from the outside, so that an operation which was cut short is told.
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        self._seconds: float = job["engine_seconds"]
        self._phases: list[str] = job["phases"]
        self._operations = len(job["operations"])
        self._end = self._phase_end = 0.0
        self._left = 1
        self._share: dict[str, float] = {}
        self._is_unit = False

    def begin(self, now: float) -> None:
        """The engine's clock starts."""
        self._end = now + self._seconds

    def phase(self, name: str, now: float, operations: int | None) -> None:
        """A phase begins, over some of the operations or over all."""
        elastic = [phase for phase in ("fuzzing", "stateful") if phase in self._phases]
        behind = len(elastic) - elastic.index(name) - 1 if name in elastic else len(elastic)
        # The engine holds back an equal part for each repeatable phase that is still to come.
        self._phase_end = self._end - (self._end - now) * behind / (behind + 1)
        self._left = operations or self._operations
        self._is_unit = name in ("examples", "coverage", "fuzzing")

    def take(self, scenario: str, now: float) -> None:
        """An operation's turn begins."""
        if self._is_unit:
            self._share[scenario] = max(0.0, self._phase_end - now) / max(1, self._left)
            self._left -= 1

    def is_spent(self, scenario: str, seconds: float) -> bool:
        """Whether the turn took as long as it could."""
        share = self._share.pop(scenario, None)
        return share is not None and seconds >= share * 0.98
