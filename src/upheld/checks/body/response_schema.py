"""Answers have the shape that the document gives them.

## What it requires
The content of every answer conforms to the schema that the document has for its status and media type, formats included. Formats
on which validators disagree (e-mail, host names) and `oneOf` whose alternatives overlap are not held against the service.

## Why
Clients are generated from the document, and typed ones fail on the first null that should not be there. It breaks silently: the
service's own tests compare with what the service does.

## What it sends
Nothing. It looks at every answer of the whole run, of generated requests too.

## Example of a breach
`GET /items/{id}` answers 200 with `"price": "9.90"` where the document says `type: number`.

## When to waive it
While a field is being corrected in several services at once. A document that is wrong is better corrected than waived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    Clause,
    Example,
    Finding,
    Kept,
    NotApplicable,
    Outcome,
    Requirement,
    Subject,
    Subjects,
    seen,
)
from upheld.exchange import Exchange, NotJson, Response
from upheld.steps import PROBLEM, reached

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.contract.dialect import Violation

REQUIREMENT = Requirement(
    title="the content of answers conforms to its schema",
    level=MUST,
    clause=Clause(
        "OpenAPI 3.1.1, Media Type Object",
        "https://spec.openapis.org/oas/v3.1.1.html#media-type-object",
        "The schema defining the content of the request, response, parameter, or header",
    ),
    catalogue=("BODY-01",),
    engine=("response_schema_conformance",),
    owasp="API3:2023",
)

# Words of the validator's messages, for keywords with which a service that does its best can still collide.
_DISPUTED = (
    '"email"',
    '"idn-email"',
    '"hostname"',
    '"idn-hostname"',
    '"regex"',
    '"uri-template"',
    "more than one of the",
)
_GATEWAY = frozenset({502, 503, 504})


def subjects(contract: Contract) -> Subjects:
    found = [
        Subject(op.label, operation=op)
        for op in contract.operations
        if any(schema not in (True, {}) for spec in op.responses.values() for schema in spec.content.values())
    ]
    return found or NotApplicable("the document has no schemas for answers")


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    from upheld.contract.conformance import media_key, violations

    response, operation = exchange.response, reached(exchange, contract)
    if (
        operation is None
        or not response.body
        or not response.is_json
        or response.truncated
        or response.status in _GATEWAY
    ):
        return None
    spec = operation.response_for(response.status)
    key = media_key(spec.content, response.media_type) if spec is not None else None
    if spec is None or key is None:
        return None
    try:
        value = response.json()
    except NotJson:
        return None
    found = violations(contract, spec.content[key], value)
    if found is None:
        return None
    firm = [violation for violation in found if not any(word in violation.message for word in _DISPUTED)]
    if not firm:
        return Kept()
    first = firm[0]
    more = f", and {len(firm) - 1} more" if len(firm) > 1 else ""
    return Finding(
        expected=f"{response.status} {response.media_type} as the document's schema has it",
        actual=f"{response.status} with {first.pointer or 'the whole body'}: {_short(first.message)}{more}",
        origin=_origin(first, value),
        request=exchange.request,
    )


def _short(message: str) -> str:
    """The validator's sentence; of a long value the beginning, so that what is wrong with it stays."""
    return message if len(message) <= 160 else f"{message[:60]} … {message[-90:].partition(' ')[2]}"


def _origin(violation: Violation, value: Any) -> str:
    """The member and the keyword: one wrong member of a component is one finding wherever it is shown."""
    names = [part for part in violation.pointer.split("/") if part and not part.isdigit()]
    keyword = violation.schema_pointer.rpartition("/")[2]
    missing = f" {violation.message[:80]}" if keyword == "required" else ""
    return f"{names[-1] if names else 'the body'} breaks {keyword}{missing}"


_ITEM = {"id": "i1", "name": "lamp", "quantity": 1}
_READ = "GET /api/v1/items/{item_id}"


def _read(status: int, body: object, **headers: str) -> Exchange:
    return seen("GET", "/api/v1/items/i1", Response.of(status, body, **headers), operation=_READ)


def _overlapping(document: dict[str, Any]) -> None:
    either = [{"type": "object", "required": ["id"]}, {"type": "object", "required": ["name"]}]
    document["components"]["schemas"]["Item"] = {"oneOf": either}


def _with_mail(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Item"]["properties"]["name"] = {"type": "string", "format": "email"}


CONFORMING = (
    Example("an item", _read(200, _ITEM)),
    Example("a problem", _read(404, Response.problem(404).json(), content_type=PROBLEM)),
    Example("alternatives that overlap", _read(200, _ITEM), document=_overlapping),
    Example(
        "an address that only some validators like", _read(200, {**_ITEM, "name": "kim@localhost"}), document=_with_mail
    ),
)
BREACHING = (
    Example("a number in quotes", _read(200, {**_ITEM, "quantity": "1"})),
    Example("a required member is missing", _read(200, {"id": "i1", "name": "lamp"})),
    Example("null where none may be", _read(200, {**_ITEM, "name": None})),
    Example("a member that a closed schema does not have", _read(200, {**_ITEM, "cost": 3})),
    Example("a list instead of an object", _read(200, [_ITEM])),
    Example("a problem without its title", _read(404, {"type": "about:blank", "status": 404}, content_type=PROBLEM)),
)
