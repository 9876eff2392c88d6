"""The OAuth 2 authorization server: authorization codes, and tokens for them, for refresh tokens and for clients themselves.

RFC 6749 as RFC 9700 and draft-ietf-oauth-v2-1-15 leave it: codes with PKCE (S256) for every client, no implicit and no
password grant, redirect URIs compared character by character. What a code or a refresh token begins is a ``Session`` like
that of a login, so whatever ends a user's sessions ends these too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode
from uuid import UUID

from upheld.reference.core import form
from upheld.reference.core.clients import Client, Clients
from upheld.reference.core.clock import Clock
from upheld.reference.core.oauth_errors import OAuthError
from upheld.reference.core.problems import UNKNOWN_CLIENT, Problem
from upheld.reference.core.scopes import OF_CLIENTS, OF_USERS, parse, written
from upheld.reference.core.security import Claims, Delegation, InvalidTokenError, TokenCodec, expiry
from upheld.reference.models import AuthorizationCode
from upheld.reference.schemas.oauth import AccessToken, TokenRequest
from upheld.reference.unit_of_work import UnitOfWork, UnitsOfWork

from .principal import Principal
from .sessions import Sessions

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class OAuth:
    """A seam: a mutant may replace the methods without an underscore."""

    def __init__(
        self,
        units: UnitsOfWork,
        sessions: Sessions,
        tokens: TokenCodec,
        clients: Clients,
        clock: Clock,
        code_ttl: int,
    ) -> None:
        self.units = units
        self.sessions = sessions
        self.tokens = tokens
        self.clients = clients
        self.clock = clock
        self.code_ttl = code_ttl

    # -- the authorization endpoint --------------------------------------------------------------------------------------

    async def authorize(self, principal: Principal, parameters: Sequence[tuple[str, str]]) -> str:
        """Where to send the user: to the client, with a code or with an error (RFC 6749 §4.1.2).

        :raises Problem: 400, where the client cannot be told, because its address is not to be trusted.
        """
        asked, repeated = dict(parameters), form.repeated(parameters)
        client = self._addressee(asked, repeated)
        try:
            if repeated:
                raise OAuthError("invalid_request", "A parameter is repeated.")
            answer = {"code": await self._issue_code(principal, client, asked)}
        except OAuthError as error:
            answer = error.members()
        if "state" in asked and "state" not in repeated:
            answer["state"] = asked["state"]
        # RFC 9207 §2: the client of several servers has to know whose answer this is, errors included.
        answer["iss"] = self.tokens.issuer
        separator = "&" if "?" in client.redirect_uri else "?"
        return f"{asked['redirect_uri']}{separator}{urlencode(answer)}"

    def _addressee(self, asked: dict[str, str], repeated: Iterable[str]) -> Client:
        client = self.clients.get(asked.get("client_id", ""))
        if client is None or {"client_id", "redirect_uri"} & set(repeated):
            raise Problem(UNKNOWN_CLIENT, "There is no client of this client_id.")
        if not self.redirects_to(client, asked.get("redirect_uri")):
            raise Problem(UNKNOWN_CLIENT, "This redirect_uri is not the one that the client registered.")
        return client

    def redirects_to(self, client: Client, redirect_uri: str | None) -> bool:
        """RFC 9700 §2.1: the authorization server MUST use exact string matching."""
        return redirect_uri == client.redirect_uri

    async def _issue_code(self, principal: Principal, client: Client, asked: dict[str, str]) -> str:
        if "response_type" not in asked:
            raise OAuthError("invalid_request", "There is no response_type.")
        if asked["response_type"] != "code":
            raise OAuthError("unsupported_response_type", "The response_type has to be code.")
        challenge = asked.get("code_challenge", "")
        # RFC 7636 §4.3: the method "defaults to plain", which shows the verifier to whoever sees the request.
        if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise OAuthError("invalid_request", "A code_challenge of the code_challenge_method S256 is needed.")
        scopes = _chosen(asked.get("scope"), client.scopes & OF_USERS.keys())
        assert principal.session_id is not None  # the route takes the token of a login and nothing else
        code = secrets.token_urlsafe(32)
        record = AuthorizationCode(
            digest=digest(code), client_id=client.client_id, redirect_uri=asked["redirect_uri"], scope=written(scopes),
            challenge=challenge, user_id=principal.user_id, given_in=principal.session_id,
            expires_at=expiry(self.clock, self.code_ttl), family_id=None,
        )  # fmt: skip
        async with self.units.writing() as uow:
            await uow.codes.forget_expired(self.clock.now())
            uow.codes.add(record)
            await uow.commit()
        return code

    # -- the token endpoint ----------------------------------------------------------------------------------------------

    async def grant(self, client: Client, asked: TokenRequest) -> AccessToken:
        """Tokens for an authenticated client. Raises `OAuthError`."""
        match asked.grant_type:
            case "authorization_code":
                return await self._redeem(client, asked)
            case "refresh_token":
                return await self._refresh(client, asked)
            case "client_credentials":
                return self._as_itself(client, asked)
            case _:  # RFC 9700 §2.4: the password grant MUST NOT be used
                raise OAuthError("unsupported_grant_type", "This grant_type is not offered.")

    async def _redeem(self, client: Client, asked: TokenRequest) -> AccessToken:
        if asked.code is None:
            raise OAuthError("invalid_request", "There is no code.")
        session = None
        async with self.units.writing() as uow:
            code = await uow.codes.claim(digest(asked.code))
            if code is not None and code.family_id is not None:
                await self.end_family(uow, code.family_id)
            elif code is not None and await self._is_good(uow, code, client, asked):
                session = self.sessions.begin(code.user_id)
                uow.sessions.add(session)
                await uow.flush()
                code.family_id = session.id
            await uow.commit()
        if code is None or session is None:
            raise OAuthError("invalid_grant", "The code is not good, or not for this client, address and verifier.")
        delegation = Delegation(client.client_id, parse(code.scope))
        return self._answer(code.user_id, session.id, session.refresh_id, delegation, delegation.scopes)

    async def end_family(self, uow: UnitOfWork, family: UUID) -> None:
        """RFC 6749 §4.1.2: a code that is used twice is refused, and the tokens that it gave SHOULD be revoked."""
        await uow.sessions.revoke(family, self.clock.now())

    async def _is_good(self, uow: UnitOfWork, code: AuthorizationCode, client: Client, asked: TokenRequest) -> bool:
        if not self.belongs(code, client, asked.redirect_uri) or not self.proves(code, asked.code_verifier):
            return False
        now = self.clock.now()
        return code.expires_at > now and await uow.sessions.user_of(code.given_in, code.user_id, now) is not None

    def belongs(self, code: AuthorizationCode, client: Client, redirect_uri: str | None) -> bool:
        """RFC 6749 §4.1.3: issued to this client, and sent to this redirect_uri."""
        return code.client_id == client.client_id and code.redirect_uri == redirect_uri

    def proves(self, code: AuthorizationCode, verifier: str | None) -> bool:
        """RFC 7636 §4.6. There is no code without a challenge, so one without a verifier is refused."""
        if verifier is None or not _VERIFIER.fullmatch(verifier):
            return False
        found = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        return hmac.compare_digest(found, code.challenge.encode())

    async def _refresh(self, client: Client, asked: TokenRequest) -> AccessToken:
        if asked.refresh_token is None:
            raise OAuthError("invalid_request", "There is no refresh_token.")
        claims = self._refresh_claims(client, asked.refresh_token)
        if claims is None or claims.delegation is None:
            raise OAuthError("invalid_grant", "The refresh token is not good, or not for this client.")
        scopes = self.narrowed(asked.scope, claims.delegation.scopes)
        following = await self.sessions.renew(claims)
        if following is None:
            raise OAuthError("invalid_grant", "The refresh token is not good, or not for this client.")
        # RFC 6749 §6: the scope of the new refresh token "MUST be identical" to that of the old one.
        return self._answer(claims.subject, claims.family, following, claims.delegation, scopes)

    def _refresh_claims(self, client: Client, token: str) -> Claims | None:
        try:
            claims = self.tokens.verify(token, "refresh")
        except InvalidTokenError:
            return None
        return claims if claims.delegation and claims.delegation.client_id == client.client_id else None

    def narrowed(self, asked: str | None, granted: frozenset[str]) -> frozenset[str]:
        """RFC 6749 §6: it "MUST NOT include any scope not originally granted"."""
        return _chosen(asked, granted)

    def _as_itself(self, client: Client, asked: TokenRequest) -> AccessToken:
        if not client.confidential:  # RFC 6749 §4.4
            raise OAuthError("unauthorized_client", "This grant_type is for confidential clients.")
        scopes = _chosen(asked.scope, client.scopes & OF_CLIENTS.keys())
        delegation = Delegation(client.client_id, scopes)
        return AccessToken(
            access_token=self.tokens.issue("access", client.subject, None, delegation=delegation),
            token_type="Bearer",
            expires_in=self.tokens.ttl["access"],
            scope=written(scopes),
        )

    def _answer(
        self, user_id: UUID, session_id: UUID, refresh_id: UUID, granted: Delegation, scopes: frozenset[str]
    ) -> AccessToken:
        access = Delegation(granted.client_id, scopes)
        return AccessToken(
            access_token=self.tokens.issue("access", user_id, session_id, delegation=access),
            refresh_token=self.tokens.issue("refresh", user_id, session_id, refresh_id, granted),
            token_type="Bearer",
            expires_in=self.tokens.ttl["access"],
            scope=written(scopes),
        )


def _chosen(asked: str | None, possible: frozenset[str]) -> frozenset[str]:
    """The scopes that were asked for, all that are possible where none were."""
    chosen = possible if asked is None else parse(asked)
    if not chosen or not chosen <= possible:
        raise OAuthError("invalid_scope", "The scope is not known, or more than can be had here.")
    return chosen


def digest(code: str) -> str:
    """What is stored of a code."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
