"""Counts, plans and results for tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from upheld.load.counts import NEAR, Counts
from upheld.load.histogram import key
from upheld.load.plan import Plan, Pressed, Template


def counted(
    latencies: Iterable[float],
    limit: float = 200.0,
    *,
    errors: Mapping[str, int] | None = None,
    throttled: int = 0,
    unfinished: int = 0,
    seconds: float = 60.0,
) -> Counts:
    """Counts of these latencies in milliseconds, spread evenly over the time; failures too."""
    outcomes: list[float | str] = [*latencies]
    failures = [kind for kind, count in (errors or {}).items() for _ in range(count)] + ["unfinished"] * unfinished
    every = max(1, len(outcomes) // (len(failures) + 1))
    for index, kind in enumerate(failures):
        outcomes.insert(min(len(outcomes), (index + 1) * every), kind)
    counts = Counts(sent=len(outcomes) + throttled, throttled=throttled, unfinished=unfinished)
    for index, outcome in enumerate(outcomes):
        place = index / len(outcomes)
        if isinstance(outcome, str):
            if outcome != "unfinished":
                counts.errors[outcome] += 1
            counts.sample(place * seconds, True)
        else:
            counts.ok += 1
            counts.histogram[key(outcome)] += 1
            counts.sample(place * seconds, outcome > limit, outcome > NEAR * limit)
    assert list(counts.problems()) == []
    return counts


def mixed(n: int, share_over: float, fast: float = 20.0, slow: float = 400.0) -> list[float]:
    """``n`` latencies, this share of them slow, evenly mixed."""
    return [slow if int((i + 1) * share_over) > int(i * share_over) else fast for i in range(n)]


def pressed(name: str = "GET /a", **changes: Any) -> Pressed:
    method, path = name.split(" ")
    values: dict[str, Any] = {
        "name": name, "method": method, "latency_class": "crud", "limit_ms": 200.0, "rate": 10.0,
        "templates": (Template((path,)),),
    }  # fmt: skip
    return Pressed(**{**values, **changes})


def plan(*operations: Pressed, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "contract": "tested", "base_url": "http://127.0.0.1:1", "seed": 1, "seconds": 60.0, "warmup": 5.0, "drain": 5.0,
        "arrivals": "poisson", "max_error_rate": 0.001, "operations": operations or (pressed(),), "pools": {},
    }  # fmt: skip
    return Plan(**{**values, **changes})


def result(of: Plan, counts: Mapping[str, Counts], **changes: Any) -> dict[str, Any]:
    """What a generator that ran this plan would leave."""
    values: dict[str, Any] = {
        "plan": of.digest, "measured": of.seconds, "stopped": "", "delay_ms": 1.0, "wall_seconds": 65.0,
        "cpu_seconds": 5.0, "most_in_flight": 3, "starved": {}, "warmup": Counts().to_json(),
        "operations": {name: each.to_json() for name, each in counts.items()},
    }  # fmt: skip
    return {**values, **changes}


__all__ = ["Counter", "counted", "mixed", "plan", "pressed", "result"]
