"""The sample shop's OAuth 2 endpoints: codes with PKCE for a user who is signed in, and tokens for them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlencode

from upheld.exchange import Request, Response

TOKEN, AUTHORIZE = "/api/v1/oauth/token", "/api/v1/oauth/authorize"
CLIENTS: Mapping[str, tuple[str, str, frozenset[str]]] = {
    "till": ("till-secret-of-the-shop", "https://till.example.test/back", frozenset({"orders:read", "orders:write"})),
    "app": ("", "https://app.example.test/back", frozenset({"orders:read"})),
}
"""client_id → (secret, redirect_uri, scopes); an empty secret is a public client's."""


class OAuth:
    """``skips`` is the shop's; known here are ``oauth-errors``, ``code-once``, ``code-revokes``, ``redirect-exact``, ``pkce``,
    ``downgrade``, ``scope``, ``implicit`` and ``authorize-cors``.

    ``tokens(user, family)`` makes the answer of a login; ``revoke(family)`` ends what it began.
    """

    def __init__(
        self, skips: set[str], tokens: Callable[[str, str], Mapping[str, Any]], revoke: Callable[[str], None]
    ) -> None:
        self.skips = skips
        self.tokens = tokens
        self.revoke = revoke
        self.codes: dict[str, dict[str, str]] = {}
        self.refreshes: dict[str, tuple[str, str, frozenset[str], str]] = {}
        """Refresh token → (user, client, scopes, family)."""
        self.ended: set[str] = set()
        self._ids = count(1)

    def authorize(self, request: Request, user: str) -> Response:
        asked = dict(request.query)
        client = CLIENTS.get(asked.get("client_id", ""))
        uri = asked.get("redirect_uri", "")
        if client is None or not self._redirects_to(client[1], uri):
            return Response.problem(400)
        error = self._fault(asked)
        if asked.get("response_type") == "token" and "implicit" in self.skips:
            return self._back(uri, {"access_token": self.tokens(user, "f-implicit")["access_token"]}, "#")
        if error:
            return self._back(uri, {"error": error, "state": asked.get("state", "")})
        code = f"code{next(self._ids)}"
        self.codes[code] = {
            "client": asked["client_id"], "uri": uri, "user": user, "challenge": asked.get("code_challenge", ""),
            "scope": asked.get("scope", ""), "family": "",
        }  # fmt: skip
        return self._back(uri, {"code": code, "state": asked.get("state", "")})

    def _redirects_to(self, registered: str, uri: str) -> bool:
        return uri.startswith(registered) if "redirect-exact" in self.skips else uri == registered

    def _fault(self, asked: Mapping[str, str]) -> str:
        if asked.get("response_type") != "code":
            return "unsupported_response_type"
        if asked.get("code_challenge_method") == "S256" and asked.get("code_challenge"):
            return ""
        return "" if "downgrade" in self.skips and "code_challenge" not in asked else "invalid_request"

    @staticmethod
    def _back(uri: str, members: Mapping[str, str], mark: str = "?") -> Response:
        return Response.of(302, location=f"{uri}{mark}{urlencode(members)}", cache_control="no-store")

    def token(self, request: Request) -> Response:
        pairs = parse_qsl((request.body or b"").decode("utf-8", "replace"))
        form = dict(pairs)
        name = self._client(request, form)
        if name is None:
            basic = {"www_authenticate": 'Basic realm="shop"'} if "authorization" in request.headers else {}
            return self._error("invalid_client", 401, **basic)
        grant = form.get("grant_type", "")
        if not grant or len(form) < len(pairs):
            return self._error("invalid_request")
        if grant == "authorization_code":
            return self._redeem(name, form)
        if grant == "refresh_token":
            return self._refresh(name, form)
        if grant == "client_credentials":
            scope = self._scope(form, CLIENTS[name][2])
            return self._error("invalid_scope") if scope is None else self._tokens(name, "machine", scope)
        return self._error("unsupported_grant_type")

    def _client(self, request: Request, form: Mapping[str, str]) -> str | None:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme:
            try:
                name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
        return name if name in CLIENTS and secret == CLIENTS[name][0] else None

    def _redeem(self, name: str, form: Mapping[str, str]) -> Response:
        code = self.codes.get(form.get("code", ""))
        if code is None or code["client"] != name or code["uri"] != form.get("redirect_uri"):
            return self._error("invalid_grant")
        if code["family"] and "code-once" not in self.skips:
            if "code-revokes" not in self.skips:
                self.revoke(code["family"])
                self.ended.add(code["family"])
            return self._error("invalid_grant")
        verifier = form.get("code_verifier", "")
        made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        fits = made == code["challenge"] if code["challenge"] else not verifier or "downgrade" in self.skips
        if not fits and "pkce" not in self.skips:
            return self._error("invalid_grant")
        code["family"] = f"f-{form['code']}"
        scope = frozenset(code["scope"].split()) or CLIENTS[name][2]
        return self._tokens(code["user"], code["family"], scope, name)

    def _refresh(self, name: str, form: Mapping[str, str]) -> Response:
        known = self.refreshes.get(form.get("refresh_token", ""))
        if known is None or known[1] != name or known[3] in self.ended:
            return self._error("invalid_grant")
        scope = self._scope(form, known[2])
        return self._error("invalid_scope") if scope is None else self._tokens(known[0], known[3], scope, name)

    def _scope(self, form: Mapping[str, str], most: frozenset[str]) -> frozenset[str] | None:
        asked = frozenset(form.get("scope", "").split())
        return (asked or most) if asked <= most or "scope" in self.skips else None

    def _tokens(self, user: str, family: str, scope: frozenset[str], client: str = "") -> Response:
        made = dict(self.tokens(user, family))
        refresh = {"refresh_token": made["refresh_token"]} if client else {}
        if client:
            self.refreshes[made["refresh_token"]] = (user, client, scope, family)
        answer = {"access_token": made["access_token"], "token_type": "Bearer", "expires_in": 900, **refresh}
        return Response.of(200, {**answer, "scope": " ".join(sorted(scope))}, cache_control="no-store")

    def _error(self, error: str, status: int = 400, **headers: str) -> Response:
        if "oauth-errors" in self.skips:
            return Response.problem(status, **headers)
        return Response.of(status, {"error": error}, cache_control="no-store", **headers)
