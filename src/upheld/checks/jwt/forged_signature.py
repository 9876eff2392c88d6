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

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
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
    Subject,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import caller, canary, control

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
    operation = canary(contract)
    if contract.auth.scheme != "bearer":
        return NotApplicable("access tokens are not sent as Bearer")
    if operation is None:
        return Unproven("no secured GET without parameters is there to show tokens to")
    return [Subject(operation.label, operation=operation)]


def converse(lane: Lane) -> Conversation:
    session = yield from caller(lane, lane.operation)
    token = session.access or ""
    parts = token.split(".")
    if len(parts) != 3 or not isinstance(_decoded(parts[0]), dict) or not isinstance(_decoded(parts[1]), dict):
        return NotApplicable("access tokens are opaque, not JSON Web Tokens")
    request: Request
    request, _ = yield from control(lane, lane.operation, session)
    bare = request.as_(None)
    accepted = []
    tried = 0
    for says, forged in _forgeries(*parts):
        tried += 1
        response = yield from send(bare.with_headers(authorization=f"Bearer {forged}"))
        if response.ok:
            accepted.append((says, response.status))
    if accepted:
        return Finding(
            expected="401 for every forged token",
            actual="; ".join(f"{status} for {says}" for says, status in accepted[:4])
            + (f" and {len(accepted) - 4} more" if len(accepted) > 4 else ""),
            sent=f"{tried} forgeries of a good access token to {lane.operation.label}",
            request=bare.with_headers(authorization="Bearer $FORGED"),
        )
    return Kept(f"{tried} forgeries refused")


def _forgeries(header: str, payload: str, signature: str) -> Iterator[tuple[str, str]]:
    claims: dict[str, Any] = _decoded(payload)
    for name in ("none", "None", "nOnE"):
        unsigned = _encoded({**_decoded(header), "alg": name})
        yield f"alg {name} without a signature", f"{unsigned}.{payload}."
        yield f"alg {name} with the old signature", f"{unsigned}.{payload}.{signature}"
    yield "a missing third part", f"{header}.{payload}"
    yield "an empty signature", f"{header}.{payload}."
    exp = claims.get("exp")
    later = {**claims, "exp": exp + 3600} if isinstance(exp, int) else {**claims, "upheld": True}
    yield "another payload under the old signature", f"{header}.{_encoded(later)}.{signature}"
    # The first character: the last one of some lengths has bits that do not count, and lenient decoders may ignore them.
    first = "A" if signature[:1] != "A" else "B"
    yield "a changed signature", f"{header}.{payload}.{first}{signature[1:]}"
    signed = f"{header}.{payload}".encode()
    yield "a signature by another key", f"{header}.{payload}.{_part(hmac.digest(b'upheld', signed, hashlib.sha256))}"
    relabelled = _encoded({**_decoded(header), "alg": "HS384" if _decoded(header).get("alg") != "HS384" else "HS512"})
    yield "another algorithm's name over the old signature", f"{relabelled}.{payload}.{signature}"


def _decoded(part: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return None


def _encoded(value: Any) -> str:
    return _part(json.dumps(value, separators=(",", ":")).encode())


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_IN = Response.of(200, {"id": "1", "email": "a@example.test", "role": "user"})


def _header_of(request: Request) -> Any:
    return _decoded(request.headers.get("authorization", "")[7:].split(".")[0]) or {}


CONFORMING = (
    Example("the sample shop"),
    Example("400 for what is no token", alter=lambda q, r: Response.problem(400) if r.status == 401 else r),
)

BREACHING = (
    Example(
        "unsigned tokens",
        alter=lambda q, r: _IN if r.status == 401 and str(_header_of(q).get("alg")).lower() == "none" else r,
    ),
    Example(
        "the payload is decoded, not verified",
        alter=lambda q, r: _IN if r.status == 401 and q.headers.get("authorization", "").count(".") == 2 else r,
    ),
)
