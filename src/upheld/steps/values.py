"""Answers and requests as values: what a pointer names, how an answer is described, how a body is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from upheld.exchange import Request, Response


def octets(request: Request, *fields: tuple[str, str]) -> bytes:
    """The request as it stands on the wire, its session's credentials included, for `raw`; ``fields`` come after its own.

    ``Host: {host}``, Content-Length and ``Connection: close`` are added where the request does not say otherwise.
    """
    pairs = [*request.headers.pairs, *fields]
    given = {name.lower() for name, _ in pairs}
    if request.session is not None:
        pairs += [(name, value) for name, value in request.session.headers if name.lower() not in given]
    if "host" not in given:
        pairs.insert(0, ("Host", "{host}"))
    if request.body is not None and not given & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(request.body))))
    if "connection" not in given:
        pairs.append(("Connection", "close"))
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + (request.body or b"")


_SHOWN = 160
_CRASHES = frozenset({500, 502, 504})


def pointed(document: Any, pointer: str) -> Any:
    """The value that a JSON Pointer (RFC 6901) names. Raises LookupError."""
    value = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)] if key.isdigit() else _missing(pointer)
        elif isinstance(value, Mapping) and key in value:
            value = value[key]
        else:
            _missing(pointer)
    return value


def _missing(pointer: str) -> Any:
    raise LookupError(pointer)


def crashed(response: Response) -> bool:
    """The service, or what stands before it, did not cope: not 501, 503 and 505, which are refusals."""
    return response.status in _CRASHES


def describe(response: Response) -> str:
    """``422 application/problem+json {"type": …``: an answer in few words, for reasons and evidence.

    It is cut between words, never inside one: reports mask secrets, and would not know half a secret.
    """
    text = " ".join(response.text.split())
    if len(text) > _SHOWN:
        whole = re.split(r"[\s\"',:;{}\[\]=&<>]", text[: _SHOWN + 1])[-1]
        text = text[: _SHOWN + 1 - len(whole)] + "…"
    kind = response.media_type
    return f"{response.status}{f' {kind}' if kind else ''}{f' {text}' if text else ''}"


def with_body(request: Request, value: Any, media_type: str) -> Request:
    """The request with ``value`` as its body, as a form or as JSON."""
    if media_type == "application/x-www-form-urlencoded":
        form = urlencode({k: plain(v) for k, v in value.items()} if isinstance(value, Mapping) else {})
        return request.with_(body=form.encode()).with_headers(content_type=media_type)
    return request.with_json(value).with_headers(content_type=media_type)


def plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def many(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]
