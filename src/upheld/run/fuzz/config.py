"""The engine's configuration, written in full for each run: nothing is picked up from a file that happens to lie around."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upheld.contract import Contract

PHASES = ("examples", "coverage", "fuzzing", "stateful")
SLOW_EXAMPLES = 10
"""Most generated cases for operations that hash a password: each costs a quarter of a second of the service's time."""


def phases_of(wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    """The phases that will run, in the engine's order."""
    return tuple(name for name in PHASES if wanted is None or name in wanted)


def engine_config(
    contract: Contract,
    *,
    origin: str,
    hooks: str,
    seconds: float,
    max_examples: int | None,
    phases: tuple[str, ...],
    seed: int,
    marker: str,
    request_timeout: float = 10.0,
    only: Collection[str] | None = None,
) -> str:
    """The text of the engine's TOML file. ``seconds`` is what the engine believes to have; ``only`` these operations are fuzzed."""
    generation: dict[str, Any] = {
        # Reproducible only with one worker, no example database and no cache (measured: byte-identical sequences).
        "database": "none",
        # The engine aborts at the first failing case anyway; the reducer of ours does the shrinking.
        "no-shrink": True,
    }
    if max_examples is not None:
        generation["max-examples"] = max_examples
    lines = [
        _table(
            "",
            {
                "seed": seed,
                "max-time": int(seconds),
                "base-url": origin,
                "hooks": hooks,
                # Two workers lose operations to a race inside the generator on CPython 3.11, and are not faster.
                "workers": 1,
                "continue-on-failure": True,
                "request-timeout": request_timeout,
                "warnings": False,
            },
        ),
        _table("headers", {"User-Agent": f"upheld ({marker})", "X-Upheld-Run": marker}),
        _table("generation", generation),
        _table("cache", {"enabled": False}),
        # Left on, the engine registers accounts on the target without being asked.
        _table("auth", {"auto-signup": False}),
        *(_table(f"phases.{name}", _phase(name, phases)) for name in PHASES),
        # A single slow answer on a busy machine is no finding, and a tail is never seen: load runs judge latency.
        # Object-level authorization needs two peers and reads only; our own checks cover it.
        _table("checks.object_level_authorization", {"enabled": False}),
    ]
    lines += _operations(contract, max_examples, only)
    return "\n".join(lines)


def _phase(name: str, phases: tuple[str, ...]) -> dict[str, Any]:
    # The order of the document, which is made for it, not the engine's guess at what depends on what.
    ordering = {} if name == "stateful" else {"operation-ordering": "none"}
    return {"enabled": name in phases, **ordering}


def _operations(contract: Contract, max_examples: int | None, only: Collection[str] | None) -> list[str]:
    entries: list[dict[str, Any]] = []
    for operation in contract.operations:
        if operation.label in contract.dangerous or (only is not None and operation.label not in only):
            entries.append({"include-name": operation.label, "enabled": False})
            continue
        entry: dict[str, Any] = {}
        # With alternatives the probe leaves another scheme's good credential in place: 41 of 41 such findings were false.
        if operation.security and (len(operation.security) != 1 or contract.is_public(operation)):
            entry["checks.ignored_auth.enabled"] = False
        if contract.latency_class(operation) == "auth" and (max_examples or SLOW_EXAMPLES + 1) > SLOW_EXAMPLES:
            entry["generation.max-examples"] = SLOW_EXAMPLES
        if entry:
            entries.append({"include-name": operation.label, **entry})
    return [_table("[operations]", entry) for entry in entries]


def _table(name: str, values: dict[str, Any]) -> str:
    head = f"[{name}]\n" if name else ""
    return head + "".join(f"{key} = {_value(value)}\n" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    # A JSON string is a TOML basic string, once DEL is escaped; ${…} is the engine's own, for the environment.
    return json.dumps(str(value), ensure_ascii=True).replace("\x7f", "\\u007f")
