"""CORS fields mean what they say.

## What it requires

Where `Access-Control-Allow-Credentials: true` stands, none of the other CORS fields is `*`. Its value is exactly `true`, in lower case, and
`Access-Control-Allow-Origin` is one origin without a slash at the end, `*` or `null`.

## Why

A browser ignores what breaks these rules, so the page that was to be let in is locked out, and only in the browser: no other client looks
at these fields. The star with credentials is often the first step to echoing every origin.

## What it sends

Nothing of its own. It watches every answer that carries a CORS field.

## Example of a breach

`Access-Control-Allow-Origin: *` together with `Access-Control-Allow-Credentials: true`.

## When to waive it

Where a proxy adds the fields and no page depends on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import MUST, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.exchange import Exchange, Response

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="CORS fields mean what they say",
    level=MUST,
    clause=Clause(
        "Fetch, CORS protocol and credentials",
        "https://fetch.spec.whatwg.org/#cors-protocol-and-credentials",
        "`Access-Control-Allow-Origin`, `Access-Control-Expose-Headers`, `Access-Control-Allow-Methods`, and "
        "`Access-Control-Allow-Headers` response headers can only use `*` as value when request's credentials mode is "
        'not "include".',
    ),
    catalogue=("CORS-02",),
    scope="service",
    cwe=("CWE-942",),
)

_KEPT = Kept()
_STARRED = (
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Expose-Headers",
)


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    headers = exchange.response.headers
    origins = headers.all("access-control-allow-origin")
    credentials = headers.get("access-control-allow-credentials", "").strip()
    if not origins and not credentials:
        return None
    if credentials.lower() == "true":
        if credentials != "true":
            return _finding(exchange, "true in lower case", f"Access-Control-Allow-Credentials: {credentials}")
        for name in _STARRED:
            if headers.get(name, "").strip() == "*":
                return _finding(
                    exchange, "a list by name, since credentials are allowed", f"{name}: * with credentials"
                )
    if len(origins) > 1 or any("," in value for value in origins):
        return _finding(exchange, "one origin, * or null", f"Access-Control-Allow-Origin: {', '.join(origins)[:160]}")
    if origins and origins[0].strip() not in ("*", "null") and not _is_origin(origins[0].strip()):
        return _finding(
            exchange, "scheme, host and port, nothing after", f"Access-Control-Allow-Origin: {origins[0][:160]}"
        )
    return _KEPT


def _is_origin(value: str) -> bool:
    """RFC 6454 §6.2: scheme "://" host [ ":" port ]."""
    scheme, found, rest = value.partition("://")
    return bool(found and scheme and rest) and not any(character in rest for character in "/?# ")


def _finding(exchange: Exchange, expected: str, actual: str) -> Finding:
    return Finding(expected=expected, actual=actual, origin=actual, request=exchange.request)


def _exchange(origin: str, **fields: str) -> Exchange:
    headers = {"access_control_allow_origin": origin, **{f"access_control_{k}": v for k, v in fields.items()}}
    return seen(
        "GET", "/api/v1/items", Response.of(200, {"items": []}, **headers), headers={"Origin": "https://a.test"}
    )


CONFORMING = (
    Example("one origin with credentials", exchange=_exchange("https://a.test", allow_credentials="true")),
    Example("one origin with a port", exchange=_exchange("http://localhost:3000")),
    Example("a star without credentials", exchange=_exchange("*", expose_headers="*")),
    Example("credentials denied in words", exchange=_exchange("*", allow_credentials="false")),
)

BREACHING = (
    Example("a star with credentials", exchange=_exchange("*", allow_credentials="true")),
    Example("a star for fields", exchange=_exchange("https://a.test", allow_credentials="true", expose_headers="*")),
    Example("Python's idea of true", exchange=_exchange("https://a.test", allow_credentials="True")),
    Example("two origins", exchange=_exchange("https://a.test, https://b.test")),
    Example("a slash at the end", exchange=_exchange("https://a.test/")),
    Example("a host alone", exchange=_exchange("a.test")),
)
