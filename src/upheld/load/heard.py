"""What generators kept of their requests and answers, as exchanges that observers can judge. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from upheld.exchange import Exchange, Headers, Request, Response, Session
from upheld.load.kept import BODY

LOAD, QUIET = "load", "quiet"
"""How the source of an exchange begins: sent under load, or before it, to a service that did nothing else for us."""


def under_load(exchange: Exchange) -> bool:
    """Whether it was sent under load."""
    return exchange.source.startswith(LOAD)


def heard(kept: Iterable[Mapping[str, Any]], sessions: Sequence[Session]) -> Iterator[Exchange]:
    """One exchange for each that was kept, with the session of its identity. Raises KeyError, TypeError or ValueError for what
    no generator has made."""
    by_name = {session.name: session for session in sessions}
    for number, item in enumerate(kept):
        path, _, query = str(item["path"]).partition("?")
        request = Request(
            str(item["method"]),
            path,
            tuple(parse_qsl(query, keep_blank_values=True)),
            Headers(item["headers"]),
            None if item["body"] is None else octets(item["body"]),
            by_name.get(item["identity"]),
            str(item["operation"]),
        )
        body = octets(item["answer_body"])
        response = Response(
            int(item["status"]),
            Headers([(str(name), str(value)) for name, value in item["answer_headers"]]),
            body,
            elapsed=float(item["latency_ms"]) / 1000,
            at=float(item["due"]),
            truncated=len(body) >= BODY,
        )
        yield Exchange(request, response, phase="load", source=f"{LOAD} {number}")


def octets(text: str) -> bytes:
    """The inverse of `upheld.load.kept.text`."""
    return text.encode("utf-8", "surrogateescape")
