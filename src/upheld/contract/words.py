"""Names taken apart into words: ``operationId``, paths, properties. ``"createSalesOrder"`` → create, sales, order."""

from __future__ import annotations

import re
from functools import lru_cache

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# Written as one word or as two; the one word is what the rest of the house asks for.
_PAIRS = {
    ("log", "in"): "login", ("sign", "in"): "signin", ("log", "on"): "logon", ("log", "out"): "logout",
    ("log", "off"): "logoff", ("sign", "out"): "signout", ("sign", "off"): "signoff", ("sign", "up"): "signup",
    ("shut", "down"): "shutdown", ("pass", "word"): "password", ("user", "name"): "username", ("e", "mail"): "email",
    ("back", "up"): "backup",
}  # fmt: skip


@lru_cache(maxsize=8192)
def words(name: str) -> tuple[str, ...]:
    """Lower-case words of a name in camelCase, snake_case, kebab-case or a path without its templates."""
    text = re.sub(r"\{[^{}]*\}", " ", name)
    parts = [part.lower() for part in _PARTS.findall(text)]
    out: list[str] = []
    for part in parts:
        pair = _PAIRS.get((out[-1], part)) if out else None
        if pair:
            out[-1] = pair
        else:
            out.append(part)
    return tuple(out)


def key(name: str) -> str:
    """A property's name for comparison: ``accessToken``, ``access-token`` and ``access_token`` are ``access_token``."""
    return "_".join(words(name)) or name.lower()


def singular(word: str) -> str:
    """``orders`` → ``order``, ``categories`` → ``category``; good enough to compare names."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(ss|x|z|ch|sh)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
