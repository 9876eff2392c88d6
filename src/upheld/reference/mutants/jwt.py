"""Defects of tokens."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.types import Options
from starlette.responses import JSONResponse

from upheld.reference.core.security import Claims, InvalidTokenError, TokenCodec, TokenKind

from . import Context, Mutant


def _signature_not_verified(ctx: Context) -> None:
    # What stands around it (form, header, claims) is still looked at, so only another payload under an old signature passes.
    claims = {"verify_exp": True, "verify_nbf": True, "verify_iat": True, "verify_aud": True, "verify_iss": True}
    ctx.parts.tokens.options |= cast("Options", {"verify_signature": False, **claims})


def _family_lives_on(ctx: Context) -> None:
    async def nothing(*_: Any) -> None:
        return None

    ctx.replace(ctx.parts.sessions, "end_family", nothing)


def _well_known_secret(ctx: Context) -> None:
    ctx.parts.tokens.key = "super-secret-jwt-token-with-at-least-32-characters-long"


def _fourth_part_ignored(ctx: Context) -> None:
    def first_three(token: str, kind: TokenKind) -> Claims:
        claims: Claims = verify(".".join(token.split(".")[:3]), kind)
        return claims

    verify = ctx.replace(ctx.parts.tokens, "verify", first_three)


def _expiry_ignored(ctx: Context) -> None:
    ctx.parts.tokens.options["verify_exp"] = False


def _audience_ignored(ctx: Context) -> None:
    # It still has to be there.
    ctx.parts.tokens.options["verify_aud"] = False


def _embedded_key_believed(ctx: Context) -> None:
    tokens = ctx.parts.tokens

    def verify(token: str, kind: TokenKind) -> Claims:
        try:
            key = jwt.get_unverified_header(token)["jwk"]
            payload = jwt.decode(token, jwt.PyJWK(key), options={"verify_aud": False})
        except (jwt.PyJWTError, LookupError, AttributeError, TypeError, ValueError, RecursionError):
            claims: Claims = original(token, kind)
            return claims
        return tokens._claims({"typ": tokens.HEADER_TYPES[kind]}, payload, kind)

    original = ctx.replace(tokens, "verify", verify)


def _kind_not_looked_at(ctx: Context) -> None:
    tokens = ctx.parts.tokens
    ctx.replace(tokens, "check_kind", lambda payload, kind: None)
    ctx.replace(tokens, "check_header", lambda header, kind: None)


def _an_hour(ctx: Context) -> None:
    ctx.parts.tokens.ttl["access"] = 3600


def _password_hash_in_tokens(ctx: Context) -> None:
    tokens = ctx.parts.tokens

    def issue(kind: TokenKind, *given: Any, **named: Any) -> str:
        token: str = original(kind, *given, **named)
        claims = jwt.decode(token, options={"verify_signature": False})
        claims["password_hash"] = "$2b$12$" + "x" * 53
        return jwt.encode(claims, tokens.key, tokens.ALGORITHM, headers={"typ": tokens.HEADER_TYPES[kind]})

    original = ctx.replace(tokens, "issue", issue)


def _header_chooses_algorithm(ctx: Context) -> None:
    """Signed with a private key, whose public half is published and verifies whatever the header says that it verifies."""
    tokens = ctx.parts.tokens
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key()
    text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    own = TokenCodec(ctx.settings, tokens.clock)

    def issue(kind: TokenKind, *given: Any, **named: Any) -> str:
        claims = jwt.decode(own.issue(kind, *given, **named), options={"verify_signature": False})
        return jwt.encode(claims, private, "ES256", headers={"typ": tokens.HEADER_TYPES[kind]})

    def verify(token: str, kind: TokenKind) -> Claims:
        try:
            header = jwt.get_unverified_header(token)
            content, _, signature = token.rpartition(".")
            if header["alg"] == "HS256":
                made = base64.urlsafe_b64encode(hmac.digest(text, content.encode(), "sha256")).rstrip(b"=").decode()
                if not hmac.compare_digest(made, signature):
                    raise InvalidTokenError("signature")
            else:
                jwt.api_jws.decode(token, public, algorithms=["ES256"])
            claims = jwt.decode(token, options={"verify_signature": False})
            return own.verify(jwt.encode(claims, own.key, own.ALGORITHM, headers={"typ": header["typ"]}), kind)
        except (jwt.PyJWTError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise InvalidTokenError(type(error).__name__) from None

    ctx.replace(tokens, "issue", issue)
    ctx.replace(tokens, "verify", verify)
    numbers = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(public))
    ctx.route("GET", "/.well-known/jwks.json", lambda: JSONResponse({"keys": [numbers]}))


def _remembered(ctx: Context) -> None:
    believed: dict[tuple[str, TokenKind], Claims] = {}

    def verify(token: str, kind: TokenKind) -> Claims:
        if (token, kind) not in believed:
            believed[token, kind] = original(token, kind)
        return believed[token, kind]

    original = ctx.replace(ctx.parts.tokens, "verify", verify)


MUTANTS = (
    Mutant(
        name="jwt/remembered",
        requirement="jwt/expires",
        says="What a token proved once is remembered without an end, to spare the verification.",
        apply=_remembered,
    ),
    Mutant(
        name="jwt/header-chooses-algorithm",
        requirement="jwt/key-confusion",
        says="Tokens are signed with a private key, but the token's header says how its public half is used to verify.",
        apply=_header_chooses_algorithm,
        also=("jwt/claims",),  # the contract says HS256
    ),
    Mutant(
        name="jwt/an-hour",
        requirement="jwt/lifetime",
        says="Access tokens live an hour, and the contract says a quarter of one.",
        apply=_an_hour,
    ),
    Mutant(
        name="jwt/password-hash-in-tokens",
        requirement="jwt/claims",
        says="The whole row of the user goes into the token, the password's hash included.",
        apply=_password_hash_in_tokens,
    ),
    Mutant(
        name="jwt/embedded-key-believed",
        requirement="jwt/key-reference",
        says="A token that brings a key in its header is verified with that key.",
        apply=_embedded_key_believed,
    ),
    Mutant(
        name="jwt/kind-not-looked-at",
        requirement="jwt/kinds",
        says="Access and refresh tokens differ, but whoever verifies them does not look at what they are.",
        apply=_kind_not_looked_at,
    ),
    Mutant(
        name="jwt/well-known-secret",
        requirement="jwt/weak-secret",
        says="The secret of a starter template was never replaced.",
        apply=_well_known_secret,
    ),
    Mutant(
        name="jwt/fourth-part-ignored",
        requirement="jwt/malformed",
        says="A token is split at its dots and the first three parts are read, however many there are.",
        apply=_fourth_part_ignored,
    ),
    Mutant(
        name="jwt/expiry-ignored",
        requirement="jwt/expiry",
        says="Tokens have to have an end, but nobody looks whether it has passed.",
        apply=_expiry_ignored,
    ),
    Mutant(
        name="jwt/audience-ignored",
        requirement="jwt/registered-claims",
        says="Tokens have to name an audience, but any will do.",
        apply=_audience_ignored,
    ),
    Mutant(
        name="jwt/signature-not-verified",
        requirement="jwt/forged-signature",
        says="Tokens are decoded and their claims believed, but the signature is not verified.",
        apply=_signature_not_verified,
    ),
    Mutant(
        name="jwt/family-lives-on",
        requirement="jwt/refresh-reuse",
        says="A refresh token that comes back is refused, but its successor goes on working.",
        apply=_family_lives_on,
    ),
)
