"""The notes behind four kinds of credential, as real services have them: ``Token``, a session cookie, a key, Basic at the login."""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl

from tests.live.apps import notes
from tests.live.apps.notes import Asked, Notes, Said, problem

REFUSED = 'Token realm="notes"'


class Shared(Notes):
    """Nobody can register; who exists is known from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.users = {
            "ann@example.test": "Ann-password-1",
            "ben@example.test": "Ben-password-2",
            "carl": "Carl-password-3",
            "dora": "Dora-password-4",
        }
        self.cookies: dict[str, str] = {}
        self.keys = {"Staff-key-0815": "root"}
        self.callers: set[str] = set()

    async def answer(self, asked: Asked) -> Said:
        if asked.path == "/auth/register":
            return problem(404)
        if asked.path == "/login" and asked.method == "POST":
            return self._form(asked)
        if asked.path == "/service/token" and asked.method == "GET":
            return self._basic(asked)
        said = self.kept(asked)
        if asked.path == "/auth/login":
            said.headers["Cache-Control"] = "no-store"
        if said.status == 401:
            said.headers["WWW-Authenticate"] = REFUSED
        elif (caller := self.caller(asked)) is not None:
            self.callers.add(caller)
        return said

    def caller(self, asked: Asked) -> str | None:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        session = dict(pair.strip().split("=", 1) for pair in asked.headers.get("cookie", "").split(";") if "=" in pair)
        return (
            (self.tokens.get(token) if scheme == "Token" else None)
            or self.cookies.get(session.get("sid", ""))
            or self.keys.get(asked.headers.get("x-staff-key", ""))
        )

    def _form(self, asked: Asked) -> Said:
        form = dict(parse_qsl(asked.body.decode()))
        if self.users.get(form.get("login", "")) != form.get("pass"):
            return Said(302, b"", {"Location": "/login?again"})
        sid = f"notes-session-{len(self.cookies)}"
        self.cookies[sid] = form["login"]
        return Said(302, b"", {"Location": "/", "Set-Cookie": f"sid={sid}; HttpOnly; Path=/"})

    def _basic(self, asked: Asked) -> Said:
        scheme, _, credentials = asked.headers.get("authorization", "").partition(" ")
        user, _, password = b64decode(credentials).decode().partition(":") if scheme == "Basic" else ("", "", "")
        if not user or self.users.get(user) != password:
            return problem(401, WWW_Authenticate="Basic")
        token = f"notes-service-token-{len(self.tokens)}"
        self.tokens[token] = user
        return Said(200, {}, {"X-Auth-Token": token})


def document() -> dict[str, Any]:
    """Its OpenAPI document, which shows neither the form nor the service's own login."""
    made = notes.document()
    del made["paths"]["/auth/register"]
    made["components"]["securitySchemes"]["bearer"] = {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token <token>`",
    }
    return made


WFC = """\
schemaVersion: "0.2.0"
auth:
  - name: ann
    loginEndpointAuth: &login
      endpoint: /auth/login
      verb: POST
      contentType: application/json
      payloadUserPwd: {username: ann@example.test, password: Ann-password-1, usernameField: email, passwordField: password}
      token: &token
        {extractFrom: body, extractSelector: /access_token, sendIn: header, sendName: Authorization, sendTemplate: "Token {token}"}
  - name: ben
    loginEndpointAuth:
      <<: *login
      payloadUserPwd: null
      payloadRaw: '{"email": "ben@example.test", "password": "Ben-password-2"}'
  - name: carl
    loginEndpointAuth:
      endpoint: /login
      verb: POST
      contentType: application/x-www-form-urlencoded
      payloadUserPwd: {username: carl, password: "${SHARED_CARL_PASSWORD}", usernameField: login, passwordField: pass}
      expectCookies: true
  - name: dora
    loginEndpointAuth:
      endpoint: /service/token
      verb: GET
      headers: [{name: Authorization, value: Basic ZG9yYTpEb3JhLXBhc3N3b3JkLTQ=}]
      token: {<<: *token, extractFrom: header, extractSelector: X-Auth-Token}
  - name: root
    fixedHeaders: [{name: X-Staff-Key, value: Staff-key-0815}]
"""
