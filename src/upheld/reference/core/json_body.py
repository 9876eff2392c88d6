"""JSON read strictly: what RFC 8259 leaves to the reader is refused here, so that nobody can read a body two ways."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from .problems import MALFORMED_BODY, Problem

MAX_DEPTH = 64
MAX_BRACKETS = 10_000
"""More than any valid body of this API has, those inside of strings included."""
MAX_MEMBERS = 1000
MAX_NUMBER_LENGTH = 64

# A string that never ends is one token too: were it none, each of its quotes would be tried as a beginning, which takes a
# second for a kilobyte squared.
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(body: bytes) -> Any:
    """The value of a JSON text; a Problem 400 for anything that is not interoperable JSON in UTF-8."""
    try:
        # RFC 8259 §8.1: UTF-8 MUST be used between systems, and a byte order mark MUST NOT be added.
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("The body is not UTF-8.") from None
    if text.startswith("\ufeff"):
        raise _malformed("The body starts with a byte order mark.")
    brackets = text.count("[") + text.count("{")
    if brackets > MAX_BRACKETS:
        raise _malformed("The body has too many arrays and objects.")
    if brackets > MAX_DEPTH:
        _bound_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_members,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except (ValueError, RecursionError):
        raise _malformed("The body is not JSON.") from None
    if _SURROGATE_ESCAPE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise _malformed("A string holds half of a surrogate pair.") from None
    return value


def _malformed(detail: str) -> Problem:
    return Problem(MALFORMED_BODY, detail)


def _bound_depth(text: str) -> None:
    depth = 0
    for match in _TOKENS.finditer(text):
        token = match[0]
        if token in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _malformed(f"The body is nested more than {MAX_DEPTH} levels deep.")
        elif token in "]}":
            depth -= 1


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_MEMBERS:
        raise _malformed(f"An object has more than {MAX_MEMBERS} members.")
    value = dict(pairs)
    if len(value) != len(pairs):
        # RFC 8259 §4: with repeated names "the behavior of software ... is unpredictable".
        raise _malformed("An object repeats a member name.")
    return value


def _constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is not JSON.")


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise _malformed("A number is too long.")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits) if len(digits) <= MAX_NUMBER_LENGTH else float("inf")
    if value in (float("inf"), float("-inf")):
        raise _malformed("A number is out of range.")
    return value
