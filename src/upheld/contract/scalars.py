"""Numbers and strings for a schema without choices: formats, bounds, and values that nobody else has."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from upheld.contract.texts import text
from upheld.contract.words import key

FORMATS: Mapping[str, str] = {
    "email": "sample@example.com", "idn-email": "sample@example.com", "uuid": "5b2e6a1c-8a5c-4d3e-9f10-2f6f0a7c1d11",
    "date-time": "2026-01-15T12:00:00Z", "date": "2026-01-15", "time": "12:00:00Z", "duration": "P1D",
    "uri": "https://example.com/sample", "url": "https://example.com/sample", "iri": "https://example.com/sample",
    "uri-reference": "/sample", "iri-reference": "/sample", "uri-template": "/sample/{id}", "hostname": "example.com",
    "idn-hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "byte": "c2FtcGxl", "base64": "c2FtcGxl",
    "binary": "sample", "password": "Correct-horse-7-staple", "json-pointer": "/sample", "relative-json-pointer": "0",
    "regex": "^sample$", "decimal": "1.00",
}  # fmt: skip
_FIXED = frozenset(FORMATS) - {
    "email",
    "idn-email",
    "uuid",
    "uri",
    "url",
    "iri",
    "password",
    "binary",
    "byte",
    "base64",
}
"""Formats whose values can't carry a token of ours."""
# Fields that services check more closely than their documents say.
BY_NAME: Mapping[str, str] = {
    "email": FORMATS["email"], "email_address": FORMATS["email"], "url": FORMATS["uri"], "website": FORMATS["uri"],
    "uri": FORMATS["uri"], "link": FORMATS["uri"], "phone": "+12025550123", "phone_number": "+12025550123",
    "currency": "EUR", "country": "DE", "country_code": "DE", "language": "en", "locale": "en", "timezone": "UTC",
    "password": FORMATS["password"], "date": FORMATS["date"], "color": "#336699", "zip": "10115", "postal_code": "10115",
}  # fmt: skip


def hint(schema: Mapping[str, Any], name: str) -> str:
    """What a string of this format, or a field of this name, usually looks like; empty when nothing is known."""
    return FORMATS.get(str(schema.get("format", ""))) or BY_NAME.get(key(name)) or ""


def unique_text(schema: Mapping[str, Any], name: str, token: str) -> str:
    """A string that differs wherever ``token`` does, in the form that the schema or the field's name asks for."""
    form = schema.get("format")
    if form == "uuid":
        return str(uuid.uuid5(uuid.NAMESPACE_URL, token))
    if form in ("email", "idn-email") or (form is None and "pattern" not in schema and "email" in key(name)):
        return text(schema, f"{token}@example.com", seed=token)
    if form in ("uri", "url", "iri"):
        return text(schema, f"https://example.com/{token}", seed=token)
    if form in _FIXED:
        return text(schema, hint(schema, name), seed=token)  # there is no telling apart what has a form of its own
    return text(schema, token, seed=token)


def number(schema: Mapping[str, Any], *, whole: bool, seed: str = "") -> int | float:
    """A number within the schema's bounds, 1 where it may; ``seed`` chooses another."""
    low, above = _bound(schema, "minimum", "exclusiveMinimum", max)
    high, below = _bound(schema, "maximum", "exclusiveMaximum", min)
    step = schema.get("multipleOf") or (1 if whole else None)
    start: float = 1
    if seed:
        span = 2**31 - 1 if high is None else min(int(high - (low or 0)), 2**31 - 1)
        start = (low or 0) + int(digest(seed)[:12], 16) % max(span, 1)
    start = low if low is not None and start < low else start
    start = high if high is not None and start > high else start
    for value in _candidates(start, step, low, high):
        fits = (low is None or value > low or (value == low and not above)) and (
            high is None or value < high or (value == high and not below)
        )
        if fits and (not whole or float(value).is_integer()):
            return int(value) if float(value).is_integer() else value
    return int(start) if whole else start


def digest(token: str) -> str:
    """Hexadecimal digits that stand for this token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _bound(
    schema: Mapping[str, Any], inclusive: str, exclusive: str, tighter: Callable[[float, float], float]
) -> tuple[float | None, bool]:
    """(bound, whether the bound itself is outside)."""
    one, other = (
        value if isinstance(value := schema.get(name), (int, float)) and not isinstance(value, bool) else None
        for name in (inclusive, exclusive)
    )
    if one is None or other is None:
        return (one, False) if other is None else (other, True)
    bound = tighter(one, other)
    return bound, bound == other


def _candidates(start: float, step: float | None, low: float | None, high: float | None) -> Iterator[float]:
    if not step:
        yield from (start, start + 0.5, start - 0.5)
        if low is not None and high is not None:
            yield (low + high) / 2
        return
    nearest = math.ceil(start / step - 1e-9)
    for distance in range(21):
        yield (nearest + distance) * step
        yield (nearest - distance) * step
