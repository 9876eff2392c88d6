"""A public key is not taken for a secret.

## What it requires

Where tokens are signed with a private key (RS256, ES256, PS256, EdDSA), one that was signed with HS256 and the public key as the secret is refused.

## Why

A verifier that lets the token's header choose the algorithm uses the key that it has as that algorithm wants it. The public key is
no secret, so anybody signs.

## What it sends

A request for the key set, where `auth: {jwt: {jwks: …}}` says or at `/.well-known/jwks.json`, unless `auth: {jwt: {key_env: …}}` names a PEM.
A good token once as the control. Then four copies of it, relabelled HS256 and signed with the public key as text (PEM, with and without
its last newline), as octets (DER) and as JSON (JWK).

## Example of a breach

A token with `{"alg": "HS256"}`, signed with the PEM of the public key, is answered `200`.

## When to waive it

Never.
"""

from __future__ import annotations

import json
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
from upheld.steps import Token, forged, good_token, read_token, show, token_subject
from upheld.steps.public_keys import USUAL, own_pair, public_key, verifies
from upheld.steps.tokens import HMACS, signs

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="A public key is not taken for a secret",
    level=MUST,
    clause=Clause(
        "RFC 8725 §2.1, §3.1",
        "https://www.rfc-editor.org/rfc/rfc8725#section-3.1",
        "each key MUST be used with exactly one algorithm, and this MUST be checked when the cryptographic operation is "
        "performed.",
    ),
    catalogue=("JWT-02",),
    reads=("auth.jwt.jwks", "auth.jwt.key_env", "identities"),
    cost=7,
    owasp="API2:2023",
    cwe=("CWE-347", "CWE-327"),
)


def subjects(contract: Contract) -> Subjects:
    return token_subject(contract)


def converse(lane: Lane) -> Conversation:
    good = yield from good_token(lane)
    if isinstance(good, NotApplicable):
        return good
    if good.token.alg in HMACS:
        return NotApplicable(f"tokens are signed with {good.token.alg}: there is no public key to take for a secret")
    public = yield from public_key(lane, good.token)
    return (yield from show(good, _confused(good.token, public)))


def _confused(token: Token, public: Any) -> Iterator[tuple[str, str]]:
    import jwt
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    jwk = jwt.get_algorithm_by_name(token.alg).to_jwk(public, as_dict=True)
    for says, key in (
        ("the public key's PEM", pem),
        ("the public key's PEM without its last newline", pem.rstrip()),
        ("the public key's DER", der),
        ("the public key's JWK", json.dumps(jwk, separators=(",", ":")).encode()),
    ):
        yield f"HS256 with {says} as the secret", forged({**token.header, "alg": "HS256"}, token.claims, key)


def _es256(*, confuses: bool = False) -> Any:
    """A shop that signs with a private key, and may let the header choose what its public key is used for."""

    def believed(token: Token | None) -> bool:
        if token is None:
            return False
        by_header = confuses and signs(own_pair().public.rstrip(), token)
        return by_header or (token.alg == "ES256" and verifies(own_pair().public, token))

    def change(shop: Shop) -> None:
        made, claims_of = shop._tokens, shop.claims

        def claims(text: str, kind: str) -> dict[str, Any] | None:
            token = read_token(text)
            if token is None or not believed(token):
                return None
            return claims_of(forged({"alg": "HS256", "typ": "JWT"}, token.claims, shop.key.encode()), kind)

        def tokens(user: str, family: str) -> Response:
            answer = made(user, family).json()
            token = read_token(answer["access_token"])
            assert token is not None
            access = forged({"alg": "ES256", "typ": "JWT"}, token.claims, own_pair().private)
            return Response.of(200, {**answer, "access_token": access})

        shop._tokens = tokens  # type: ignore[method-assign]
        shop.claims = claims  # type: ignore[method-assign,assignment]

    return change


def _published(request: Request, response: Response) -> Response:
    return Response.of(200, {"keys": [{"kty": "oct"}, own_pair().jwk]}) if request.path == USUAL else response


CONFORMING = (Example("a private key", shop=_es256(), alter=_published),)

BREACHING = (Example("the token's header chooses the algorithm", shop=_es256(confuses=True), alter=_published),)
