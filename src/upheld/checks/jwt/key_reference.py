"""A token cannot choose the key that it is verified with.

## What it requires

Header parameters that name or bring a key are data from a stranger: `kid` is looked up among the service's own keys and nowhere else,
`jwk` is not believed, `jku` and `x5u` are not followed. Nothing in them crashes the service. A token whose `crit` lists an extension
that the service does not know is refused, even when its signature fits.

## Why

Who chooses the key signs for anybody: a `kid` that leads to an empty file makes the key empty, a `jwk` brings the key along.

## What it sends

A good token once as the control, then copies of it with such headers, each signed with the key that its header points to. With a
known key (`auth: {jwt: {key_env: …}}`, or guessed) also one that is signed properly and has `crit`. `jku` and `x5u` name a port of the service's own
machine where nothing listens: whether it tried to fetch them is not seen, only that it accepts and crashes on nothing.

## Example of a breach

A token that carries a fresh key as `jwk` and is signed with it is answered `200`.

## When to waive it

Never.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
)
from upheld.exchange import Request, Response
from upheld.steps import Key, Token, forged, good_token, proven_key, show, token_subject
from upheld.steps.public_keys import own_pair
from upheld.steps.tokens import decoded, part

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A token cannot choose the key that it is verified with",
    level=MUST,
    clause=Clause(
        "RFC 8725 §3.10, RFC 7515 §4.1.11",
        "https://www.rfc-editor.org/rfc/rfc8725#section-3.10",
        'The "kid" (key ID) header is used by the relying application to perform key lookup. Applications should ensure that '
        "this does not create SQL or LDAP injection vulnerabilities by validating and/or sanitizing the received value.",
    ),
    catalogue=("JWT-04",),
    reads=("auth.jwt.key_env", "identities"),
    cost=13,
    owasp="API2:2023",
    cwe=("CWE-347", "CWE-22", "CWE-89", "CWE-918"),
)

_NOWHERE = "http://127.0.0.1:9/keys.json"
_SQL = "x' UNION SELECT 'upheld' -- "
_FILE = "../../../../../../../../dev/null"


def subjects(contract: Contract) -> Subjects:
    return token_subject(contract)


def converse(lane: Lane) -> Conversation:
    good = yield from good_token(lane)
    if isinstance(good, NotApplicable):
        return good
    key: Key | None = None
    kept = ""
    try:
        key = yield from proven_key(lane, good)
    except CannotProve as cannot:
        kept = f"; crit was not tried: {cannot}" + (f" ({cannot.outcome.add})" if cannot.outcome.add else "")
    return (yield from show(good, _chosen(good.token, key), crash=True, kept=kept))


def _chosen(token: Token, key: Key | None) -> Iterator[tuple[str, str]]:
    def signed(own: bytes, alg: str = "HS256", **parameters: Any) -> str:
        return forged({**token.header, "alg": alg, **parameters}, token.claims, own)

    yield "a kid that leads to an empty file, signed with no key", signed(b"", kid=_FILE)
    yield "a kid that leads to an empty file, signed with one zero octet", signed(b"\0", kid=_FILE)
    yield "a kid with SQL that gives 'upheld', signed with that", signed(b"upheld", kid=_SQL)
    yield "a kid that is an object", signed(b"upheld", kid={"a": 1})
    yield "a kid that is an array", signed(b"upheld", kid=[1])
    yield "a secret of its own as jwk", signed(b"upheld", jwk={"kty": "oct", "k": part(b"upheld"), "alg": "HS256"})
    pair = own_pair()
    yield "a public key of its own as jwk", signed(pair.private, "ES256", jwk=pair.jwk)
    yield "a jwk that is text", signed(b"upheld", jwk="upheld")
    yield "a jku that is not the service's", signed(pair.private, "ES256", jku=_NOWHERE)
    yield "an x5u that is not the service's", signed(pair.private, "ES256", x5u=_NOWHERE)
    if key is not None:
        unknown = {**token.header, "crit": ["upheld"], "upheld": True}
        yield "a crit that lists an unknown extension, properly signed", forged(unknown, token.claims, key.value)


def _header(request: Request) -> dict[str, Any]:
    header = decoded(request.headers.get("authorization", "")[7:].split(".")[0])
    return header if isinstance(header, dict) else {}


def _believes_jwk(request: Request, response: Response) -> Response:
    jwk = _header(request).get("jwk")
    return Response.of(200, {"id": "1"}) if isinstance(jwk, dict) and jwk.get("kty") == "EC" else response


def _looks_kid_up(request: Request, response: Response) -> Response:
    kid = _header(request).get("kid", "")
    return response if isinstance(kid, str) else Response.problem(500)


CONFORMING = (
    Example("the sample shop"),
    Example("no key is known", policy={"auth": {}}),
    Example("what is not understood is refused as malformed", alter=lambda q, r: r if r.ok else Response.problem(400)),
)

BREACHING = (
    Example("the key that a token brings is believed", alter=_believes_jwk),
    Example("a kid that is an object crashes it", alter=_looks_kid_up),
    Example(
        "a kid leads to a file",
        alter=lambda q, r: Response.of(200, {"id": "1"}) if _header(q).get("kid") == _FILE else r,
    ),
    Example("crit is not looked at", shop=lambda shop: shop.skips.add("typ")),
)
