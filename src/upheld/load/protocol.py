"""How the generator's process talks to ours: lines of JSON while it runs, one file at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = "upheld.load-result/1"
MARK = "upheld-progress "
"""Locust and its plugins may print too; only lines that start so are ours."""


def write(path: Path, result: Mapping[str, Any]) -> None:
    """The result, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps({"schema": SCHEMA, **result}), encoding="utf-8")
    part.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    """The result; None when there is none or it is not one of this version."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and data.get("schema") == SCHEMA else None


def tell(progress: Mapping[str, Any]) -> None:
    """One line of progress to whoever started us. Nobody may be listening any more."""
    try:
        sys.stdout.write(f"{MARK}{json.dumps(progress)}\n")
        sys.stdout.flush()
    except OSError:
        pass


def heard(line: str) -> dict[str, Any] | None:
    """The progress that a line tells; None when it is somebody else's."""
    if not line.startswith(MARK):
        return None
    try:
        data = json.loads(line[len(MARK) :])
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
