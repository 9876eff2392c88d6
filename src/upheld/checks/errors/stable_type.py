"""Problem types mean what they say.

## What it requires
`about:blank` says no more than the status, so its `title` is the status phrase (RFC 9110's or the older one). Where the contract lists its problem
types (`errors.types`), every other type is one of them and comes with the status given there.

## Why
Clients switch on `type`: it is the one member that is made for machines. A type that is invented on the spot, or comes with another
status than announced, goes past every switch.

## What it sends
Nothing. It looks at every problem document of the whole run.

## Example of a breach
`404 {"type": "about:blank", "title": "Product 17 does not exist", "status": 404}`: this is a detail, or a type of its own.

## When to waive it
While titles are being moved to `detail`. Titles in another language than English are left alone.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from upheld.check import SERVICE, SHOULD, Clause, Example, Finding, Kept, Outcome, Requirement, Subjects, seen
from upheld.exchange import Exchange, NotJson, Response
from upheld.steps import NO_FORMAT, PROBLEM, exempt_from_problems, maker, problems_promised

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="problem types mean what they say",
    level=SHOULD,
    clause=Clause(
        "RFC 9457 §4.2.1",
        "https://www.rfc-editor.org/rfc/rfc9457#section-4.2.1",
        'When "about:blank" is used, the title SHOULD be the same as the recommended HTTP status phrase for that code',
    ),
    catalogue=("ERR-03",),
    reads=("errors.types", "errors.format", "errors.exempt"),
    scope="service",
)

# RFC 9110 renamed some; Python's table has one name for each, depending on its version.
_RENAMED = {
    413: {"content too large", "payload too large", "request entity too large"},
    414: {"uri too long", "request-uri too long"},
    416: {"range not satisfiable", "requested range not satisfiable"},
    422: {"unprocessable content", "unprocessable entity"},
    500: {"internal server error", "server error"},
}


def subjects(contract: Contract) -> Subjects:
    return [SERVICE] if problems_promised(contract) else NO_FORMAT


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    request, response = exchange.request, exchange.response
    if response.status < 400 or response.media_type != PROBLEM or not problems_promised(contract):
        return None
    if exempt_from_problems(contract, request):
        return None
    try:
        document = response.json()
    except NotJson:
        return None
    if not isinstance(document, dict):
        return None
    kind, title = document.get("type", "about:blank"), document.get("title")
    if not isinstance(kind, str):
        return None
    who = maker(request, response)
    if kind == "about:blank":
        if (
            not isinstance(title, str)
            or not title.isascii()
            or not _english(response)
            or _is_phrase(response.status, title)
        ):
            return Kept()
        return Finding(
            expected=f"the title {_phrase(response.status)!r}, or a type of its own",
            actual=f"{response.status} from {who} with type about:blank and title {title[:80]!r}",
            origin=f"about:blank with titles of its own from {who}",
            request=request,
        )
    listed = contract.policy.errors.types
    if listed and listed.get(kind) != response.status:
        expected = f"{listed[kind]} with this type" if kind in listed else f"one of {', '.join(listed)}"
        return Finding(
            expected=f"{expected} (the contract's errors.types)",
            actual=f"{response.status} from {who} with type {kind[:120]}",
            origin=f"{kind[:120]} with {response.status}",
            request=request,
        )
    return Kept()


def _english(response: Response) -> bool:
    return response.headers.get("content-language", "en").strip().lower().startswith("en")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _is_phrase(status: int, title: str) -> bool:
    known = _RENAMED.get(status, set()) | {_phrase(status).lower()}
    return title.strip().lower() in known or known == {""}


def _problem(status: int, kind: str, title: str, **headers: str) -> Exchange:
    document = {"type": kind, "title": title, "status": status}
    return seen("GET", "/api/v1/items", Response.of(status, document, content_type=PROBLEM, **headers))


_LISTED = {"errors": {"format": "rfc9457", "types": {"urn:shop:sold-out": 409}}}

CONFORMING = (
    Example("about:blank with the phrase", _problem(404, "about:blank", "Not Found")),
    Example("the phrase's older name", _problem(422, "about:blank", "Unprocessable Entity")),
    Example("a type of its own with a title of its own", _problem(409, "urn:shop:sold-out", "The product is sold out")),
    Example("a listed type with its status", _problem(409, "urn:shop:sold-out", "Sold out"), policy=_LISTED),
    Example("a localised title", _problem(404, "about:blank", "Non trouvé", content_language="fr")),
)
BREACHING = (
    Example("a detail in the place of the title", _problem(404, "about:blank", "Product 17 does not exist")),
    Example("a type that the contract does not list", _problem(409, "urn:shop:gone", "Gone"), policy=_LISTED),
    Example("a listed type with another status", _problem(404, "urn:shop:sold-out", "Sold out"), policy=_LISTED),
)
