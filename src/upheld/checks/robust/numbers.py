"""Extreme numbers are refused, or kept as they are.

## What it requires
`NaN`, `1e400`, 2^63, a number of 5000 digits, `-0` and `true` in the place of a number are answered with 4xx, or with 2xx and the same
number in the answer; never with 5xx, and never with another number. As query or path parameters they never lead to 5xx.

## Why
Each of them breaks another layer: `NaN` is no JSON but many parsers take it, and then the error that should tell so cannot be serialized;
`1e400` becomes infinity; 2^63 passes the validator and overflows in the database; 5000 digits are more than Python turns into an integer.

## What it sends
To at most five operations with a number in their body and five with one in the query or path: a valid request, then one for each of these
numbers.

## Example of a breach
`POST /orders` with `"quantity": NaN` is answered with 500. Or with 201 and `"quantity": 0`.

## When to waive it
When a field is rounded on purpose, list it under `normalised` instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
    send,
)
from upheld.exchange import NotJson, Request, Response
from upheld.steps import accepted, another, sampled, takes_json, tidy

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.contract.model import JsonSchema

REQUIREMENT = Requirement(
    title="extreme numbers are refused or kept as they are",
    level=MUST,
    clause=Clause(
        "RFC 8259 §6",
        "https://www.rfc-editor.org/rfc/rfc8259#section-6",
        "Numeric values that cannot be represented in the grammar below (such as Infinity and NaN) are not permitted",
    ),
    catalogue=("ROB-01",),
    reads=("normalised",),
    cost=8,
    owasp="API4:2023",
    cwe=("CWE-190", "CWE-681"),
)

NUMBERS = {
    "NaN": "NaN",
    "1e400": "1e400",
    "2^63": "9223372036854775808",
    "a number of 5000 digits": "9" * 5000,
    "-0": "-0",
    "true": "true",
}
_NUMERIC = frozenset({"integer", "number"})


def subjects(contract: Contract) -> Subjects:
    in_bodies = sampled(contract, lambda op: _member(contract, op) is not None, 5, "no number in any body")
    elsewhere = sampled(
        contract, lambda op: op.safe and any(_parameters(contract, op)), 5, "no number in any parameter"
    )
    found = [s for some in (in_bodies, elsewhere) if isinstance(some, list) for s in some]
    return list(dict.fromkeys(found)) or NotApplicable("no operation takes a number")


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    request, response, session = yield from accepted(lane, operation)
    yield from tidy(lane, operation, response, session)
    wrong: list[tuple[str, Request]] = []
    member = _member(lane.contract, operation)
    if member is not None:
        for words, number in NUMBERS.items():
            attempt = _with_number(another(lane, operation, request), member[0], number)
            answer: Response = yield from send(attempt, new_connection=True)
            yield from tidy(lane, operation, answer, session)
            fault = _fault(lane.contract, answer, words, *member)
            if fault:
                wrong.append((f"{member[0]}: {words} → {fault}", attempt))
    for location, name in list(_parameters(lane.contract, operation))[:2]:
        for words, number in NUMBERS.items():
            attempt = _with_parameter(operation, request, location, name, number)
            answer = yield from send(attempt, new_connection=True)
            if answer.status >= 500 and answer.status != 503:
                wrong.append((f"{location} parameter {name}: {words} → {answer.status}", attempt))
    if not wrong:
        return Kept()
    return Finding(
        sent=f"{operation.label} with extreme numbers",
        expected="400, 422 or another 4xx; or 2xx and the same number",
        actual="; ".join(fault for fault, _ in wrong),
        origin=", ".join(sorted({fault.partition(": ")[2] for fault, _ in wrong})),
        request=wrong[0][1],
    )


def _numeric(contract: Contract, schema: JsonSchema) -> frozenset[str]:
    from upheld.contract import shapes

    kinds = frozenset().union(*(shapes.types(branch) for branch in shapes.branches(contract.schemas, schema)))
    return kinds & _NUMERIC if not kinds & {"string", "array", "object"} else frozenset()


def _member(contract: Contract, operation: Operation) -> tuple[str, JsonSchema] | None:
    """The first member of the JSON body that is a number."""
    from upheld.contract import shapes

    if operation.body is None or operation.body.json_schema is None or not takes_json(operation):
        return None
    properties = shapes.properties(contract.schemas, operation.body.json_schema)
    return next(((name, rule) for name, rule in properties.items() if _numeric(contract, rule)), None)


def _parameters(contract: Contract, operation: Operation) -> Iterator[tuple[str, str]]:
    segments = operation.path.split("/")
    for parameter in (*operation.query_parameters, *operation.path_parameters):
        whole = parameter.location == "query" or "{" + parameter.name + "}" in segments
        if whole and _numeric(contract, parameter.schema):
            yield parameter.location, parameter.name


def _with_number(request: Request, member: str, number: str) -> Request:
    """The number as it is written: a serializer would refuse it, or write another."""
    value = json.loads(request.body or b"{}")
    text = json.dumps({**value, member: "\0NUMBER"}, ensure_ascii=False)
    return request.with_(body=text.replace(r'"\u0000NUMBER"', number).encode())


def _with_parameter(operation: Operation, request: Request, location: str, name: str, number: str) -> Request:
    if location == "query":
        return request.with_(query=(*(pair for pair in request.query if pair[0] != name), (name, number)))
    segments = request.path.split("/")
    segments[operation.path.split("/").index("{" + name + "}")] = number
    return request.with_(path="/".join(segments))


def _fault(contract: Contract, answer: Response, words: str, member: str, schema: JsonSchema) -> str:
    """5xx, or a number in the answer that is not the one that was sent; empty when all is well."""
    if answer.status >= 500:
        return str(answer.status) if answer.status != 503 else ""
    # How true is read as a number is body/invalid-input's business.
    if not answer.ok or words == "true" or member in contract.policy.normalised:
        return ""
    try:
        document = answer.json()
    except NotJson:
        return ""
    if not isinstance(document, Mapping) or member not in document:
        return ""
    shown = document[member]
    exact = "integer" in _numeric(contract, schema)
    return "" if _same(shown, NUMBERS[words], exact) else f"{answer.status} and {str(shown)[:40]}"


def _same(shown: Any, number: str, exact: bool) -> bool:
    if isinstance(shown, str):
        return shown.strip() == number  # decimals are often shown as texts
    if isinstance(shown, bool) or not isinstance(shown, int | float) or number == "NaN":
        return False
    if exact and "e" not in number:
        return len(number) > 4000 or shown == int(number)
    try:
        # RFC 8259 §6 lets an implementation be as precise as an IEEE 754 double, and no more.
        return float(shown) == float(number)
    except OverflowError:
        return False


_CREATE = "POST /api/v1/items"
_LIST = "GET /api/v1/items"


def _item(quantity: Any) -> Response:
    return Response.of(201, {"id": "i9", "name": "lamp", "quantity": quantity})


def _holding(octets: bytes, answer: Response) -> Any:
    return lambda request, response: answer if octets in (request.body or b"") else response


def _overflow(request: Request, response: Response) -> Response:
    limit = dict(request.query).get("limit", "")
    return Response.problem(500) if limit.isdecimal() and int(limit[:30]) >= 2**63 else response


CONFORMING = (
    Example("refused", subject=_CREATE),
    Example("refused in the query", subject=_LIST),
    Example("2^63 is kept", subject=_CREATE, alter=_holding(b"9223372036854775808,", _item(2**63))),
    Example("-0 is 0", subject=_CREATE, alter=_holding(b"-0", _item(0))),
    Example("true counts as 1", subject=_CREATE, alter=_holding(b"true", _item(1))),
    Example(
        "the answer does not show it", subject=_CREATE, alter=_holding(b"NaN", Response.of(202, {"accepted": True}))
    ),
)
BREACHING = (
    Example("NaN ends in 500", subject=_CREATE, alter=_holding(b"NaN", Response.problem(500))),
    Example("NaN becomes 0", subject=_CREATE, alter=_holding(b"NaN", _item(0))),
    Example("NaN becomes null", subject=_CREATE, alter=_holding(b"NaN", _item(None))),
    Example("1e400 is cut to a bound", subject=_CREATE, alter=_holding(b"1e400", _item(1000))),
    Example("2^63 turns negative", subject=_CREATE, alter=_holding(b"9223372036854775808", _item(-(2**63)))),
    Example("2^63 loses its last digits", subject=_CREATE, alter=_holding(b"9223372036854775808", _item(2**63 + 192))),
    Example("an overflow in the query", subject=_LIST, alter=_overflow),
)
