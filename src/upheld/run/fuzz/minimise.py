"""A greedy reducer of JSON values. Pure: it yields a smaller candidate and is sent whether it still fails.

The engine shrinks nothing: a failing case comes back as the generator drew it, with every optional member and odd character
(measured with three versions of its generator).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

Reduction = Generator[Any, bool, Any]
"""Yields candidates, is sent whether one still fails, returns the smallest that did."""


def reduced(value: Any, budget: int = 400) -> Reduction:
    """Make the value smaller until nothing smaller fails, or ``budget`` candidates were tried."""
    tried: set[str] = {_key(value)}
    left = budget
    progress = True
    while progress and left > 0:
        progress = False
        for candidate in _smaller(value):
            name = _key(candidate)
            if name in tried:
                continue
            tried.add(name)
            left -= 1
            still_fails = yield candidate
            if still_fails:
                value, progress = candidate, True
                break
            if left <= 0:
                break
    return value


def size(value: Any) -> tuple[int, int, int]:
    """What the reducer lowers: number of parts, length of the texts, size of the numbers."""
    if isinstance(value, dict):
        parts = [size(item) for item in value.values()]
        return (1 + sum(p[0] for p in parts), sum(p[1] for p in parts), sum(p[2] for p in parts))
    if isinstance(value, list):
        parts = [size(item) for item in value]
        return (1 + sum(p[0] for p in parts), sum(p[1] for p in parts), sum(p[2] for p in parts))
    if isinstance(value, str):
        return (1, sum(_weight(c) for c in value), 0)
    if isinstance(value, bool) or value is None:
        return (1, 0, int(value is True))
    if isinstance(value, float) and value != value:
        return (1, 0, 1 << 60)
    magnitude = min(abs(value), 1 << 52)
    is_fraction = isinstance(value, float) and not value.is_integer()
    return (1, 0, 2 * int(magnitude) + (value < 0) + 2 * is_fraction + isinstance(value, float))


def _weight(char: str) -> int:
    return 1 if char == "0" else 2 if char.isascii() and char.isalnum() else 3


def _smaller(value: Any) -> Iterator[Any]:
    """Candidates, the boldest first."""
    if isinstance(value, dict):
        names = list(value)
        if len(names) > 3:
            half = len(names) // 2
            yield {name: value[name] for name in names[:half]}
            yield {name: value[name] for name in names[half:]}
        for name in names:
            yield {other: value[other] for other in names if other != name}
        for name in names:
            for inner in _smaller(value[name]):
                yield {**value, name: inner}
    elif isinstance(value, list):
        if value:
            yield []
        if len(value) > 1:
            for place in range(len(value)):
                yield [value[place]]
            yield value[: len(value) // 2]
            yield value[1:]
        for place, item in enumerate(value):
            for inner in _smaller(item):
                yield [*value[:place], inner, *value[place + 1 :]]
    elif isinstance(value, str):
        yield from _shorter(value)
    elif isinstance(value, bool):
        if value:
            yield False
    elif isinstance(value, (int, float)):
        yield from _lower(value)


def _shorter(text: str) -> Iterator[str]:
    if not text:
        return
    yield ""
    plain = "0" * len(text)
    if text != plain:
        yield plain
    length = len(text)
    if length > 1:
        yield text[: length // 2]
        yield text[length // 2 :]
        yield text[:-1]
        yield text[1:]
    if text != plain and length <= 24:
        for place, char in enumerate(text):
            if char != "0":
                yield text[:place] + "0" + text[place + 1 :]


def _lower(number: int | float) -> Iterator[int | float]:
    if number == 0 or number != number or number in (float("inf"), float("-inf")):
        if isinstance(number, float) and number == 0:
            yield 0
        return
    yield 0
    if number < 0:
        yield -number
    if isinstance(number, float):
        yield int(number)
    if abs(number) >= 2:
        # Towards nought by halves, then by the rest that a half was too much.
        half = int(number / 2)
        yield half
        step = half
        while abs(step) > 1:
            step = int(step / 2)
            yield int(number) - step
        yield int(number) - (1 if number > 0 else -1)
    elif abs(number) == 1:
        return
    else:
        yield 1 if number > 0 else -1


def _key(value: Any) -> str:
    return repr(value)
