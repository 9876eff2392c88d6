"""Keys that come in two halves: the service's public one, found; a pair of our own, made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from upheld.check import CannotProve, Lane, secret, send
from upheld.exchange import NotJson, Request, Response
from upheld.steps.requests import Move
from upheld.steps.tokens import Token

USUAL = "/.well-known/jwks.json"
"""Where key sets mostly are; no RFC prescribes a place."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A key pair for ES256."""

    private: bytes
    """PEM (PKCS #8)."""
    public: bytes
    """PEM (SubjectPublicKeyInfo)."""
    jwk: Mapping[str, Any]
    """The public half as a JSON Web Key."""


@cache
def own_pair() -> Pair:
    """Made once for this process; no service knows it."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
    from jwt.algorithms import ECAlgorithm

    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    return Pair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        json.loads(ECAlgorithm.to_jwk(public)),
    )


def public_key(lane: Lane, token: Token) -> Move:
    """``key = yield from public_key(lane, token)``: the one of ``cryptography`` that verifies the token.

    From ``auth.jwt.key_env`` (either half as PEM), else from the service's key set. Raises `CannotProve` where there is none.
    """
    stated = lane.contract.policy.auth.jwt
    tried = []
    if stated.key_env:
        value: str | None = yield from secret(stated.key_env)
        tried.append(f"in {stated.key_env}")
        if verifies(key := _public_half(value or "", token.alg), token):
            return key
    path = stated.jwks or USUAL
    tried.append(f"at {path}")
    answer: Response = yield from send(Request("GET", path))
    for jwk in key_set(answer) or []:
        if verifies(key := _imported(jwk), token):
            return key
    raise CannotProve(
        f"no public key that verifies {token.alg} tokens was found {' or '.join(tried)}",
        f"auth: {{jwt: {{jwks: {USUAL}}}}}",
    )


def key_set(answer: Response) -> list[Mapping[str, Any]] | None:
    """The keys of a JSON Web Key Set (RFC 7517 §5), or None where the answer is none."""
    try:
        keys = answer.json()["keys"] if answer.ok else None
    except (NotJson, LookupError, TypeError):
        return None
    return [key for key in keys if isinstance(key, Mapping)] if isinstance(keys, list) else None


def verifies(public: Any, token: Token) -> bool:
    """Whether the token's signature fits this public key (an object of ``cryptography``, or PEM); False for None."""
    import jwt

    try:
        jwt.api_jws.decode(token.text, public, algorithms=[token.alg])
    except (jwt.PyJWTError, NotImplementedError, TypeError, ValueError, AttributeError):
        return False
    return True


def _public_half(pem: str, alg: str) -> Any:
    import jwt

    try:
        key: Any = jwt.get_algorithm_by_name(alg).prepare_key(pem)
    except (jwt.PyJWTError, NotImplementedError, TypeError, ValueError):
        return None
    return key.public_key() if hasattr(key, "public_key") else key


def _imported(jwk: Mapping[str, Any]) -> Any:
    import jwt

    try:
        key = jwt.PyJWK(dict(jwk)).key
    except (jwt.PyJWTError, LookupError, TypeError, ValueError):
        return None
    return key.public_key() if hasattr(key, "public_key") else key
