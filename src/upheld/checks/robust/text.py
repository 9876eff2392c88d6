"""Extreme texts are refused, or kept as they are.

## What it requires
A NUL character, half of a surrogate pair and octets that are not shortest-form UTF-8 inside a text are answered with 4xx, or with 2xx and the
same text in the answer (a replacement character in the place of what no text can hold is fine); never with 5xx. `%00` and `%ff` in a
query or path never lead to 5xx.

## Why
A NUL passes every validator of length and ends in an error of the database, or ends the text in a library written in C. Half a surrogate
pair can be parsed but not encoded again, so that the answer fails. An overlong `/` (C0 AF) slips past filters if a decoder accepts it.

## What it sends
To at most four operations with a text in their body and four with one in the query or path: a valid request, then one for each of these.

## Example of a breach
`POST /items` with `"name": "a\\u0000b"` is answered with 500, or with 201 and `"name": "a"`.

## When to waive it
When such characters are removed on purpose, list the field under `normalised` instead.
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
    title="extreme texts are refused or kept as they are",
    level=MUST,
    clause=Clause(
        "RFC 8259 §8.2",
        "https://www.rfc-editor.org/rfc/rfc8259#section-8.2",
        "the behavior of software that receives JSON texts containing such values is unpredictable",
    ),
    catalogue=("ROB-02",),
    reads=("normalised", "secrets"),
    cost=6,
    owasp="API8:2023",
    cwe=("CWE-20", "CWE-176"),
)

_TEXTS = {
    "a NUL": rb"up\u0000held",
    "half a surrogate pair": rb"up\ud800held",
    "an overlong / (C0 AF)": b"up\xc0\xafheld",
}
_OCTETS = {"%00": "up%00held", "%ff": "up%ffheld"}


def subjects(contract: Contract) -> Subjects:
    in_bodies = sampled(contract, lambda op: _member(contract, op) is not None, 4, "no free text in any body")

    def read_by_text(op: Operation) -> bool:
        return op.safe and not op.redirects and any(_parameters(contract, op))

    elsewhere = sampled(contract, read_by_text, 4, "no text in any parameter")
    found = [s for some in (in_bodies, elsewhere) if isinstance(some, list) for s in some]
    return list(dict.fromkeys(found)) or NotApplicable("no operation takes a text")


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    request, response, session = yield from accepted(lane, operation)
    yield from tidy(lane, operation, response, session)
    wrong: list[tuple[str, Request]] = []
    member = _member(lane.contract, operation)
    for words, text in _TEXTS.items() if member is not None else ():
        attempt = _with_text(another(lane, operation, request), member or "", text)
        answer: Response = yield from send(attempt, new_connection=True)
        yield from tidy(lane, operation, answer, session)
        fault = _fault(lane.contract, answer, words, member or "")
        if fault:
            wrong.append((f"{member}: {words} → {fault}", attempt))
    for location, name in list(_parameters(lane.contract, operation))[:2]:
        for words, octets in _OCTETS.items():
            attempt = _with_parameter(operation, request, location, name, octets)
            answer = yield from send(attempt, new_connection=True)
            if answer.status >= 500 and answer.status != 503:
                wrong.append((f"{location} parameter {name}: {words} → {answer.status}", attempt))
    if not wrong:
        return Kept()
    return Finding(
        sent=f"{operation.label} with extreme texts",
        expected="400, 422 or another 4xx; or 2xx and the same text",
        actual="; ".join(fault for fault, _ in wrong),
        origin=", ".join(sorted({fault.partition(": ")[2] for fault, _ in wrong})),
        request=wrong[0][1],
    )


def _is_text(contract: Contract, schema: JsonSchema) -> bool:
    from upheld.contract import shapes

    parts = list(shapes.branches(contract.schemas, schema))
    kinds = frozenset().union(*(shapes.types(part) for part in parts))
    return "string" in kinds and not any("enum" in part or "const" in part or "format" in part for part in parts)


def _member(contract: Contract, operation: Operation) -> str | None:
    """The first member of the JSON body that is a free text and has room for one."""
    from upheld.contract import shapes

    if operation.body is None or operation.body.json_schema is None or not takes_json(operation):
        return None
    for name, rule in shapes.properties(contract.schemas, operation.body.json_schema).items():
        bound = min((part.get("maxLength", 99) for part in shapes.branches(contract.schemas, rule)), key=_whole)
        if _is_text(contract, rule) and _whole(bound) >= 12 and name not in contract.policy.secrets:
            return name
    return None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _parameters(contract: Contract, operation: Operation) -> Iterator[tuple[str, str]]:
    segments = operation.path.split("/")
    for parameter in (*operation.query_parameters, *operation.path_parameters):
        whole = parameter.location == "query" or "{" + parameter.name + "}" in segments
        # An id in the path is looked up whatever its format, and a decoder comes before any validator.
        if whole and (parameter.location == "path" or _is_text(contract, parameter.schema)):
            yield parameter.location, parameter.name


def _with_text(request: Request, member: str, text: bytes) -> Request:
    """The text as these very octets, which no serializer writes."""
    value = json.loads(request.body or b"{}")
    marked = json.dumps({**value, member: "\0TEXT"}, ensure_ascii=False).encode()
    return request.with_(body=marked.replace(rb"\u0000TEXT", text))


def _with_parameter(operation: Operation, request: Request, location: str, name: str, octets: str) -> Request:
    if location == "query":
        # Written into the target by hand: as a pair, the percent sign would be encoded once more.
        rest = request.with_(query=tuple(pair for pair in request.query if pair[0] != name))
        mark = "&" if rest.query else "?"
        return request.with_(path=f"{rest.target}{mark}{name}={octets}", query=())
    segments = request.path.split("/")
    segments[operation.path.split("/").index("{" + name + "}")] = octets
    return request.with_(path="/".join(segments))


def _fault(contract: Contract, answer: Response, words: str, member: str) -> str:
    """5xx, or a text in the answer that is not the one that was sent; empty when all is well."""
    if answer.status >= 500:
        return str(answer.status) if answer.status != 503 else ""
    if not answer.ok or member in contract.policy.normalised:
        return ""
    try:
        document = answer.json()
    except NotJson:
        return ""
    shown = document.get(member) if isinstance(document, Mapping) else None
    if not isinstance(shown, str) or not shown.startswith("up"):
        return f"{answer.status} and {shown!r}" if isinstance(shown, str) and words == "a NUL" else ""
    middle = shown.removeprefix("up").removesuffix("held")
    if words == "a NUL":
        return "" if shown == "up\0held" else f"{answer.status} and {shown!r}"
    if words.startswith("an overlong"):
        return f"{answer.status} and {shown!r}" if "/" in middle else ""
    return "" if shown.endswith("held") else f"{answer.status} and {shown!r}"


_CREATE = "POST /api/v1/items"
_LIST = "GET /api/v1/items"
_READ = "GET /api/v1/items/{item_id}"


def _item(name: str) -> Response:
    return Response.of(201, {"id": "i9", "name": name, "quantity": 1})


def _holding(octets: bytes, answer: Response) -> Any:
    return lambda request, response: answer if octets in (request.body or b"") else response


def _path_crash(request: Request, response: Response) -> Response:
    return Response.problem(500) if "%00" in request.path else response


CONFORMING = (
    Example("refused", subject=_CREATE),
    Example("in the query", subject=_LIST),
    Example("in the path", subject=_READ),
    Example("kept, NUL and all", subject=_CREATE, alter=_holding(rb"\u0000", _item("up\0held"))),
    Example(
        "a replacement character, as Go writes it", subject=_CREATE, alter=_holding(rb"\ud800", _item("up\ufffdheld"))
    ),
    Example("two of them", subject=_CREATE, alter=_holding(b"\xc0\xaf", _item("up\ufffd\ufffdheld"))),
)
BREACHING = (
    Example("NUL ends in 500", subject=_CREATE, alter=_holding(rb"\u0000", Response.problem(500))),
    Example("the text ends at the NUL", subject=_CREATE, alter=_holding(rb"\u0000", _item("up"))),
    Example("the answer cannot be encoded", subject=_CREATE, alter=_holding(rb"\ud800", Response.problem(500))),
    Example("the overlong form becomes a slash", subject=_CREATE, alter=_holding(b"\xc0\xaf", _item("up/held"))),
    Example("a NUL in the path", subject=_READ, alter=_path_crash),
    Example("a NUL in the query", subject=_LIST, alter=_path_crash),
)
