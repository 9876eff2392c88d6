"""``${NAME}`` in a text is an environment variable: so a template names a secret without holding it."""

from __future__ import annotations

import re
from collections.abc import Callable

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def variables(text: str) -> tuple[str, ...]:
    """The names in a text, each once, in their order."""
    return tuple(dict.fromkeys(VARIABLE.findall(text)))


def supplied(text: str, value: Callable[[str], str]) -> str:
    """The text with ``value(name)`` in the place of each name. What comes in is not looked at again."""
    return VARIABLE.sub(lambda found: value(found[1]), text)
