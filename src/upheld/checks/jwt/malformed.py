"""A malformed token is refused, and crashes nothing.

## What it requires

What is no JSON Web Token in compact form is refused with a 4xx: too few or too many parts, parts that are not base64url, a
header that is no object, an `alg` that is no text, claims that are no JSON object, the JSON serialization, a token of 100 kB.

## Why

Reading a token is the first thing that a service does with what a stranger sends. A parser that is surprised there answers `500`, and
one that is lenient there believes more than was signed.

## What it sends

A good token once as the control, then some twenty malformed ones to the same harmless operation. Padding with `=` is no finding.

## Example of a breach

`{"alg": 1}` as the header is answered `500`. Or a good token with a fourth part behind it is answered `200`.

## When to waive it

Never.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    Clause,
    Conversation,
    Example,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
)
from upheld.exchange import Request, Response
from upheld.steps import Token, good_token, show, token_subject
from upheld.steps.tokens import encoded, part

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A malformed token is refused, and crashes nothing",
    level=MUST,
    clause=Clause(
        "RFC 7519 §7.2",
        "https://www.rfc-editor.org/rfc/rfc7519#section-7.2",
        "If any of the listed steps fail, then the JWT MUST be rejected -- that is, treated by the application as an invalid input.",
    ),
    catalogue=("JWT-05",),
    reads=("identities",),
    cost=24,
    owasp="API2:2023",
    cwe=("CWE-20",),
)


def subjects(contract: Contract) -> Subjects:
    return token_subject(contract)


def converse(lane: Lane) -> Conversation:
    good = yield from good_token(lane)
    if isinstance(good, NotApplicable):
        return good
    return (yield from show(good, _malformed(good.token), crash=True))


def _malformed(token: Token) -> Iterator[tuple[str, str]]:
    header, payload, signature = token.parts
    yield "one part", header
    yield "two parts and no dot behind them", f"{header}.{payload}"
    yield "a good token with a fourth part", f"{token.text}.{signature}"
    yield "a good token with a fourth and a fifth part", f"{token.text}.{signature}.{signature}"
    yield "three empty parts", ".."
    yield "white space inside", f"{header}.{payload[:8]} {payload[8:]}.{signature}"
    yield "parts that are not base64url", f"!{header[1:]}.*{payload[1:]}.~{signature[1:]}"
    for says, text in _HEADERS:
        yield f"a header that is {says}", f"{part(text)}.{payload}.{signature}"
    for says, text in _PAYLOADS:
        yield f"claims that are {says}", f"{header}.{part(text)}.{signature}"
    flat = {"protected": header, "payload": payload, "signature": signature}
    yield "the JSON serialization (RFC 7515 §7.2)", json.dumps(flat, separators=(",", ":"))
    yield "the JSON serialization in base64url", encoded(flat)
    yield "100 kB of claims", f"{header}.{part(b'{' + b' ' * 75_000 + b'}')}.{signature}"


_HEADERS = (
    ("an array", b"[]"),
    ("a number", b"1"),
    ("null", b"null"),
    ("no JSON", b"{alg"),
    ("no UTF-8", b'{"alg":"\xff\xfe"}'),
    ("an object without alg", b'{"typ":"JWT"}'),
    ("an object with alg 1", b'{"alg":1,"typ":"JWT"}'),
    ("an object with alg null", b'{"alg":null,"typ":"JWT"}'),
    ("an object with alg []", b'{"alg":[],"typ":"JWT"}'),
    ("an object with two algs", b'{"alg":"HS256","alg":"none","typ":"JWT"}'),
    ("nested 3000 deep", b"[" * 3000),
)
_PAYLOADS = (
    ("an array", b"[1]"),
    ("text", b'"sub"'),
    ("no JSON", b"sub=1"),
    ("no UTF-8", b'{"sub":"\xff\xfe"}'),
    ("nothing", b""),
)


def _parts(request: Request) -> list[str]:
    return request.headers.get("authorization", "")[7:].split(".")


def _three_of_four(request: Request, response: Response) -> Response:
    return Response.of(200, {"id": "1"}) if len(_parts(request)) == 4 else response


def _crashes_on_an_array(request: Request, response: Response) -> Response:
    return Response.problem(500) if _parts(request)[0] == part(b"[]") else response


def _too_large(request: Request, response: Response) -> Response:
    return response if len(_parts(request)) < 2 or len(_parts(request)[1]) < 50_000 else Response.problem(431)


CONFORMING = (
    Example("the sample shop"),
    Example("400 instead of 401", alter=lambda q, r: Response.problem(400) if r.status == 401 else r),
    Example("a token of 100 kB is too large a field", alter=_too_large),
)

BREACHING = (
    Example("what stands behind the third part is cut off", alter=_three_of_four),
    Example("a header that is an array crashes it", alter=_crashes_on_an_array),
)
