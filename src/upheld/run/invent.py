"""``python -m upheld.run.invent``: has Schemathesis make valid requests. A job on standard input, a line of JSON for each operation.

In a process of its own, because neither the engine nor its dependencies belong beside a load. The job is ``{"document": …, "seed": …,
"each": …, "operations": [[label, path of the document, method], …]}``; a line is ``{"label": …, "cases": […]}`` with cases as
`upheld.load.corpus.Case`, or ``{"label": …, "trouble": …}``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis.generation import GenerationMode


def invent(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One line for each operation of the job."""
    schema = schemathesis.openapi.from_dict(job["document"])
    for label, path, method in job["operations"]:
        try:
            yield {"label": label, "cases": list(_cases(schema[path][method], int(job["seed"]), int(job["each"])))}
        except Exception as error:  # a schema that the engine can't work with is a gap, not the end
            yield {"label": label, "trouble": f"{type(error).__name__}: {error}"[:300]}


def _cases(operation: Any, seed: int, each: int) -> Iterable[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}

    @seeded(seed)
    @settings(
        max_examples=each,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def collect(case: Any) -> None:
        if (made := _plain(case)) is not None:
            found.setdefault(json.dumps(made, sort_keys=True), made)

    collect()
    return found.values()


def _plain(case: Any) -> dict[str, Any] | None:
    """As JSON; None for what is not sent as simple pairs and JSON."""
    query = _pairs(case.query)
    headers = _pairs(case.headers)
    if query is None or headers is None:
        return None
    body = None
    if isinstance(case.media_type, str) and case.media_type.split(";")[0].endswith("json"):
        try:
            body = json.dumps(case.body, allow_nan=False)
        except (TypeError, ValueError):
            return None
    return {"query": query, "headers": headers, "body": body}


def _pairs(values: Any) -> list[tuple[str, str]] | None:
    pairs = []
    for name, value in dict(values or {}).items():
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, (str, int, float, bool)):
                return None
            pairs.append((str(name), str(item).lower() if isinstance(item, bool) else str(item)))
    return pairs


if __name__ == "__main__":
    for line in invent(json.load(sys.stdin)):
        print(json.dumps(line), flush=True)
