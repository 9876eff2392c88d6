"""Strings that fit ``minLength``, ``maxLength`` and ``pattern``: a small generator over Python's own regex parser."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

# ECMA-262 property escapes, which Python's re does not know, as the part of them that we need.
_PROPERTIES = (
    (r"\p{L}", "A-Za-z"), (r"\p{Lu}", "A-Z"), (r"\p{Ll}", "a-z"), (r"\p{N}", "0-9"), (r"\p{Nd}", "0-9"),
    (r"\p{Letter}", "A-Za-z"), (r"\p{M}", ""),
)  # fmt: skip
_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_. "


def text(schema: Mapping[str, Any], hint: str = "", *, seed: str = "") -> str:
    """A string for this schema: the hint where it fits, else one made to measure. ``seed`` varies it."""
    low = max(int(schema.get("minLength", 0)), 0)
    high = schema.get("maxLength")
    high = int(high) if isinstance(high, (int, float)) else None
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        return _by_pattern(pattern, hint, low, high, seed)
    return _to_length(hint or "sample", low, high, seed)


def _to_length(value: str, low: int, high: int | None, seed: str) -> str:
    if high is not None and len(value) > high:
        # What differs in a unique name is its end; a digest keeps that in few characters.
        room = high - len("@b.co")
        if "@" in value and room > 0:
            value = (_digest(seed, room) if seed else value.partition("@")[0][:room]) + "@b.co"
        else:
            value = _digest(seed, high) if seed else value[:high]
    if len(value) < low:
        fill = "x" * (low - len(value))
        local, at, domain = value.partition("@")
        value = f"{local}{fill}@{domain}" if at else value + fill
    return value


def _digest(seed: str, length: int) -> str:
    letters = random.Random(seed)
    return "".join(letters.choice(_PLAIN[:36]) for _ in range(length))


def _by_pattern(pattern: str, hint: str, low: int, high: int | None, seed: str) -> str:
    def fits(value: str) -> bool:
        return low <= len(value) and (high is None or len(value) <= high) and _matches(pattern, value)

    guesses = [hint, hint.upper(), _to_length(hint, low, high, seed)] if hint else []
    for guess in guesses:
        if fits(guess):
            return guess
    for made in _attempts(pattern, low, seed):
        for value in (made, made + "x" * (low - len(made)), "x" * (low - len(made)) + made):
            if fits(value):
                return value
    return _by_hypothesis(pattern, low, high, seed)


def _attempts(pattern: str, low: int, seed: str) -> Iterator[str]:
    """Strings that the pattern should match: first the plainest, then at random, which look-aheads often need."""
    chooser = random.Random(seed) if seed else None
    for extra in (0, 1, 2, 4, 8, low, low + 8):
        made = from_regex(pattern, extra, chooser)
        if made is None:
            return
        yield made
    chooser = random.Random(seed or pattern)
    for count in range(200):
        made = from_regex(pattern, (4, 8, 0, low)[count % 4], chooser, plain=count < 50)
        if made is not None:
            yield made


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> Any:
    import jsonschema_rs

    try:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern}).is_valid
    except ValueError:
        # Nothing can be said about a pattern that is none; the text then stands as it is.
        return bool


def _matches(pattern: str, value: str) -> bool:
    return bool(_matcher(pattern)(value))


def _python(pattern: str) -> str:
    for name, characters in _PROPERTIES:
        # Inside a class the bare ranges are right; outside they need brackets of their own.
        pattern = re.sub(r"(\[[^\]]*)" + re.escape(name), rf"\g<1>{characters}", pattern)
        pattern = pattern.replace(name, f"[{characters}]" if characters else "")
    return pattern


def from_regex(pattern: str, extra: int = 0, chooser: random.Random | None = None, *, plain: bool = True) -> str | None:
    """A short string that the pattern should match; None when it is too clever for us.

    ``extra`` more of each repetition; ``plain`` takes letters and digits where a class has them.
    """
    try:
        # The parser is CPython's own and private; where it changes, Hypothesis takes over.
        from re import _parser as parser

        return _Generator(extra, chooser, plain).sequence(parser.parse(_python(pattern)))
    except (ImportError, re.error, NotImplementedError, RecursionError, OverflowError, ValueError):
        return None


class _Generator:
    def __init__(self, extra: int, chooser: random.Random | None, plain: bool) -> None:
        self.extra = extra
        self.plain = plain
        self.chooser = chooser
        self.groups: dict[int, str] = {}

    def sequence(self, tree: Any) -> str:
        return "".join(self.one(str(op), argument) for op, argument in tree)

    def one(self, op: str, argument: Any) -> str:
        method = getattr(self, f"_{op.lower()}", None)
        if method is None:
            raise NotImplementedError(op)
        made: str = method(argument)
        return made

    def _pick(self, options: str) -> str:
        if not options:
            raise NotImplementedError("an empty class")
        return self.chooser.choice(options) if self.chooser else options[0]

    def _literal(self, code: int) -> str:
        return chr(code)

    def _not_literal(self, code: int) -> str:
        return self._pick(_PLAIN.replace(chr(code), ""))

    def _any(self, _: Any) -> str:
        return self._pick(_PLAIN[:36])

    def _in(self, items: Any) -> str:
        negated = bool(items) and str(items[0][0]) == "NEGATE"
        allowed = "".join(self._members(str(op), argument) for op, argument in items[1 if negated else 0 :])
        if negated:
            return self._pick("".join(c for c in _PLAIN if c not in allowed))
        letters = "".join(c for c in allowed if c in _PLAIN[:62]) if self.plain else ""
        return self._pick(letters or allowed)

    def _members(self, op: str, argument: Any) -> str:
        if op == "LITERAL":
            return chr(argument)
        if op == "RANGE":
            low, high = argument
            return "".join(chr(code) for code in range(low, min(high, low + 200) + 1))
        if op == "CATEGORY":
            name = str(argument)
            inside = {"DIGIT": "0123456789", "WORD": _PLAIN[:62] + "_", "SPACE": " \t"}
            for kind, characters in inside.items():
                if name.endswith(f"NOT_{kind}"):
                    return "".join(c for c in _PLAIN + "!#%" if c not in characters)
                if name.endswith(kind):
                    return characters
        raise NotImplementedError(op)

    def _category(self, argument: Any) -> str:
        return self._pick(self._members("CATEGORY", argument))

    def _branch(self, argument: Any) -> str:
        branches = argument[1]
        return self.sequence(self.chooser.choice(branches) if self.chooser else branches[0])

    def _subpattern(self, argument: Any) -> str:
        made = self.sequence(argument[-1])
        if argument[0] is not None:
            self.groups[argument[0]] = made
        return made

    def _groupref(self, number: int) -> str:
        return self.groups.get(number, "")

    def _repeat(self, argument: Any) -> str:
        low, high, tree = argument
        count = min(low + self.extra, int(high), 10_000)
        return "".join(self.sequence(tree) for _ in range(count))

    _max_repeat = _min_repeat = _possessive_repeat = _repeat

    def _atomic_group(self, tree: Any) -> str:
        return self.sequence(tree)

    def _at(self, _: Any) -> str:
        return ""

    def _assert(self, argument: Any) -> str:
        # Look-aheads are left to the check of the whole.
        return ""

    _assert_not = _assert


def _by_hypothesis(pattern: str, low: int, high: int | None, seed: str) -> str:
    """The last resort; importing Hypothesis costs a quarter of a second."""
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis.errors import HypothesisException
    from hypothesis.strategies import from_regex as strategy

    def fits(value: str) -> bool:
        return low <= len(value) and (high is None or len(value) <= high) and _matches(pattern, value)

    quiet = settings(
        database=None, max_examples=60, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None
    )
    try:
        return find(strategy(_python(pattern)), fits, settings=quiet, random=random.Random(seed or 0))
    except (HypothesisException, re.error, ValueError):
        return _to_length("sample", low, high, seed)
