"""Fresh values for fields that must differ from case to case, of the same shape as the value that the engine generated.

A create that meets a taken e-mail answers 409 and tests nothing; in a replayed scenario it also makes the engine give up the
stateful phase, because the same data suddenly takes another path. Runs inside the engine's process: standard library only.
"""

from __future__ import annotations

import re
import uuid
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_NAMESPACE = uuid.UUID("a6fbc1a4-6d4b-5a7c-9a0e-2f0c6d5f7b11")


def base36(number: int, width: int = 0) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text.rjust(width, "0") or "0"


def fits(value: Any, field: Mapping[str, Any]) -> bool:
    """Whether the value is one that the field's schema takes, so that it is not the part which was broken on purpose."""
    kind = field["kind"]
    if kind == "integer":
        low, high = field.get("min"), field.get("max")
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return is_whole and (low is None or value >= low) and (high is None or value <= high)
    if not isinstance(value, str):
        return False
    if not (field.get("min") or 0) <= len(value) <= (field.get("max") or len(value)):
        return False
    if not _matches(field.get("pattern"), value):
        return False
    if kind == "email":
        return _EMAIL.fullmatch(value) is not None
    if kind == "uuid":
        try:
            uuid.UUID(value)
        except ValueError:
            return False
    return True


def fresh(value: Any, field: Mapping[str, Any], token: str, number: int, *, keep_length: bool = False) -> Any:
    """A value that no other ``number`` gives; the same value when the schema leaves no room for one.

    ``keep_length`` is for cases that are about a boundary: a string of the smallest length stays as short as it is.
    """
    kind = field["kind"]
    if kind == "integer":
        low, high = field.get("min"), field.get("max")
        base = int(token, 36) % 100_000 * 10_000 + number
        low = 1 if low is None else low
        return low + base % (high - low + 1) if high is not None else low + base
    if kind == "uuid":
        return str(uuid.uuid5(_NAMESPACE, f"{token}{number}"))
    mark = token + base36(number, 3)
    if kind == "email":
        return _email(value, field, mark)
    return _text(value, field, mark, zlib.crc32(token.encode()) + number, keep_length=keep_length)


def _email(value: str, field: Mapping[str, Any], mark: str) -> str:
    local, _, domain = value.rpartition("@")
    high = field.get("max")
    room = min(64, high - len(domain) - 1) if high else 64
    if room < 2:
        return value
    mark = _cut(mark, room)
    # A long address was generated to be long; a short one may grow, because short ones collide.
    stamped = mark + local[len(mark) :] if len(local) > len(mark) else mark
    low = field.get("min") or 0
    stamped = stamped.ljust(min(64, max(0, low - len(domain) - 1)), "x")
    result = f"{stamped}@{domain}"
    return result if fits(result, field) else value


def _text(value: str, field: Mapping[str, Any], mark: str, count: int, *, keep_length: bool) -> str:
    low, high = field.get("min") or 0, field.get("max")
    length = len(value)
    if length < len(mark):
        if keep_length and length < 2:
            return value
        length = length if keep_length else min(len(mark), high or len(mark))
    length = max(length, low)
    stamp = _cut(mark, length)
    for candidate in (
        stamp + value[len(stamp) : length],
        stamp.upper() + value[len(stamp) : length],
        value[: max(0, length - len(stamp))] + stamp,
        _in_place(value, count),
    ):
        candidate = candidate.ljust(low, "x")
        if candidate != value and fits(candidate, field):
            return candidate
    return value


def _in_place(value: str, number: int) -> str:
    """The value with its letters and digits counting on like an odometer, each within its own kind."""
    out = list(value)
    for place in range(len(out) - 1, -1, -1):
        char = out[place]
        if not char.isascii() or not char.isalnum():
            continue
        if char.isdigit():
            number, digit = divmod(number, 10)
            out[place] = str(digit)
        else:
            number, digit = divmod(number, 26)
            out[place] = chr((65 if char.isupper() else 97) + digit)
    return "".join(out)


def _cut(mark: str, length: int) -> str:
    # The counter at the end is what differs.
    return mark[-length:] if length else ""


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _matches(pattern: str | None, value: str) -> bool:
    if not pattern:
        return True
    compiled = _compiled(pattern)
    return compiled is not None and compiled.search(value) is not None
