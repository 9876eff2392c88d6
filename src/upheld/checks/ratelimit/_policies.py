"""RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers-10, read with a parser of structured fields (RFC 9651).

The parser takes whatever is a List; that an item is a String, and which parameters it needs, is looked at here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


class Unreadable(ValueError):
    """The field is not what the draft says; the message tells how."""


@dataclass(frozen=True, slots=True)
class Item:
    """One policy with its numbers: ``q`` and ``w`` of RateLimit-Policy (§3.1), ``r`` and ``t`` of RateLimit (§4.1)."""

    name: str
    numbers: Mapping[str, int]


_Field = Literal["RateLimit-Policy", "RateLimit"]
_NUMBERS: Mapping[_Field, tuple[str, str]] = {"RateLimit-Policy": ("q", "w"), "RateLimit": ("r", "t")}
"""The required parameter and the optional one."""


def items(field: _Field, value: str) -> Sequence[Item]:
    """The policies that a field value tells of, at least one. Raises `Unreadable`."""
    from http_sf import parse

    try:
        found: Any = parse(value.encode("latin-1", "replace"), tltype="list")
    except ValueError as error:
        raise Unreadable(f"it is no List of RFC 9651: {error}") from error
    if not found:
        raise Unreadable("it is an empty List")
    return [_item(field, *each) for each in found]


def _item(field: _Field, name: object, parameters: Mapping[str, object]) -> Item:
    if type(name) is not str:  # a Token or a Display String is a class of its own
        raise Unreadable(f"the policy's name {str(name)[:40]!r} is no String (it needs double quotes)")
    needed, optional = _NUMBERS[field]
    if needed not in parameters:
        raise Unreadable(f"{name!r} has no {needed}")
    numbers = {}
    for key in (needed, optional):
        if key not in parameters:
            continue
        number = parameters[key]
        if type(number) is not int or number < (1 if key == "w" else 0):
            raise Unreadable(
                f"{key} of {name!r} is {number}, not a {'positive' if key == 'w' else 'non-negative'} Integer"
            )
        numbers[key] = number
    if not isinstance(parameters.get("pk", b""), bytes):
        raise Unreadable(f"pk of {name!r} is no Byte Sequence")
    return Item(name, numbers)


def names(policy: str) -> list[str]:
    """The names in a RateLimit-Policy; none where it can't be read."""
    try:
        return [item.name for item in items("RateLimit-Policy", policy)]
    except Unreadable:
        return []
