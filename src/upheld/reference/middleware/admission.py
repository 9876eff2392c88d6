"""Who seems to ask, and whether their bucket has a token left: before routing, authentication and validation."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from upheld.reference.core.problems import INVALID_REQUEST, Problem, challenge, unauthenticated
from upheld.reference.core.rate_limit import Limiter
from upheld.reference.core.security import ApiKeyCodec, Claims, InvalidTokenError, TokenCodec


@dataclass(frozen=True)
class Credential:
    """What a request carries as proof, verified as far as that goes without a query."""

    claims: Claims | None = None
    api_key: tuple[str, UUID] | None = None
    """(text, id of the key)"""
    refusal: Problem | None = None
    """Why a credential that was sent is of no use; raised only where one is wanted."""

    @property
    def was_sent(self) -> bool:
        return self != Credential()


class CredentialReader:
    """Reads Authorization and X-API-Key. A seam: a mutant may replace it."""

    def __init__(self, tokens: TokenCodec, api_keys: ApiKeyCodec) -> None:
        self.tokens = tokens
        self.api_keys = api_keys

    def read(self, headers: Headers) -> tuple[Credential, UUID | None]:
        """The credential and the subject that it proves. Never looks into the URL (OAuth 2.1 §5.1.1)."""
        authorizations, keys = headers.getlist("authorization"), headers.getlist("x-api-key")
        found = [*(self._bearer(field) for field in authorizations), *(self._api_key(text) for text in keys)]
        invalid = [reading for reading in found if reading[1] is None]
        if len(found) > 1 and (not invalid or len(authorizations) > 1 or len(keys) > 1):
            # RFC 6750 §3.1, invalid_request: "uses more than one method for including an access token".
            return Credential(refusal=_invalid("Send one credential.")), None
        # A credential that is sent is checked, also beside a good one: a forged one never rides along.
        return next(iter(invalid or found), (Credential(), None))

    def _bearer(self, field: str) -> tuple[Credential, UUID | None]:
        scheme, _, token = field.strip().partition(" ")
        if scheme.lower() != "bearer":  # RFC 9110 §11.1: the scheme is case-insensitive
            return Credential(refusal=unauthenticated("The scheme has to be Bearer.")), None
        token = token.strip()
        if not token or " " in token:
            return Credential(refusal=_invalid("The Authorization field is malformed.")), None
        try:
            claims = self.tokens.verify(token, "access")
        except InvalidTokenError:
            refusal = unauthenticated("The access token is not valid.", error="invalid_token")
            return Credential(refusal=refusal), None
        return Credential(claims=claims), claims.subject

    def _api_key(self, text: str) -> tuple[Credential, UUID | None]:
        found = self.api_keys.owner(text)
        if found is None:
            return Credential(refusal=unauthenticated("The API key is not valid.")), None
        return Credential(api_key=(text, found[0])), found[1]


class Admission:
    def __init__(self, app: ASGIApp, *, reader: CredentialReader, limiter: Limiter) -> None:
        self.app = app
        self.reader = reader
        self.limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            credential, subject = self.reader.read(Headers(scope=scope))
            scope["state"].update(credential=credential, subject=str(subject) if subject else None)
            scope["state"]["decision"] = await self.limiter.check(Request(scope))
        await self.app(scope, receive, send)


def _invalid(detail: str) -> Problem:
    return Problem(INVALID_REQUEST, detail, headers=challenge("invalid_request"))
