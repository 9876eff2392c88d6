"""A token whose signature does not fit is refused.

## What it requires

An access token is accepted only with the signature that the service gave it: not unsigned (`alg: none` in any spelling), not with a part
missing or an empty signature, not with another payload under the old signature, not with a changed signature, not re-signed with
another key or under another algorithm's name.

## Why

A service that skips one of these lets anybody write a token for any user.

## What it sends

A good token once as the control, then a dozen forgeries of it to one harmless operation.

## Example of a breach

A token with `{"alg": "none"}` and no third part is answered `200`.

## When to waive it

Never.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

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
from upheld.steps.tokens import decoded, encoded, part

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A token whose signature does not fit is refused",
    level=MUST,
    clause=Clause(
        "RFC 8725 §3.1–3.3, RFC 7519 §7.2",
        "https://www.rfc-editor.org/rfc/rfc8725#section-3.1",
        "Libraries MUST enable the caller to specify a supported set of algorithms and MUST NOT use any other algorithms "
        "when performing cryptographic operations.",
    ),
    catalogue=("JWT-01",),
    reads=("identities", "auth"),
    cost=15,
    owasp="API2:2023",
    cwe=("CWE-347",),
)


def subjects(contract: Contract) -> Subjects:
    return token_subject(contract)


def converse(lane: Lane) -> Conversation:
    good = yield from good_token(lane)
    if isinstance(good, NotApplicable):
        return good
    return (yield from show(good, _forgeries(good.token)))


def _forgeries(token: Token) -> Iterator[tuple[str, str]]:
    header, payload, signature = token.parts
    for name in ("none", "None", "nOnE"):
        unsigned = encoded({**token.header, "alg": name})
        yield f"alg {name} without a signature", f"{unsigned}.{payload}."
        yield f"alg {name} with the old signature", f"{unsigned}.{payload}.{signature}"
    yield "a missing third part", f"{header}.{payload}"
    yield "an empty signature", f"{header}.{payload}."
    exp = token.claims.get("exp")
    later = {"exp": exp + 3600} if isinstance(exp, int) else {"upheld": True}
    yield "another payload under the old signature", f"{header}.{encoded({**token.claims, **later})}.{signature}"
    # The first character: the last one of some lengths has bits that do not count, and lenient decoders may ignore them.
    first = "A" if signature[:1] != "A" else "B"
    yield "a changed signature", f"{header}.{payload}.{first}{signature[1:]}"
    signed = f"{header}.{payload}".encode()
    yield "a signature by another key", f"{header}.{payload}.{part(hmac.digest(b'upheld', signed, hashlib.sha256))}"
    relabelled = encoded({**token.header, "alg": "HS384" if token.alg != "HS384" else "HS512"})
    yield "another algorithm's name over the old signature", f"{relabelled}.{payload}.{signature}"


_IN = Response.of(200, {"id": "1", "email": "a@example.test", "role": "user"})


def _header_of(request: Request) -> Any:
    return decoded(request.headers.get("authorization", "")[7:].split(".")[0]) or {}


CONFORMING = (
    Example("the sample shop"),
    Example("400 for what is no token", alter=lambda q, r: Response.problem(400) if r.status == 401 else r),
)

BREACHING = (
    Example(
        "unsigned tokens",
        alter=lambda q, r: _IN if r.status == 401 and str(_header_of(q).get("alg", "")).lower() == "none" else r,
    ),
    Example(
        "the payload is decoded, not verified",
        alter=lambda q, r: _IN if r.status == 401 and q.headers.get("authorization", "").count(".") == 2 else r,
    ),
)
