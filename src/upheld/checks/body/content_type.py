"""The Content-Type of an answer is one that the document lists, and its content is what the type says.

## What it requires
Content comes with a media type that the document has for that status. Content labelled as JSON is JSON as RFC 8259 defines it: UTF-8
without a byte order mark, no `NaN` or `Infinity`, no member twice in one object. (Where errors are promised to be problem documents, their type is
`errors/problem-json`.)

## Why
Clients choose their parser by the label. `NaN` from a lenient serializer ends a browser's `JSON.parse`; a repeated name is read
differently by different parsers, which is how checks are slipped past.

## What it sends
Nothing. It looks at every answer of the whole run.

## Example of a breach
`200 text/html` from an operation that documents `application/json`; `{"ratio": NaN}`.

## When to waive it
For a download whose type depends on what was uploaded: better document `*/*` there.
"""

from __future__ import annotations

import json
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
from upheld.exchange import Exchange, Headers, Response
from upheld.steps import made_below, problems_promised, reached

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="content has a documented type and is what the type says",
    level=MUST,
    clause=Clause(
        "RFC 9110 §8.3; RFC 8259 §8.1",
        "https://www.rfc-editor.org/rfc/rfc8259#section-8.1",
        "JSON text exchanged between systems that are not part of a closed ecosystem MUST be encoded using UTF-8",
    ),
    catalogue=("BODY-02",),
    reads=("errors.format",),
    engine=("content_type_conformance",),
    cwe=("CWE-436",),
)


def subjects(contract: Contract) -> Subjects:
    found = [
        Subject(op.label, operation=op)
        for op in contract.operations
        if any(spec.content for spec in op.responses.values())
    ]
    return found or NotApplicable("the document describes no content of answers")


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    response, operation = exchange.response, reached(exchange, contract)
    if operation is None or not response.body or made_below(response):
        return None
    if response.status == 204 or 300 <= response.status < 400:
        return None  # what stands in a redirection is for people, and nobody's parser
    spec = operation.response_for(response.status)
    fault = _label(response, spec.content if spec else {}, contract) or (_broken(response) if response.is_json else "")
    if not fault:
        return Kept() if spec is not None and spec.content else None
    return Finding(
        expected=f"{response.status} as {' or '.join(spec.content) if spec and spec.content else 'JSON'}; JSON as in RFC 8259",
        actual=f"{response.status} {fault}",
        origin=f"{response.status // 100}xx {fault.partition(' at ')[0]}",
        request=exchange.request,
    )


def _label(response: Response, content: Any, contract: Contract) -> str:
    from upheld.contract.conformance import media_key

    if not content:
        return ""  # what kind of content is documented nowhere, so none is wrong
    kind = response.media_type
    if not kind:
        return "without a Content-Type"
    if media_key(content, kind) is not None:
        return ""
    if response.status >= 400 and problems_promised(contract):
        return ""  # what errors have to be is a requirement of its own: errors/problem-json
    return f"labelled {kind}"


def _broken(response: Response) -> str:
    """Why content that calls itself JSON is none; empty when it is, or when it was not read to its end."""
    if response.truncated:
        return ""
    if response.body.startswith(b"\xef\xbb\xbf"):
        return "JSON that begins with a byte order mark"
    try:
        json.loads(
            response.body.decode("utf-8"),
            object_pairs_hook=_members,
            parse_constant=_constant,
            parse_int=str,
            parse_float=str,
        )
    except UnicodeDecodeError as error:
        return f"JSON that is not UTF-8 at octet {error.start}"
    except _Odd as odd:
        return str(odd)
    except json.JSONDecodeError as error:
        return f"labelled JSON but not parseable: {error.msg} at character {error.pos}"
    except RecursionError:
        return ""
    return ""


class _Odd(Exception):
    """JSON that only some parsers read, or that they read differently."""


def _members(pairs: list[tuple[str, Any]]) -> Any:
    names = {name for name, _ in pairs}
    if len(names) < len(pairs):
        twice = next(name for name in names if sum(other == name for other, _ in pairs) > 1)
        raise _Odd(f"JSON with the member {twice[:60]!r} twice in one object")
    return None


def _constant(name: str) -> Any:
    raise _Odd(f"JSON with {name}, which is none")


_READ = "GET /api/v1/items/{item_id}"


def _read(status: int, body: bytes, content_type: str | None) -> Exchange:
    fields = {"Content-Type": content_type} if content_type else {}
    return seen("GET", "/api/v1/items/i1", Response(status, Headers(fields), body), operation=_READ)


CONFORMING = (
    Example("JSON", _read(200, b'{"id": 1}', "application/json")),
    Example("a charset does not matter", _read(200, b'{"id": "\xc3\xa9"}', "Application/JSON; charset=utf-8")),
    Example("a problem", _read(404, Response.problem(404).body, "application/problem+json")),
    Example("a number with 5000 digits is JSON", _read(200, b"[" + b"9" * 5000 + b"]", "application/json")),
    Example("half a surrogate pair, escaped, is JSON by its grammar", _read(200, b'["\\ud800"]', "application/json")),
)
BREACHING = (
    Example("a page", _read(200, b"<html></html>", "text/html")),
    Example("no type", _read(200, b'{"id": 1}', None)),
    Example("NaN", _read(200, b'{"ratio": NaN}', "application/json")),
    Example("a member twice", _read(200, b'{"a": 1, "b": {"id": 1, "id": 2}}', "application/json")),
    Example("a byte order mark", _read(200, b"\xef\xbb\xbf{}", "application/json")),
    Example("Latin-1", _read(200, b'{"name": "caf\xe9"}', "application/json")),
    Example("cut off", _read(200, b'{"name": "ca', "application/json")),
)
