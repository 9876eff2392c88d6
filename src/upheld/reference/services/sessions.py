"""Login, refresh, logout, and who a credential belongs to."""

from __future__ import annotations

from uuid import UUID, uuid4

from upheld.reference.core.clients import Clients
from upheld.reference.core.clock import Clock
from upheld.reference.core.problems import unauthenticated
from upheld.reference.core.security import ApiKeyCodec, Claims, InvalidTokenError, PasswordHasher, TokenCodec, expiry
from upheld.reference.models import Session
from upheld.reference.schemas.accounts import Credentials, Tokens
from upheld.reference.unit_of_work import UnitOfWork, UnitsOfWork

from .principal import Caller, Machine, Principal


class Sessions:
    def __init__(
        self,
        units: UnitsOfWork,
        hasher: PasswordHasher,
        tokens: TokenCodec,
        api_keys: ApiKeyCodec,
        clients: Clients,
        clock: Clock,
    ) -> None:
        self.units = units
        self.hasher = hasher
        self.tokens = tokens
        self.api_keys = api_keys
        self.clients = clients
        self.clock = clock

    async def login(self, given: Credentials) -> Tokens:
        """One answer for a wrong password, an unknown user and a disabled one, after the same work (ASVS 6.3.8)."""
        async with self.units.reading() as uow:
            user = await uow.users.by_email(given.email)
        matches = await self.hasher.verify(given.password, user.password_hash if user else None)
        if user is None or not matches or user.disabled:
            raise unauthenticated("Email or password is wrong.")
        session = self.begin(user.id)
        answer = self._tokens(user.id, session.id, session.refresh_id)
        async with self.units.writing() as uow:
            await uow.sessions.forget_expired(self.clock.now())
            uow.sessions.add(session)
            await uow.commit()
        return answer

    def begin(self, user_id: UUID) -> Session:
        """A new family of tokens, not yet stored."""
        return Session(
            id=uuid4(), user_id=user_id, refresh_id=uuid4(), created_at=self.clock.now(),
            expires_at=expiry(self.clock, self.tokens.ttl["refresh"]), revoked_at=None,
        )  # fmt: skip

    async def refresh(self, token: str) -> Tokens:
        claims = self._refresh_claims(token)
        following = await self.renew(claims)
        if following is None:
            raise unauthenticated("The refresh token is not valid.", error="invalid_token")
        return self._tokens(claims.subject, claims.family, following)

    async def renew(self, claims: Claims) -> UUID | None:
        """Rotate: the id of the next refresh token. None for one that was used before: it is stolen or lost, and its whole
        family ends (RFC 9700 §4.14.2)."""
        following = uuid4()
        async with self.units.writing() as uow:
            user = await uow.sessions.user_of(claims.family, claims.subject, self.clock.now())
            rotated = user is not None and await self.rotate(uow, claims, following)
            if not rotated:
                await self.end_family(uow, claims)
            await uow.commit()
        return following if rotated else None

    async def rotate(self, uow: UnitOfWork, claims: Claims, following: UUID) -> bool:
        expires_at = expiry(self.clock, self.tokens.ttl["refresh"])
        return await uow.sessions.rotate(claims.family, claims.token_id, following, expires_at)

    async def end_family(self, uow: UnitOfWork, claims: Claims) -> None:
        await uow.sessions.revoke(claims.family, self.clock.now())

    async def logout(self, token: str) -> None:
        """End the session that the refresh token belongs to: refresh and access tokens both. Twice is as good as once."""
        claims = self._refresh_claims(token)
        async with self.units.writing() as uow:
            await uow.sessions.revoke(claims.family, self.clock.now())
            await uow.commit()

    async def caller_of_token(self, claims: Claims) -> Caller:
        scopes = None
        if claims.delegation is not None:
            client = self.clients.get(claims.delegation.client_id)
            if client is None:
                raise unauthenticated("The access token's client is not known any more.", error="invalid_token")
            scopes = claims.delegation.scopes
            if claims.session is None:
                return Machine(client.client_id, scopes)
        async with self.units.reading() as uow:
            user = await uow.sessions.user_of(claims.family, claims.subject, self.clock.now())
        if user is None:
            raise unauthenticated("The access token's session has ended.", error="invalid_token")
        return Principal(user.id, user.role, "token", claims.session, scopes)

    async def principal_of_key(self, text: str, key_id: UUID) -> Principal:
        async with self.units.reading() as uow:
            user = await uow.api_keys.owner_of(key_id, self.api_keys.digest(text))
        if user is None:
            raise unauthenticated("The API key is not valid.")
        return Principal(user.id, user.role, "api_key")

    def _refresh_claims(self, token: str) -> Claims:
        """Of the login's own tokens. One that a client was given is limited, and the answer here is not."""
        try:
            claims = self.tokens.verify(token, "refresh")
            if claims.delegation is not None:
                raise InvalidTokenError("delegation")
        except InvalidTokenError:
            raise unauthenticated("The refresh token is not valid.", error="invalid_token") from None
        return claims

    def _tokens(self, user_id: UUID, session_id: UUID, refresh_id: UUID) -> Tokens:
        return Tokens(
            access_token=self.tokens.issue("access", user_id, session_id),
            refresh_token=self.tokens.issue("refresh", user_id, session_id, refresh_id),
            expires_in=self.tokens.ttl["access"],
        )
