"""Parameters of OAuth requests, read strictly (RFC 6749 §3.1 and §3.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from urllib.parse import parse_qsl

MAX_PARAMETERS = 100


class MalformedForm(ValueError):
    """It is no form of type application/x-www-form-urlencoded in UTF-8."""


def pairs(text: bytes) -> list[tuple[str, str]]:
    """The parameters in their order. Raises `MalformedForm`.

    "Parameters sent without a value MUST be treated as if they were omitted from the request", so they are not here.
    """
    try:
        found = parse_qsl(text.decode("utf-8"), errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise MalformedForm from None
    return found


def repeated(parameters: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Names that are there more than once, which "MUST NOT" be."""
    return frozenset(name for name, count in Counter(name for name, _ in parameters).items() if count > 1)
