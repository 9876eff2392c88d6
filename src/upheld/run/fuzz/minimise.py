"""A greedy reducer of JSON values. Pure: it yields a smaller candidate and is sent whether it still fails.

The engine shrinks nothing: a failing case comes back as the generator drew it, with every optional member and odd character
(measured with three versions of its generator).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

Reduction = Generator[Any, bool, Any]
"""Yields candidates, is sent whether one still fails, returns the smallest that did."""
Wrap = Callable[[Any], Any]
"""Puts a part back into the whole."""

_LONGEST_SPELT = 24
"""Characters of a text that are made plain one by one."""


def reduced(value: Any, budget: int = 400) -> Reduction:
    """Make the value smaller until nothing smaller fails, or ``budget`` candidates were tried."""
    return (yield from _Reducer(value, budget).run())


class _Spent(Exception):
    pass


class _Reducer:
    def __init__(self, value: Any, budget: int) -> None:
        self.best = value
        self._left = budget
        self._tried = {repr(value)}

    def run(self) -> Reduction:
        try:
            while True:
                before = self.best
                yield from self._any(before, lambda part: part)
                if repr(self.best) == repr(before):
                    break
        except _Spent:
            pass
        return self.best

    def _fails(self, whole: Any) -> Generator[Any, bool, bool]:
        name = repr(whole)
        if name in self._tried:
            return False
        if self._left <= 0:
            raise _Spent
        self._tried.add(name)
        self._left -= 1
        fails = yield whole
        if fails:
            self.best = whole
        return bool(fails)

    def _any(self, value: Any, wrap: Wrap) -> Reduction:
        if isinstance(value, dict):
            return (yield from self._object(value, wrap))
        if isinstance(value, list):
            return (yield from self._array(value, wrap))
        if isinstance(value, str):
            return (yield from self._text(value, wrap))
        if isinstance(value, bool):
            return False if value and (yield from self._fails(wrap(False))) else value
        if isinstance(value, (int, float)):
            return (yield from self._number(value, wrap))
        return value

    def _object(self, value: dict[str, Any], wrap: Wrap) -> Reduction:
        names = yield from self._fewer(list(value), lambda kept: wrap({name: value[name] for name in kept}))
        value = {name: value[name] for name in names}
        for name in names:

            def put(part: Any, name: str = name) -> Any:
                return wrap({**value, name: part})

            value[name] = yield from self._any(value[name], put)
        return value

    def _array(self, value: list[Any], wrap: Wrap) -> Reduction:
        value = yield from self._fewer(value, wrap)
        for place in range(len(value)):

            def put(part: Any, place: int = place) -> Any:
                return wrap([*value[:place], part, *value[place + 1 :]])

            value[place] = yield from self._any(value[place], put)
        return value

    def _fewer(self, parts: list[Any], wrap: Wrap) -> Reduction:
        """Leave parts out: all, then halves, then smaller runs of them, down to single ones."""
        if not parts or (yield from self._fails(wrap([]))):
            return []
        size = max(1, len(parts) // 2)
        while size:
            place = 0
            while place < len(parts):
                kept = parts[:place] + parts[place + size :]
                if kept and (yield from self._fails(wrap(kept))):
                    parts = kept
                else:
                    place += size
            size //= 2
        return list(parts)

    def _text(self, value: str, wrap: Wrap) -> Reduction:
        if not value or (yield from self._fails(wrap(""))):
            return ""
        if value.strip("0") and (yield from self._fails(wrap("0" * len(value)))):
            value = "0" * len(value)
        if not value.strip("0"):
            # Only the length can matter now.
            shortest = yield from self._lowest(0, len(value), lambda length: wrap("0" * length))
            return "0" * shortest
        letters = yield from self._fewer(list(value), lambda kept: wrap("".join(kept)))
        for place, letter in enumerate(letters):
            if letter != "0" and len(letters) <= _LONGEST_SPELT:
                plain = [*letters[:place], "0", *letters[place + 1 :]]
                if (yield from self._fails(wrap("".join(plain)))):
                    letters = plain
        return "".join(letters)

    def _number(self, value: int | float, wrap: Wrap) -> Reduction:
        if (value or isinstance(value, float)) and (yield from self._fails(wrap(0))):
            return 0
        if value != value or value in (float("inf"), float("-inf")):
            return value
        if value < 0 and (yield from self._fails(wrap(-value))):
            value = -value
        if isinstance(value, float) and (yield from self._fails(wrap(int(value)))):
            value = int(value)
        if isinstance(value, float) and abs(value) <= 1:
            return value
        return (yield from self._lowest(0, value, wrap))

    def _lowest(self, passes: int, fails: int | float, wrap: Wrap) -> Reduction:
        """The whole number nearest to ``passes`` that fails, if failing has one border."""
        while abs(fails - passes) > 1:
            middle = (passes + int(fails)) // 2
            if middle in (passes, fails):
                break
            if (yield from self._fails(wrap(middle))):
                fails = middle
            else:
                passes = middle
        return fails


def size(value: Any) -> tuple[int, int, float]:
    """What the reducer lowers: number of parts, length and oddness of the texts, size of the numbers."""
    if isinstance(value, (dict, list)):
        parts = [size(item) for item in (value.values() if isinstance(value, dict) else value)]
        return (1 + sum(p[0] for p in parts), sum(p[1] for p in parts), sum(p[2] for p in parts))
    if isinstance(value, str):
        return (1, sum(1 if char == "0" else 2 for char in value), 0)
    if isinstance(value, (int, float)) and value == value:
        return (1, 0, abs(value) + (value < 0) * 0.5 + isinstance(value, float) * 0.25)
    return (1, 0, 0)
