"""Every knob of the reference backend, read from the environment with the prefix ``UPHELD_REFERENCE_``."""

from __future__ import annotations

import secrets
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .scopes import OF_CLIENTS, OF_USERS, Scope

RAISED_FACTOR = 1000
"""What profile ``raised`` multiplies each quota with; nothing else changes, the contract included."""


CLIENT_ID = r"^[A-Za-z0-9_.-]{1,64}$"


class Settings(BaseSettings):
    """Defaults are the standard as shipped. Durations are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="UPHELD_REFERENCE_", extra="ignore")

    database_url: str | None = None
    """SQLAlchemy URL (``sqlite+aiosqlite``, ``postgresql+asyncpg``). None: a temporary SQLite file for this process."""
    redis_url: str | None = None
    """None: limits and cache live in this process, which is honest for one worker only."""
    create_tables: bool = True

    jwt_key: SecretStr = Field(default_factory=lambda: SecretStr(secrets.token_urlsafe(48)))
    jwt_issuer: str = "https://shop.example.test"
    """RFC 8414 §2: an https URL without query and fragment; ``iss`` of tokens and of authorization responses."""
    jwt_audience: str = "upheld-reference-api"
    access_ttl: int = Field(15 * 60, ge=1)
    refresh_ttl: int = Field(7 * 24 * 3600, ge=1)
    bcrypt_cost: int = Field(12, ge=4, le=16)

    oauth_client_id: str = Field("shop-console", pattern=CLIENT_ID)
    """The confidential client. Only a digest of its secret is kept."""
    oauth_client_secret: SecretStr = Field(default_factory=lambda: SecretStr(secrets.token_urlsafe(32)))
    oauth_client_redirect_uri: str = "https://app.example.test/callback"
    oauth_client_scopes: tuple[Scope, ...] = (*OF_USERS, *OF_CLIENTS)
    oauth_public_client_id: str = Field("shop-app", pattern=CLIENT_ID)
    oauth_public_client_redirect_uri: str = "https://app.example.test/callback"
    oauth_public_client_scopes: tuple[Scope, ...] = tuple(OF_USERS)
    oauth_code_ttl: int = Field(60, ge=1, le=600)

    profile: Literal["shipped", "raised"] = "shipped"
    login_quota: str = "10/minute"
    register_quota: str = "5/minute"
    refresh_quota: str = "30/minute"
    oauth_token_quota: str = "30/minute"
    default_quota: str = "100/minute"

    cache_ttl: int = Field(60, ge=1)
    idempotency_ttl: int = Field(24 * 3600, ge=1)
    redis_timeout: float = Field(0.25, gt=0)
    """How long one Redis round trip may take before the request goes on without it."""

    cors_origins: tuple[str, ...] = ("https://app.example.test",)
    cors_max_age: int = 600

    body_limit: int = 1024 * 1024
    header_limit: int = 16 * 1024
    """All header fields of one request together."""
    header_count_limit: int = 100
    url_limit: int = 8 * 1024
    read_timeout: float = 30.0
    """A request whose head or body has not arrived by then is answered 408 and the connection closed."""

    admin_email: str = "admin@example.test"
    admin_password: SecretStr = Field(default_factory=lambda: SecretStr(secrets.token_urlsafe(24)))

    log_requests: bool = True
    mutant: str | None = None
    """The one defect to switch on, for example ``jwt/signature-not-verified``; see ``upheld.reference.mutants``."""
    fault_route: bool = False
    """Mounts ``GET /api/v1/debug/fault``, which raises, so that the 500 answer can be seen. Test builds only."""

    @field_validator("jwt_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        # RFC 7518 §3.2: "A key of the same size as the hash output ... or larger MUST be used with this algorithm."
        if len(value.get_secret_value().encode()) < 32:
            raise ValueError("the key needs at least 32 bytes for HS256")
        return value

    @field_validator("oauth_client_secret")
    @classmethod
    def _not_guessable(cls, value: SecretStr) -> SecretStr:
        # RFC 6749 §10.10: the probability of guessing "MUST be less than or equal to 2^(-128)". That is also why a
        # plain digest is enough of it, where a password needs bcrypt.
        if len(value.get_secret_value()) < 32:
            raise ValueError("the client secret needs at least 32 characters")
        return value

    @field_validator("oauth_client_redirect_uri", "oauth_public_client_redirect_uri")
    @classmethod
    def _absolute(cls, value: str) -> str:
        # RFC 6749 §3.1.2: "MUST be an absolute URI ... MUST NOT include a fragment component."
        if not urlsplit(value).scheme or not value.isascii() or "#" in value:
            raise ValueError("a redirect_uri is an absolute URI without a fragment")
        return value
