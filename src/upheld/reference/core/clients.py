"""The OAuth clients, as the settings name them, and how one proves who it is."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus
from uuid import NAMESPACE_URL, UUID, uuid5

from .oauth_errors import OAuthError
from .settings import Settings

_NOBODY = bytes(32)


@dataclass(frozen=True)
class Client:
    client_id: str
    secret_digest: bytes | None
    """None: a public client, which cannot keep a secret."""
    redirect_uri: str
    scopes: frozenset[str]

    @property
    def confidential(self) -> bool:
        return self.secret_digest is not None

    @property
    def subject(self) -> UUID:
        """Who it is in tokens of its own: an id that no user has (RFC 9068 §5)."""
        return uuid5(NAMESPACE_URL, f"urn:upheld:oauth-client:{self.client_id}")


class Clients:
    """A seam: a mutant may replace its methods."""

    def __init__(self, settings: Settings) -> None:
        confidential = Client(
            settings.oauth_client_id,
            _digest(settings.oauth_client_secret.get_secret_value()),
            settings.oauth_client_redirect_uri,
            frozenset(settings.oauth_client_scopes),
        )
        public = Client(
            settings.oauth_public_client_id,
            None,
            settings.oauth_public_client_redirect_uri,
            frozenset(settings.oauth_public_client_scopes),
        )
        self.all = (confidential, public)

    def get(self, client_id: str) -> Client | None:
        return next((client for client in self.all if client.client_id == client_id), None)

    def authenticate(self, authorization: Sequence[str], client_id: str | None, secret: str | None) -> Client:
        """The client of a token request, from its Authorization field or from its form.

        :raises OAuthError: invalid_client for everything that is not proven; invalid_request for two ways at once (RFC 6749
            §2.3: a client "MUST NOT use more than one authentication method in each request").
        """
        if not authorization:
            return self._proven(client_id, secret)
        found = [self._proven(*_basic(field)) for field in authorization]
        if len(found) > 1 or secret is not None:
            raise OAuthError("invalid_request", "The client authenticates in more than one way.")
        if client_id not in (None, found[0].client_id):
            raise OAuthError("invalid_request", "The form names another client than the Authorization field.")
        return found[0]

    def _proven(self, client_id: str | None, secret: str | None) -> Client:
        client = self.get(client_id or "")
        if not self.proves(client, secret) or client is None:
            raise OAuthError("invalid_client", "The client is not known, or did not prove who it is.")
        return client

    def proves(self, client: Client | None, secret: str | None) -> bool:
        if client is not None and not client.confidential:
            return secret is None
        stored = _NOBODY if client is None or client.secret_digest is None else client.secret_digest
        return hmac.compare_digest(_digest(secret or ""), stored)


def _basic(field: str) -> tuple[str, str | None]:
    """(client_id, secret). RFC 6749 §2.3.1: both are form-encoded before they are joined and put into Base64."""
    scheme, _, encoded = field.strip().partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        name, _, secret = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        return unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict") or None
    except ValueError:
        raise OAuthError("invalid_client", "The Authorization field is not Basic credentials.") from None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
