"""Unusual but valid requests, made once by somebody else (the engine of `upheld.run.corpus`): which, and how they become ours.

Ids and unique values are never those of the generator: an id comes from what was made, a unique value is spliced in.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from upheld.contract.words import key

LONGEST = 16 * 1024
"""Characters of a body."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request as the engine made it, less its path: query, header fields, and the JSON of its body (None: no body)."""

    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Case:
        """The inverse of ``asdict`` after a journey through JSON. Raises KeyError, TypeError or ValueError."""
        query, headers = (tuple((str(name), str(value)) for name, value in data[part]) for part in ("query", "headers"))
        body = data["body"]
        if body is not None:
            json.loads(body)
        return cls(query, headers, body)

    @property
    def usable(self) -> bool:
        """It can be sent by any client: header fields are visible ASCII (RFC 9110 §5.5), and the body is not endless."""
        values = [*(name for name, _ in self.headers), *(value for _, value in self.headers)]
        return all(value.isascii() and value.isprintable() and value.strip() == value for value in values) and (
            len(self.body or "") <= LONGEST
        )


Corpus = Mapping[str, Sequence[Case]]
"""Label of an operation → its cases."""


def laid_over(odd: Any, usual: Any, ours: Collection[str]) -> Any:
    """The unusual body with the usual one's values for the fields that are ours (names as `upheld.contract.words.key` has them)."""
    if isinstance(odd, Mapping):
        known = usual if isinstance(usual, Mapping) else {}
        kept = {n: laid_over(value, known.get(n), ours) for n, value in odd.items() if key(n) not in ours}
        return {**kept, **{name: value for name, value in known.items() if key(name) in ours}}
    if isinstance(odd, list):
        first = usual[0] if isinstance(usual, list) and usual else None
        return [laid_over(item, first, ours) for item in odd]
    return odd
