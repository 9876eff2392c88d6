"""The sample shop itself: a conforming service in memory. Time is virtual: ``now`` moves only when a dialogue waits."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from itertools import count
from typing import Any

from upheld.exchange import NotJson, Request, Response, Session
from upheld.sample.document import PREFIX, document

_ORIGIN = "https://app.example.test"
_NOT_FOUND = "Not Found"
_INFINITE = float("inf")


class Shop:
    """A service in memory that keeps the sample's contract. Call it with a request; move ``now`` to let time pass."""

    def __init__(self) -> None:
        self.now = 0.0
        self.address = "127.0.0.2"
        """Source address of the requests that follow."""
        self.keyed_by_user = True
        """Whether the default limit knows users, as the sample's contract says, or addresses alone."""
        self._ids = count(1)
        self.users: dict[str, tuple[str, str]] = {"admin@example.test": ("admin-password", "admin")}
        self.refreshes: dict[str, tuple[str, str, bool]] = {}
        """Refresh token → (user, family, used)."""
        self.revoked: set[str] = set()
        self._tokens_of: dict[str, str] = {}
        """Access token → user."""
        self.items: dict[str, dict[str, Any]] = {"i0": {"id": "i0", "name": "first", "quantity": 1}}
        self.orders: dict[str, dict[str, Any]] = {}
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def session(self, name: str, role: str = "user") -> Session:
        """A session of this user, as the driver would make one by registering and logging in."""
        user, password = f"{name}@example.test", f"{name}-password"
        self.users.setdefault(user, (password, role))
        answer = self._tokens(user, family=f"f{next(self._ids)}")
        tokens = answer.json()
        return Session(
            name,
            role,
            user,
            password,
            tokens["access_token"],
            tokens["refresh_token"],
            (("Authorization", f"Bearer {tokens['access_token']}"),),
            answer,
        )

    def __call__(self, request: Request) -> Response:
        answer = self._limited(request) or self._answer(request)
        headers = answer.headers.with_("Date", "Sun, 22 Nov 2026 12:00:00 GMT").with_(
            "X-Content-Type-Options", "nosniff"
        )
        headers = headers.with_("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        headers = headers.with_("Referrer-Policy", "no-referrer").with_("Vary", "Origin")
        if request.headers.get("origin") == _ORIGIN:
            headers = headers.with_("Access-Control-Allow-Origin", _ORIGIN)
            headers = headers.with_(
                "Access-Control-Expose-Headers", "Retry-After, Location, ETag, RateLimit, RateLimit-Policy"
            )
        if "authorization" in request.headers or request.session:
            headers = headers if "cache-control" in headers else headers.with_("Cache-Control", "private, no-store")
        body = b"" if request.method == "HEAD" else answer.body
        return Response(answer.status, headers, body, elapsed=0.001, at=self.now)

    # -- limits ----------------------------------------------------------------------------------------------------------

    def _limited(self, request: Request) -> Response | None:
        """Token buckets as the sample's ``rate_limits`` say, counted before anything else."""
        quotas = {f"{PREFIX}/auth/login": 10, f"{PREFIX}/auth/refresh": 30}
        if request.path == "/health" or request.method == "OPTIONS":
            return None
        quota = quotas.get(request.path, 100)
        user = self._user(request) if self.keyed_by_user and request.path not in quotas else None
        key = (request.path if request.path in quotas else "**", user or self.address)
        tokens, at = self._buckets.get(key, (float(quota), self.now))
        tokens = min(float(quota), tokens + (self.now - at) * quota / 60)
        if tokens < 1 - 1e-9:
            self._buckets[key] = (tokens, self.now)
            seconds = max(1, -int(-(1 - tokens) * 60 // quota))
            return Response.problem(429, retry_after=str(seconds))
        self._buckets[key] = (tokens - 1, self.now)
        return None

    # -- routes ----------------------------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Response:
        path, method = request.path, request.method
        if len(request.target) > 8192:
            return Response.problem(414)
        if sum(len(k) + len(v) for k, v in request.headers.pairs) > 16384:
            return Response.problem(431)
        if request.body is not None and len(request.body) > 1024 * 1024:
            return Response.problem(413)
        table = set(document()["paths"])
        template, item = self._route(path, table)
        if template is None:
            return Response.problem(404)
        declared = {name.upper() for name in document()["paths"][template] if name != "parameters"}
        if method == "OPTIONS":
            return self._preflight(request, declared)
        if method == "HEAD" and "GET" in declared:
            return self._answer(request.with_(method="GET"))
        if method not in declared:
            allow = ", ".join(sorted(declared | {"OPTIONS"} | ({"HEAD"} if "GET" in declared else set())))
            return Response.problem(405, allow=allow)
        operation = document()["paths"][template][method.lower()]
        user = self._user(request)
        if operation.get("security"):
            if user is None:
                return self._challenge(request)
            if method == "DELETE" and template.endswith("{item_id}") and self.users[user][1] != "admin":
                return Response.problem(403)
        payload: Any = None
        if "requestBody" in operation:
            refused, payload = self._body(request, operation)
            if refused is not None:
                return refused
        for name, value in request.query:
            if name == "limit" and not (value.isdecimal() and len(value) < 5 and 1 <= int(value) <= 100):
                return self._invalid("#/query/limit", "a whole number from 1 to 100")
        handler = getattr(self, f"_do_{operation['operationId']}")
        answer: Response = handler(request, payload, user, item)
        return answer

    @staticmethod
    def _route(path: str, table: set[str]) -> tuple[str | None, str]:
        if path in table:
            return path, ""
        parent, _, last = path.rpartition("/")
        for template in table:
            if template.rpartition("/")[0] == parent and template.endswith("}") and last:
                return template, last
        return None, ""

    def _challenge(self, request: Request) -> Response:
        tried = "authorization" in request.headers or request.session is not None
        scheme = request.headers.get("authorization", "Bearer" if tried else "").split(" ")[0].lower()
        error = ', error="invalid_token"' if tried and scheme == "bearer" else ""
        return Response.problem(401, www_authenticate=f'Bearer realm="shop"{error}')

    def _user(self, request: Request) -> str | None:
        values = request.headers.all("authorization") or tuple(
            value
            for name, value in (request.session.headers if request.session else ())
            if name.lower() == "authorization"
        )
        if len(values) != 1 or not values[0].lower().startswith("bearer "):
            return None
        user = self._tokens_of.get(values[0][7:].strip())
        return user if user in self.users else None

    @staticmethod
    def _preflight(request: Request, declared: set[str]) -> Response:
        if request.headers.get("origin") == _ORIGIN and "access-control-request-method" in request.headers:
            return Response.of(
                204,
                access_control_allow_methods=", ".join(sorted(declared)),
                access_control_allow_headers="Authorization, Content-Type",
                access_control_max_age="600",
            )
        return Response.of(204, allow=", ".join(sorted(declared | {"OPTIONS"})))

    @staticmethod
    def _invalid(pointer: str, detail: str) -> Response:
        document = {"type": "about:blank", "title": "Unprocessable Content", "status": 422}
        errors = [{"pointer": pointer, "detail": detail}]
        return Response.of(422, {**document, "errors": errors}, content_type="application/problem+json")

    def _body(self, request: Request, operation: Mapping[str, Any]) -> tuple[Response | None, Any]:
        coding = request.headers.get("content-encoding", "identity")
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json" or coding != "identity":
            return Response.problem(415, accept="application/json"), None
        try:
            payload = json.loads((request.body or b"").decode("utf-8"), parse_constant=_refuse)
            json.dumps(payload, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError, NotJson):
            return Response.problem(400), None
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        schema = document()["components"]["schemas"][name]
        if not isinstance(payload, dict):
            return self._invalid("#", "an object"), None
        problems = []
        for key in schema["required"]:
            if key not in payload:
                problems.append((key, "is missing"))
        for key, value in payload.items():
            rule = schema["properties"].get(key)
            if rule is None or not _fits(value, rule):
                problems.append((key, "is not as the contract says"))
        if problems:
            refusal = {"type": "about:blank", "title": "Unprocessable Content", "status": 422}
            errors = [{"pointer": f"#/{key}", "detail": detail} for key, detail in problems]
            return Response.of(422, {**refusal, "errors": errors}, content_type="application/problem+json"), None
        return None, payload

    # -- handlers --------------------------------------------------------------------------------------------------------

    def _do_health(self, *_: Any) -> Response:
        return Response.of(200, {"status": "ok"})

    def _do_register(self, request: Request, payload: Any, user: str | None, item: str) -> Response:
        if payload["email"].lower() in self.users:
            return Response.problem(409)
        self.users[payload["email"].lower()] = (payload["password"], "user")
        return Response.of(201, self._profile(payload["email"].lower()), location=f"{PREFIX}/users/me")

    def _do_login(self, request: Request, payload: Any, user: str | None, item: str) -> Response:
        known = self.users.get(payload["email"].lower())
        if known is None or known[0] != payload["password"]:
            return Response.problem(401, www_authenticate='Bearer realm="shop"')
        return self._tokens(payload["email"].lower(), family=f"f{next(self._ids)}")

    def _do_refresh(self, request: Request, payload: Any, user: str | None, item: str) -> Response:
        token = payload["refresh_token"]
        owner, family, used = self.refreshes.get(token, ("", "", True))
        if used or family in self.revoked:
            self.revoked.add(family)
            return Response.problem(401, www_authenticate='Bearer realm="shop"')
        self.refreshes[token] = (owner, family, True)
        return self._tokens(owner, family)

    def _do_me(self, request: Request, payload: Any, user: str | None, item: str) -> Response:
        return Response.of(200, self._profile(user or ""))

    def _do_listItems(self, request: Request, *_: Any) -> Response:  # noqa: N802 - named after the operationId
        limit = int(dict(request.query).get("limit", "100"))
        return Response.of(200, {"items": list(self.items.values())[:limit]})

    def _do_createItem(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        id_ = f"i{next(self._ids)}"
        self.items[id_] = {"id": id_, **payload}
        return Response.of(201, self.items[id_], location=f"{PREFIX}/items/{id_}")

    def _do_readItem(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        return Response.of(200, self.items[item]) if item in self.items else Response.problem(404)

    def _do_replaceItem(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        if item not in self.items:
            return Response.problem(404)
        self.items[item] = {"id": item, **payload}
        return Response.of(200, self.items[item])

    def _do_deleteItem(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        return Response.of(204) if self.items.pop(item, None) else Response.problem(404)

    def _do_listOrders(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        limit = int(dict(request.query).get("limit", "100"))
        return Response.of(200, {"items": [o for o in self.orders.values() if o["owner_id"] == user][:limit]})

    def _do_createOrder(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        id_ = f"o{next(self._ids)}"
        self.orders[id_] = {"id": id_, **payload, "owner_id": user}
        return Response.of(201, self.orders[id_], location=f"{PREFIX}/orders/{id_}")

    def _do_readOrder(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        order = self.orders.get(item)
        return Response.of(200, order) if order and order["owner_id"] == user else Response.problem(404)

    def _do_deleteOrder(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        order = self.orders.get(item)
        if order is None or order["owner_id"] != user:
            return Response.problem(404)
        del self.orders[item]
        return Response.of(204)

    # -- helpers ---------------------------------------------------------------------------------------------------------

    def _profile(self, user: str) -> dict[str, Any]:
        return {"id": user, "email": user, "role": self.users[user][1]}

    def _tokens(self, user: str, family: str) -> Response:
        number = next(self._ids)
        access = _token({"sub": user, "jti": f"a{number}", "type": "access", "iat": 1, "exp": 901})
        refresh = _token({"sub": user, "jti": f"r{number}", "type": "refresh", "iat": 1, "exp": 604801})
        self._tokens_of[access] = user
        self.refreshes[refresh] = (user, family, False)
        tokens = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 900}
        return Response.of(200, tokens, cache_control="no-store")


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _token(claims: Mapping[str, Any]) -> str:
    """A signed JWT (HS256), made without a library so that examples load nothing heavy."""

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    header = encode(b'{"alg":"HS256","typ":"JWT"}')
    signed = f"{header}.{encode(json.dumps(dict(claims)).encode())}"
    return f"{signed}.{encode(hmac.digest(b'the sample shop signs with this key', signed.encode(), hashlib.sha256))}"


def _fits(value: Any, rule: Mapping[str, Any]) -> bool:
    if rule["type"] == "string":
        if not isinstance(value, str) or "\x00" in value:
            return False
        if rule.get("format") == "email" and "@" not in value:
            return False
        return bool(rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", 1 << 20))
    if rule["type"] == "integer":
        number = isinstance(value, int | float) and not isinstance(value, bool) and value not in (_INFINITE, -_INFINITE)
        whole = number and value == int(value)
        return bool(whole and rule.get("minimum", value) <= value <= rule.get("maximum", value))
    return True
