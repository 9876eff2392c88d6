"""Declared header fields are there and valid, and the standard ones are written as their RFCs say.

## What it requires
Header fields that the document declares as required for a status are present, and declared ones fit their schema. `Retry-After`,
`ETag`, `Cache-Control`, `Link`, `WWW-Authenticate`, `Deprecation`, `Sunset` and `Vary` keep the syntax of their RFCs wherever they
appear. (Whether a 401 has a challenge, a 405 an `Allow` and a 429 a `Retry-After` at all are requirements of their own.)

## Why
A malformed field is ignored without a word: `ETag: abc` without its quotes never validates a cache, `Retry-After: soon` sends
clients back at once.

## What it sends
Nothing. It looks at every answer of the whole run. The syntax is judged by httplint, the linter behind REDbot; only what it calls
bad syntax counts here.

## Example of a breach
`ETag: 33a64df5` (no quotes), or a 201 without the `Location` that the document requires.

## When to waive it
When a gateway adds the field in production and the run goes past it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from upheld.check import MUST, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.exchange import Exchange, Response
from upheld.steps import made_below, reached

if TYPE_CHECKING:
    from upheld.contract import Contract, ResponseSpec

REQUIREMENT = Requirement(
    title="declared header fields are present and valid, and standard ones are well-formed",
    level=MUST,
    clause=Clause(
        "OpenAPI 3.1.1, Response Object; RFC 9110 §5.5",
        "https://www.rfc-editor.org/rfc/rfc9110#section-5.5",
        "HTTP field values consist of a sequence of characters in a format defined by the field's grammar",
    ),
    catalogue=("BODY-03",),
    engine=("response_headers_conformance",),
)

LINTED = ("retry-after", "etag", "cache-control", "link", "www-authenticate", "deprecation", "sunset", "vary")
_ELSEWHERE = frozenset({"www-authenticate", "allow", "retry-after"})
_ABSENT_IN_OVERLOAD = frozenset({429, 503})


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    response, operation = exchange.response, reached(exchange, contract)
    if operation is None or made_below(response):
        return None
    spec = operation.response_for(response.status)
    fault = _malformed(response) or (_against(spec, response, contract) if spec is not None else None)
    if fault is None:
        return Kept()
    name, expected, actual = fault
    return Finding(
        expected=expected,
        actual=f"{response.status} {actual}",
        origin=f"{name} {'missing' if actual.startswith('without') else 'malformed'}",
        request=exchange.request,
    )


def _malformed(response: Response) -> tuple[str, str, str] | None:
    for name in LINTED:
        if name in response.headers:
            for value in response.headers.all(name):
                wrong = _lint(name, value)
                if wrong:
                    return name, f"{_written(name)} as its RFC has it", f"{_written(name)}: {value[:80]!r} ({wrong})"
    return None


@lru_cache(maxsize=8192)
def _lint(name: str, value: str) -> str:
    """What is wrong with the field's syntax, in the linter's words; empty when nothing is."""
    from httplint import HttpResponseLinter, levels

    if not value.strip():
        return ""  # an empty list is allowed in most of them, and means nothing
    linter = HttpResponseLinter()
    linter.process_response_topline(b"HTTP/1.1", b"200", b"OK")
    linter.process_headers([(name.encode(), value.encode("latin-1", "replace"))])
    for note in linter.notes:
        kind = type(note).__name__
        if kind.startswith("BAD_SYNTAX") or note.level == levels.BAD:
            return str(note.summary)
    return ""


def _against(spec: ResponseSpec, response: Response, contract: Contract) -> tuple[str, str, str] | None:
    from upheld.contract.conformance import text_is_valid

    for name, (required, schema) in spec.headers.items():
        if name not in response.headers:
            if required and name not in _ELSEWHERE and response.status not in _ABSENT_IN_OVERLOAD:
                return name, f"{_written(name)}, which the document requires", f"without {_written(name)}"
        elif schema is not True and not text_is_valid(contract, schema, response.headers[name]):
            value = response.headers[name][:80]
            return name, f"{_written(name)} that fits its schema", f"{_written(name)}: {value!r}, which does not fit"
    return None


def _written(name: str) -> str:
    if name in ("etag", "www-authenticate"):
        return {"etag": "ETag", "www-authenticate": "WWW-Authenticate"}[name]
    return "-".join(part.capitalize() for part in name.split("-"))


_ITEM = {"id": "i1", "name": "lamp", "quantity": 1}
_READ = "GET /api/v1/items/{item_id}"
_AT = "/api/v1/items/i1"


def _read(**headers: str) -> Exchange:
    return seen("GET", _AT, Response.of(200, _ITEM, **headers), operation=_READ)


def _made(**headers: str) -> Exchange:
    return seen("POST", "/api/v1/items", Response.of(201, _ITEM, **headers), operation="POST /api/v1/items")


CONFORMING = (
    Example(
        "a weak ETag, directives and a link",
        _read(etag='W/"a1"', cache_control="max-age=60, private", link='</a>; rel="next"'),
    ),
    Example("a required Location", _made(location="/api/v1/items/i1")),
    Example("Retry-After as a date", _read(retry_after="Fri, 31 Dec 2027 23:59:59 GMT")),
    Example("two challenges in one field", _read(www_authenticate='Basic realm="x", Bearer realm="y"')),
    Example("both private and no-store", _read(cache_control="private, no-store", vary="Origin, Accept")),
    Example("an unknown directive", _read(cache_control="max-age=60, community=UCI")),
    Example(
        "a 429 without Retry-After belongs to the rate limits",
        seen("GET", "/api/v1/items", Response.problem(429), operation="GET /api/v1/items"),
    ),
)
BREACHING = (
    Example("an ETag without quotes", _read(etag="33a64df5")),
    Example("Retry-After in words", _read(retry_after="soon")),
    Example("a fraction of a second", _read(retry_after="1.5")),
    Example("a max-age that is no number", _read(cache_control="max-age=abc")),
    Example("Deprecation as an old draft had it", _read(deprecation="true")),
    Example("Sunset as an ISO date", _read(sunset="2027-01-01")),
    Example("a link without brackets", _read(link="/a; rel=next")),
    Example("no Location, which the document requires", _made()),
)
