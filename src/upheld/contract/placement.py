"""Where a token stands in a request: the notation of ``auth.scheme``.

``bearer`` is Authorization with Bearer (RFC 6750 §2.1). ``apiKey:header:NAME``, ``…:query:…`` and ``…:cookie:…`` are the token
alone, as OpenAPI's apiKey schemes have it. ``header:NAME:TEMPLATE`` is any other form: ``header:Authorization:Token {token}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

MARK = "{token}"
COOKIE = "cookie"
"""What is said in place of the token's pointer where the cookies of a login's answer are the credential."""
FIELD_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""RFC 9110 §5.1: a field name is a token."""
PATTERN = rf"^(bearer|apiKey:(header|query|cookie):\S+|header:{FIELD_NAME}:[^\r\n]*\{{token\}}[^\r\n]*)$"


@dataclass(frozen=True, slots=True)
class Placement:
    """A part of a request and the text that stands there, with ``{token}`` in the token's place."""

    where: Literal["header", "query", "cookie"]
    name: str
    template: str = MARK

    def field(self, token: str) -> tuple[str, str] | None:
        """The header field that carries the token; None where it goes into the query."""
        value = self.template.replace(MARK, token)
        if self.where == "cookie":
            return ("Cookie", f"{self.name}={value}")
        return (self.name, value) if self.where == "header" else None

    def token(self, fields: Iterable[tuple[str, str]]) -> str | None:
        """The token that these header fields carry; None where they carry none in this form."""
        if self.where != "header":
            return None
        before, _, after = self.template.partition(MARK)
        for name, value in fields:
            fits = name.lower() == self.name.lower() and value.startswith(before) and value.endswith(after)
            if fits and len(value) > len(before) + len(after):
                return value[len(before) : len(value) - len(after)]
        return None

    @property
    def notation(self) -> str:
        """As ``auth.scheme`` has it, in its shortest form."""
        if self.where == "header" and self.name.lower() == "authorization" and self.template == f"Bearer {MARK}":
            return "bearer"
        if self.template == MARK:
            return f"apiKey:{self.where}:{self.name}"
        return f"{self.where}:{self.name}:{self.template}"


def placement(notation: str) -> Placement:
    """``bearer``, ``apiKey:header:X-API-Key`` or ``header:Authorization:Token {token}`` taken apart."""
    kind, _, rest = notation.partition(":")
    first, _, last = rest.partition(":")
    if kind == "header":
        return Placement("header", first, last)
    where: Any = first
    return Placement(where, last) if kind == "apiKey" else Placement("header", "Authorization", f"Bearer {MARK}")


def api_key_field(schemes: Mapping[str, Mapping[str, Any]]) -> str:
    """The header field that carries an API key by the document's security schemes; ``X-API-Key`` where it names none."""
    named = (s.get("name") for s in schemes.values() if s.get("type") == "apiKey" and s.get("in") == "header")
    return next((str(name) for name in named if name), "X-API-Key")
