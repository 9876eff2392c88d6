"""Quantities as people write them in upheld.yaml: ``15m``, ``10/min``, ``1MiB``, ``0.1%``, ``50/s``. Standard library only.

Every parser takes what YAML gave and raises ValueError with a sentence that says what was found and how to write it.
"""

from __future__ import annotations

import re
from typing import Any, Literal

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PER = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0,
    "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0,
}  # fmt: skip
_BYTES = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30,
}  # fmt: skip

_PART = r"\d+(?:\.\d+)?(?:ms|s|min|m|h|d|w)"
DURATION_PATTERN = rf"^(?:{_PART})+$"
LENGTH_PATTERN = rf"^(?:(?:{_PART})+|auto)$"
QUOTA_PATTERN = r"^\d+ ?/ ?(?:\d+(?:\.\d+)?)?(?:ms|s|sec|second|m|min|minute|h|hour|d|day)$"
SIZE_PATTERN = r"^\d+(?:\.\d+)? ?(?:[KMGkmg]i?)?[Bb]$"
PERCENT_PATTERN = r"^\d+(?:\.\d+)? ?%$"
RATE_PATTERN = r"^\d+(?:\.\d+)? ?/ ?(?:s|sec|second|m|min|minute|h|hour)$"


def found(value: Any) -> str:
    """The value as a message shows it: ``'abc' (text)``, ``15 (a number)``, ``a list``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value} (a number)"
    if isinstance(value, str):
        return f"{value[:60]!r} (text)"
    return (
        "a list" if isinstance(value, (list, tuple)) else "a mapping" if isinstance(value, dict) else repr(value)[:60]
    )


def duration(value: Any) -> float:
    """``"15m"``, ``"200ms"``, ``"1h30m"`` → seconds."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(DURATION_PATTERN, text):
        hint = f"; {value} has no unit" if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
        raise ValueError(f"must be a duration such as 200ms, 60s, 15m or 7d, found {found(value)}{hint}")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|min|m|h|d|w)", text)
    return sum(float(number) * SECONDS[unit] for number, unit in parts)


def length(value: Any) -> float | Literal["auto"]:
    """``"60s"`` → seconds; ``"auto"`` stays."""
    if value == "auto":
        return "auto"
    try:
        return duration(value)
    except ValueError as error:
        raise ValueError(str(error).replace("7d, found", "7d, or auto, found")) from error


def quota(value: Any) -> tuple[int, float]:
    """``"10/min"``, ``"100/15m"`` → (requests, seconds of the window)."""
    text = value.strip() if isinstance(value, str) else ""
    match = re.fullmatch(r"(\d+) ?/ ?(\d+(?:\.\d+)?)?([a-z]+)", text)
    unit = match and (_PER.get(match[3]) or SECONDS.get(match[3]))
    if not match or not unit or not int(match[1]) or (match[2] is not None and float(match[2]) == 0):
        raise ValueError(f"must be a quota such as 10/min, 5/s or 100/15m, found {found(value)}")
    return int(match[1]), float(match[2] or 1) * unit


def size(value: Any) -> int:
    """``"1MiB"``, ``"16KiB"``, ``"1MB"`` or a whole number → octets."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", value.strip()) if isinstance(value, str) else None
    if not match or match[2].upper() not in _BYTES:
        raise ValueError(f"must be a size such as 1MiB, 16KiB or 500KB, found {found(value)}")
    return int(float(match[1]) * _BYTES[match[2].upper()])


def percent(value: Any) -> float:
    """``"0.1%"`` → the fraction 0.001."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", value.strip()) if isinstance(value, str) else None
    if not match or float(match[1]) > 100:
        raise ValueError(f"must be a percentage such as 0.1% or 5%, found {found(value)}")
    return float(match[1]) / 100


def rate(value: Any) -> float:
    """``"50/s"``, ``"300/min"`` → events a second."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?/ ?([a-z]+)", value.strip()) if isinstance(value, str) else None
    if not match or match[2] not in _PER or float(match[1]) == 0:
        raise ValueError(f"must be a rate such as 50/s or 300/min, found {found(value)}")
    return float(match[1]) / _PER[match[2]]
