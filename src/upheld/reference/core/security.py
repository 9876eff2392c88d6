"""Passwords, tokens and API keys: what is checked, and that it is checked exactly."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal
from uuid import UUID, uuid4

import anyio
import bcrypt
import jwt
from jwt.types import Options

from . import scopes
from .clock import Clock
from .settings import Settings

PASSWORD_MAX_BYTES = 72
"""bcrypt reads no further (OWASP Password Storage cheat sheet, "Input limits of bcrypt")."""

TokenKind = Literal["access", "refresh"]


class PasswordHasher:
    """bcrypt in threads of its own: it holds no lock while it works, but it does hold a core for a quarter of a second.

    At most ``threads`` hashes run at once: a volley of logins queues here, and not for the threads of everybody else.
    """

    def __init__(self, cost: int, threads: int = 1) -> None:
        self.cost = cost
        self._room = anyio.CapacityLimiter(threads)
        # Verified for users that do not exist, so that the time does not tell (CWE-208): a salt, and 184 bits that nobody's
        # password gives.
        self._dummy = bcrypt.gensalt(cost) + b"." * 31

    async def hash(self, password: str) -> str:
        salt = bcrypt.gensalt(self.cost)
        digest = await anyio.to_thread.run_sync(bcrypt.hashpw, password.encode(), salt, limiter=self._room)
        return digest.decode("ascii")

    async def verify(self, password: str, digest: str | None) -> bool:
        """False for a wrong password and, after the same work, for a user that does not exist (digest None)."""
        candidate = password.encode("utf-8", "replace")
        fits = len(candidate) <= PASSWORD_MAX_BYTES and b"\0" not in candidate
        stored = self._dummy if digest is None else digest.encode("ascii")
        matches = await anyio.to_thread.run_sync(
            bcrypt.checkpw, candidate if fits else b"x", stored, limiter=self._room
        )
        return matches and fits and digest is not None


class InvalidTokenError(Exception):
    """A token that is not to be believed. Why is for the log, never for the client."""


@dataclass(frozen=True)
class Delegation:
    """That a token was given to an OAuth client, and what for. Tokens of the login have none: they may do all."""

    client_id: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class Claims:
    """What a verified token says."""

    subject: UUID
    session: UUID | None
    """None: a client has it on its own behalf, and no user signed in for it."""
    token_id: UUID
    kind: TokenKind
    expires_at: datetime
    delegation: Delegation | None = None

    @property
    def family(self) -> UUID:
        """The session of a refresh token, which always has one."""
        assert self.session is not None  # the codec refuses those that have none
        return self.session


class TokenCodec:
    """JWT with HS256 and nothing else: the algorithm comes from here, never from the token (RFC 8725 §3.1)."""

    ALGORITHM = "HS256"
    REQUIRED = ("exp", "iat", "sub", "jti", "iss", "aud", "type")
    # RFC 8725 §3.11 explicit typing: a refresh token differs from an access token in its header as well.
    HEADER_TYPES: ClassVar[dict[TokenKind, str]] = {"access": "at+jwt", "refresh": "rt+jwt"}
    _COMPACT = re.compile(r"[A-Za-z0-9_-]{1,512}\.[A-Za-z0-9_-]{1,2048}\.[A-Za-z0-9_-]{43}")

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.key = settings.jwt_key.get_secret_value()
        self.issuer = settings.jwt_issuer
        self.audience = settings.jwt_audience
        self.ttl: dict[TokenKind, int] = {"access": settings.access_ttl, "refresh": settings.refresh_ttl}
        self.clock = clock
        self.options: Options = {"require": list(self.REQUIRED)}

    def issue(
        self,
        kind: TokenKind,
        subject: UUID,
        session: UUID | None,
        token_id: UUID | None = None,
        delegation: Delegation | None = None,
    ) -> str:
        issued_at = int(self.clock.now().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": str(subject),
            "jti": str(token_id or uuid4()),
            "type": kind,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + self.ttl[kind],
        }
        if session is not None:
            claims["sid"] = str(session)
        if delegation is not None:  # the claims of RFC 9068 §2.2 and §2.2.3
            claims |= {"client_id": delegation.client_id, "scope": scopes.written(delegation.scopes)}
        return jwt.encode(claims, self.key, self.ALGORITHM, headers={"typ": self.HEADER_TYPES[kind]})

    def verify(self, token: str, kind: TokenKind) -> Claims:
        """The claims of a token of this kind, or InvalidTokenError."""
        try:
            # RFC 8725 §3.14 (bis): the compact form only. The last character of a signature carries two unused bits:
            # a decoder that ignores them takes four spellings for one token.
            if not self._COMPACT.fullmatch(token) or not _canonical(token.rpartition(".")[2]):
                raise InvalidTokenError("not a compact JWS")
            decoded = jwt.decode_complete(
                token,
                self.key,
                algorithms=[self.ALGORITHM],
                issuer=self.issuer,
                audience=self.audience,
                options=self.options,
            )
            return self._claims(decoded["header"], decoded["payload"], kind)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InvalidTokenError(type(error).__name__) from None

    def _claims(self, header: dict[str, Any], payload: dict[str, Any], kind: TokenKind) -> Claims:
        self.check_header(header, kind)
        self.check_kind(payload, kind)
        self.check_times(payload)
        delegation = self._delegation(payload)
        if "sid" not in payload and (delegation is None or kind != "access"):
            raise InvalidTokenError("sid")
        return Claims(
            subject=_id(payload["sub"]),
            session=_id(payload["sid"]) if "sid" in payload else None,
            token_id=_id(payload["jti"]),
            kind=kind,
            expires_at=datetime.fromtimestamp(payload["exp"], tz=self.clock.now().tzinfo),
            delegation=delegation,
        )

    @staticmethod
    def _delegation(payload: dict[str, Any]) -> Delegation | None:
        client_id, scope = payload.get("client_id"), payload.get("scope")
        if client_id is None and scope is None:
            return None
        if not isinstance(client_id, str) or not isinstance(scope, str):
            raise InvalidTokenError("scope")
        return Delegation(client_id, scopes.parse(scope))

    def check_header(self, header: dict[str, Any], kind: TokenKind) -> None:
        # Nothing in the header may name a key (RFC 8725 §3.10); we sign with one and send none of these.
        if header.get("typ") != self.HEADER_TYPES[kind] or set(header) - {"alg", "typ"}:
            raise InvalidTokenError("header")

    def check_kind(self, payload: dict[str, Any], kind: TokenKind) -> None:
        # RFC 8725 §3.12: validation rules for different kinds of JWT MUST be mutually exclusive.
        if payload["type"] != kind:
            raise InvalidTokenError("kind")

    def check_times(self, payload: dict[str, Any]) -> None:
        # RFC 7519 §4.1.4: exp is a NumericDate. PyJWT also takes strings and 1e308; a number that no clock reaches is
        # a token that never expires.
        for name in ("exp", "iat"):
            value = payload[name]
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 40:
                raise InvalidTokenError(name)
        if payload["exp"] - payload["iat"] > max(self.ttl.values()):
            raise InvalidTokenError("lifetime")


class ApiKeyCodec:
    """API keys that can be told from noise without a query.

    ``uk_`` and 64 bytes in base64url: id of the key, id of its owner, 16 random bytes, 16 bytes of HMAC-SHA256 over
    them. The tag lets the rate limiter know the owner before anything else is done; whether the key still
    stands is for the database, which holds only a SHA-256 of the whole text.
    """

    PREFIX = "uk_"
    _TEXT = re.compile(r"uk_[A-Za-z0-9_-]{86}")

    def __init__(self, settings: Settings) -> None:
        self._key = hashlib.sha256(b"api-keys:" + settings.jwt_key.get_secret_value().encode()).digest()

    def issue(self, key_id: UUID, owner: UUID) -> str:
        content = key_id.bytes + owner.bytes + secrets.token_bytes(16)
        return self.PREFIX + base64.urlsafe_b64encode(content + self._tag(content)).rstrip(b"=").decode()

    def owner(self, text: str) -> tuple[UUID, UUID] | None:
        """(id of the key, id of its owner) of a key that we issued, else None."""
        if not self._TEXT.fullmatch(text):
            return None
        content = base64.urlsafe_b64decode(text[len(self.PREFIX) :] + "==")
        if not hmac.compare_digest(self._tag(content[:48]), content[48:]):
            return None
        return UUID(bytes=content[:16]), UUID(bytes=content[16:32])

    def digest(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    def _tag(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")[:16]


def _id(claim: Any) -> UUID:
    if not isinstance(claim, str):
        raise InvalidTokenError("id")
    return UUID(claim)


def _canonical(part: str) -> bool:
    padded = part + "=" * (-len(part) % 4)
    return base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)).rstrip(b"=") == part.encode()


def expiry(clock: Clock, seconds: int) -> datetime:
    return clock.now() + timedelta(seconds=seconds)
