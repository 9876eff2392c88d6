"""What showed a breach, as it is kept: secrets masked, an identity in place of its credentials."""

from __future__ import annotations

import re

from upheld.exchange import Exchange
from upheld.report.mask import Masker
from upheld.verdict import Said

LONGEST = 20_000
"""Characters that are kept of an answer's body."""


def said(exchange: Exchange, masker: Masker) -> Said:
    """One exchange, masked."""
    request, response = exchange.request, exchange.response
    headers = masker.headers(request.headers.pairs)
    target = masker(request.target)
    body = None if request.body is None else _text(request.body, masker)
    unchanged = (request.headers.pairs, request.target, request.body) == (headers, target, _octets(body))
    return Said(
        method=request.method,
        target=target,
        headers=headers,
        body=body,
        operation=request.operation or "",
        role=request.session.role if request.session else "",
        status=response.status,
        answer_headers=masker.headers(response.headers.pairs),
        answer=_text(response.body, masker)[:LONGEST],
        phase=exchange.phase,
        intent=exchange.intent or "",
        broken=masker(exchange.broken),
        masked=not unchanged,
    )


def dialogue_of(source: str) -> str:
    """The id of the promise whose dialogue this source was a playing of; empty for another source."""
    found = re.fullmatch(r"([a-z0-9-]+/[a-z0-9-]+\[.*\])#\d+", source, re.DOTALL)
    return found[1] if found else ""


def _text(data: bytes, masker: Masker) -> str:
    return masker.octets(data).decode("utf-8", "surrogateescape")


def _octets(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")
