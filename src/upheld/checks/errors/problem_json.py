"""Every error carries a problem document.

## What it requires
Every answer from 400 on that has content is of the media type `application/problem+json` and holds a JSON object. Who made the
error does not matter: the operation, the router, the validator, the limiter or the handler of last resort.

## Why
Clients write one piece of code for errors. An error in another shape (the framework's own 404, a limiter's `{"error": …}`, a text
"Internal Server Error") is met first in production, by code that was never tried.

## What it sends
Nothing. It looks at every error of the whole run and tells apart who seems to have made it: one framework default is one
finding, however many operations show it.

## Example of a breach
`404 application/json {"detail": "Not Found"}` for an unknown path.

## When to waive it
When some operations have an error format of their own, list them under `errors: {exempt: […]}` instead. OAuth's token endpoint is
known (RFC 6749 §5.2), and so are errors of a server or gateway in front, which never reach the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import MUST, SERVICE, Clause, Example, Finding, Kept, Outcome, Requirement, Subjects, seen
from upheld.exchange import Exchange, NotJson, Response, Session
from upheld.steps import (
    NO_FORMAT,
    PROBLEM,
    describe,
    exempt_from_problems,
    made_below,
    maker,
    problem_fault,
    problems_promised,
)

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="every error is a problem document",
    level=MUST,
    clause=Clause(
        "RFC 9457 §3",
        "https://www.rfc-editor.org/rfc/rfc9457#section-3",
        'When serialized in a JSON document, that format is identified with the "application/problem+json" media type',
    ),
    catalogue=("ERR-01",),
    reads=("errors.format", "errors.exempt"),
    scope="service",
    owasp="API8:2023",
)


def subjects(contract: Contract) -> Subjects:
    return [SERVICE] if problems_promised(contract) else NO_FORMAT


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    request, response = exchange.request, exchange.response
    if response.status < 400 or not response.body or request.method == "HEAD" or not problems_promised(contract):
        return None
    if made_below(response) or exempt_from_problems(contract, request) or _of_oauth(exchange, contract):
        return None
    fault = problem_fault(response)
    if not fault:
        return Kept()
    who = maker(request, response)
    return Finding(
        expected=f"Content-Type: {PROBLEM} with a JSON object",
        actual=f"{describe(response)} from {who}",
        origin=f"{fault} from {who}",
        request=request,
    )


def _of_oauth(exchange: Exchange, contract: Contract) -> bool:
    """RFC 6749 §5.2 prescribes ``{"error": …}`` where a form is traded for tokens."""
    operation = contract.operation(exchange.operation)
    takes_a_form = (
        operation is not None
        and operation.body is not None
        and "application/x-www-form-urlencoded" in operation.body.content
    )
    if not takes_a_form or exchange.response.status not in (400, 401):
        return False
    try:
        document = exchange.response.json()
    except NotJson:
        return False
    return isinstance(document, dict) and isinstance(document.get("error"), str)


_ITEMS = "/api/v1/items"
_PLAIN_404 = Response.of(404, {"detail": "Not Found"})


def _form_login(document: dict[str, object]) -> None:
    form = {"schema": {"type": "object", "properties": {"username": {"type": "string"}}}}
    login = document["paths"]["/api/v1/auth/login"]["post"]  # type: ignore[index]
    login["requestBody"]["content"] = {"application/x-www-form-urlencoded": form}


CONFORMING = (
    Example("a problem document", seen("GET", _ITEMS, Response.problem(422), operation="GET /api/v1/items")),
    Example(
        "parameters of the media type do not matter",
        seen(
            "GET",
            "/nowhere",
            Response.problem(404, content_type="Application/Problem+JSON; charset=utf-8"),
            operation="",
        ),
    ),
    Example(
        "an extension member and no title are fine here",
        seen("GET", _ITEMS, Response.of(409, {"code": 7}, content_type=PROBLEM)),
    ),
)
BREACHING = (
    Example("the framework's own 404", seen("GET", "/nowhere", _PLAIN_404, operation="")),
    Example("a text from the last resort", seen("GET", _ITEMS, Response(500, body=b"Internal Server Error"))),
    Example(
        "a limiter with a shape of its own",
        seen("GET", _ITEMS, Response.of(429, {"error": "Rate limit exceeded: 5 per 1 minute"})),
    ),
    Example("a list", seen("POST", _ITEMS, Response.of(422, ["name"], content_type=PROBLEM))),
    Example("not even JSON", seen("POST", _ITEMS, Response(400, Response.problem(400).headers, b'{"type":'))),
    Example(
        "a login that takes a form but answers neither OAuth's way nor ours",
        seen(
            "POST",
            "/api/v1/auth/login",
            Response.of(401, {"detail": "Incorrect username or password"}),
            session=Session("alice", "user"),
        ),
        document=_form_login,
    ),
)
