"""The sample shop itself: a conforming service in memory. Time is virtual: ``now`` moves only when a dialogue waits."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import cache
from itertools import count
from typing import Any

from upheld.exchange import NotJson, Request, Response, Session
from upheld.sample.document import PREFIX, document
from upheld.sample.oauth import AUTHORIZE, CLIENTS, TOKEN, OAuth
from upheld.sample.tokens import KEY, believed, signed, subject_of

ENVIRONMENT: Mapping[str, str] = {
    "SHOP_JWT_KEY": KEY,
    "SHOP_ADMIN_PASSWORD": "admin-password",
    "SHOP_TILL_SECRET": CLIENTS["till"][0],
}
"""What the environment variables hold that the sample's policy names."""
BEGINNING = 1_795_348_800
"""When ``now`` is 0: 2026-11-22, 12:00:00 UTC, as a NumericDate."""
_ORIGIN = "https://app.example.test"
COMMON = frozenset({"password", "12345678", "123456789", "qwertyuiop", "password1", "iloveyou", "11111111", "sunshine"})
_NOT_FOUND = "Not Found"
_INFINITE = float("inf")


class Shop:
    """A service in memory that keeps the sample's contract. Call it with a request; move ``now`` to let time pass.

    ``skips`` names what it leaves out, for breaching examples: ``shop.skips.add("exp")``. Known are: of access tokens
    ``signature``, ``alg``, ``typ``, ``exp``, ``nbf``, ``iss``, ``aud``, ``type``, ``session``; of sessions ``rotation``,
    ``reuse``, ``logout``, ``other-sessions``, ``current-password``, ``deleted-user``; of API keys ``exact-key``,
    ``revoked-key``; of passwords ``exact-password``, ``password-policy``; of owners ``owner`` (orders), ``parent`` (their
    notes), ``reference`` (returns), ``list``; ``closed`` (unknown members are taken and stored).
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.address = "127.0.0.2"
        """Source address of the requests that follow."""
        self.connection = 0
        """On which connection they come: 0 is the lane's own, every other one is new."""
        self.at_once = 1
        """How many of them come together."""
        self.keyed_by_user = True
        """Whether the default limit knows users, as the sample's contract says, or addresses alone."""
        self._ids = count(1)
        self.users: dict[str, tuple[str, str]] = {"admin@example.test": ("admin-password", "admin")}
        self.refreshes: dict[str, tuple[str, str, bool]] = {}
        """Refresh token → (user, family, used)."""
        self.revoked: set[str] = set()
        self.skips: set[str] = set()
        self.key = KEY
        self.oauth = OAuth(
            self.skips, lambda user, family: self._tokens(user, family).json(), lambda f: self.revoked.add(f)
        )
        self.keys: dict[str, dict[str, Any]] = {}
        """Id of an API key → {id, name, key, user, revoked}."""
        self.notes: dict[str, dict[str, Any]] = {}
        self.returns: dict[str, dict[str, Any]] = {}
        self.profiles: dict[str, dict[str, Any]] = {}
        self.items: dict[str, dict[str, Any]] = {"i0": {"id": "i0", "name": "first", "quantity": 1}}
        self.orders: dict[str, dict[str, Any]] = {}
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self.done_to_it: Callable[[str], object] = self._store
        """Called with ``restart``, ``store-down`` and ``store-up``. The first leaves its counters as they are."""
        self.has_store = True

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
        headers = answer.headers.with_("Date", formatdate(self.time, usegmt=True))
        headers = headers.with_("X-Content-Type-Options", "nosniff")
        headers = headers.with_("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        headers = headers.with_("Referrer-Policy", "no-referrer").with_("Vary", "Origin")
        # A browser is sent to the authorization endpoint, it never fetches it (RFC 9700 §2.6).
        fetched = request.path != AUTHORIZE or not self.keeps("authorize-cors")
        if request.headers.get("origin") == _ORIGIN and fetched:
            headers = headers.with_("Access-Control-Allow-Origin", _ORIGIN)
            headers = headers.with_(
                "Access-Control-Expose-Headers", "Retry-After, Location, ETag, RateLimit, RateLimit-Policy"
            )
        if "authorization" in request.headers or request.session:
            headers = headers if "cache-control" in headers else headers.with_("Cache-Control", "private, no-store")
        body = b"" if request.method == "HEAD" else answer.body
        return Response(answer.status, headers, body, elapsed=0.001, at=self.now)

    @property
    def time(self) -> int:
        """Now as a NumericDate (RFC 7519 §2)."""
        return BEGINNING + int(self.now)

    def keeps(self, what: str) -> bool:
        """Whether this is not one of the things that it leaves out."""
        return what not in self.skips

    # -- limits ----------------------------------------------------------------------------------------------------------

    def _store(self, deed: str) -> None:
        self.has_store = deed != "store-down"

    def _limited(self, request: Request) -> Response | None:
        """Token buckets as the sample's ``rate_limits`` say, counted before anything else."""
        quotas = {f"{PREFIX}/auth/login": 10, f"{PREFIX}/auth/refresh": 30}
        if request.path == "/health" or request.method == "OPTIONS" or not self.has_store:
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
        if template == TOKEN:
            return self.oauth.token(request)
        if operation.get("security"):
            if user is None:
                return self._challenge(request)
            if method == "DELETE" and template.endswith("{item_id}") and self.users[user][1] != "admin":
                return Response.problem(403)
        if template == AUTHORIZE:
            return self.oauth.authorize(request, user or "")
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
        """(template, ids in the path with a slash between them)."""
        if path in table:
            return path, ""
        for template in sorted(table):
            match = _pattern(template).fullmatch(path) if "{" in template else None
            if match:
                return template, "/".join(match.groups())
        return None, ""

    def _challenge(self, request: Request) -> Response:
        tried = "authorization" in request.headers or request.session is not None
        scheme = request.headers.get("authorization", "Bearer" if tried else "").split(" ")[0].lower()
        error = ', error="invalid_token"' if tried and scheme == "bearer" else ""
        return Response.problem(401, www_authenticate=f'Bearer realm="shop"{error}')

    def _user(self, request: Request) -> str | None:
        given = request.session.headers if request.session else ()
        values = request.headers.all("authorization") or tuple(v for n, v in given if n.lower() == "authorization")
        if not values and request.path == f"{PREFIX}/users/me" and request.method == "GET":
            return self._user_of_key(request.headers.all("x-api-key"))
        if len(values) != 1 or not values[0].lower().startswith("bearer ") or "x-api-key" in request.headers:
            return None
        claims = self.claims(values[0][7:].strip(), "access")
        user = self.user_of(str(claims["sub"])) if claims else None
        if user is None or (claims and claims.get("sid") in self.revoked and self.keeps("session")):
            return None
        return user

    def claims(self, token: str, kind: str) -> dict[str, Any] | None:
        """What a token of this kind says, or None when it is not to be believed."""
        return believed(token, kind, self.key, self.time, self.skips)

    def user_of(self, subject: str) -> str | None:
        """The user whom a ``sub`` names."""
        return next((user for user in self.users if subject_of(user) == subject), None)

    def _user_of_key(self, values: tuple[str, ...]) -> str | None:
        if len(values) != 1:
            return None
        for key in self.keys.values():
            same = key["key"] == values[0] or (not self.keeps("exact-key") and key["key"].lower() == values[0].lower())
            if same and not (key["revoked"] and self.keeps("revoked-key")):
                return str(key["user"])
        return None

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
        open_ = not self.keeps("closed")
        schema = document()["components"]["schemas"][name]
        if not isinstance(payload, dict):
            return self._invalid("#", "an object"), None
        problems = []
        for key in schema["required"]:
            if key not in payload:
                problems.append((key, "is missing"))
        for key, value in payload.items():
            rule = schema["properties"].get(key)
            if (rule is None and not open_) or (rule is not None and not _fits(value, rule)):
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
        if self.keeps("password-policy") and payload["password"].lower() in {*COMMON, payload["email"].lower()}:
            return self._invalid("#/password", "a password that is not on every list")
        role = payload.get("role", "user") if not self.keeps("closed") else "user"
        self.users[payload["email"].lower()] = (payload["password"], str(role))
        return Response.of(201, self._profile(payload["email"].lower()), location=f"{PREFIX}/users/me")

    def _do_login(self, request: Request, payload: Any, user: str | None, item: str) -> Response:
        known = self.users.get(payload["email"].lower())
        if known is None or not self._same(known[0], payload["password"]):
            return Response.problem(401, www_authenticate='Bearer realm="shop"')
        return self._tokens(payload["email"].lower(), family=f"f{next(self._ids)}")

    def _do_refresh(self, request: Request, payload: Any, user: str | None, item: str) -> Response:
        token = payload["refresh_token"]
        owner, family, used = self.refreshes.get(token, ("", "", True))
        if used or family in self.revoked or owner not in self.users:
            if self.keeps("reuse"):
                self.revoked.add(family)
            return Response.problem(401, www_authenticate='Bearer realm="shop"')
        self.refreshes[token] = (owner, family, self.keeps("rotation"))
        return self._tokens(owner, family)

    def _do_logout(self, request: Request, payload: Any, user: str | None, item: str) -> Response:
        if payload["refresh_token"] not in self.refreshes:
            return Response.problem(401, www_authenticate='Bearer realm="shop"')
        if self.keeps("logout"):
            self.revoked.add(self.refreshes[payload["refresh_token"]][1])
        return Response.of(204)

    def _do_me(self, request: Request, payload: Any, user: str | None, item: str) -> Response:
        return Response.of(200, self._profile(user or ""))

    def _do_changeMe(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        assert user is not None
        if "role" in payload and not self.keeps("closed"):
            self.users[user] = (self.users[user][0], str(payload["role"]))
        self.profiles.setdefault(user, {}).update({k: v for k, v in payload.items() if k == "nickname"})
        return Response.of(200, self._profile(user))

    def _do_deleteMe(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        if self.keeps("deleted-user"):
            del self.users[user or ""]
        return Response.of(204)

    def _do_changePassword(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        assert user is not None
        password, role = self.users[user]
        if self.keeps("current-password") and payload["current_password"] != password:
            return Response.problem(401, www_authenticate='Bearer realm="shop"')
        self.users[user] = (payload["new_password"], role)
        if self.keeps("other-sessions"):
            mine = self._session_of(request)
            self.revoked |= {family for owner, family, _ in self.refreshes.values() if owner == user and family != mine}
        return Response.of(204)

    def _session_of(self, request: Request) -> str:
        token = request.session.access if request.session else request.headers.get("authorization", "")[7:]
        return str((self.claims(token or "", "access") or {}).get("sid"))

    def _do_listApiKeys(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        mine = [key for key in self.keys.values() if key["user"] == user and not key["revoked"]]
        return Response.of(200, {"items": [{"id": key["id"], "name": key["name"]} for key in mine]})

    def _do_createApiKey(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        id_ = f"k{next(self._ids)}"
        text = "sk_" + hashlib.sha256(id_.encode()).hexdigest()[:20] + "AbCdEfGhIj"
        self.keys[id_] = {"id": id_, "name": payload["name"], "key": text, "user": user, "revoked": False}
        shown = {name: self.keys[id_][name] for name in ("id", "name", "key")}
        return Response.of(201, shown, location=f"{PREFIX}/api-keys/{id_}", cache_control="no-store")

    def _do_revokeApiKey(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        key = self.keys.get(item)
        if key is None or key["user"] != user or key["revoked"]:
            return Response.problem(404)
        key["revoked"] = True
        return Response.of(204)

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
        all_ = not self.keeps("list")
        return Response.of(200, {"items": [o for o in self.orders.values() if all_ or o["owner_id"] == user][:limit]})

    def _do_createOrder(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        id_ = f"o{next(self._ids)}"
        owner = {} if not self.keeps("closed") and "owner_id" in payload else {"owner_id": user}
        self.orders[id_] = {"id": id_, **payload, **owner}
        return Response.of(201, self.orders[id_], location=f"{PREFIX}/orders/{id_}")

    def _do_readOrder(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        order = self._order(item, user)
        return Response.of(200, order) if order else Response.problem(404)

    def _do_replaceOrder(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        order = self._order(item, user)
        if order is None:
            return Response.problem(404)
        order.update(payload)
        return Response.of(200, order)

    def _do_deleteOrder(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        if self._order(item, user) is None:
            return Response.problem(404)
        del self.orders[item]
        return Response.of(204)

    def _order(self, id_: str, user: str | None, rule: str = "owner") -> dict[str, Any] | None:
        order = self.orders.get(id_)
        return order if order and (order["owner_id"] == user or not self.keeps(rule)) else None

    def _do_listNotes(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        if self._order(item, user, "parent") is None:
            return Response.problem(404)
        mine = [note for note in self.notes.values() if note["order"] == item]
        return Response.of(200, {"items": [{"id": note["id"], "text": note["text"]} for note in mine]})

    def _do_createNote(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        if self._order(item, user, "parent") is None:
            return Response.problem(404)
        id_ = f"n{next(self._ids)}"
        self.notes[id_] = {"id": id_, "text": payload["text"], "order": item}
        shown = {"id": id_, "text": payload["text"]}
        return Response.of(201, shown, location=f"{PREFIX}/orders/{item}/notes/{id_}")

    def _do_readNote(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        order, _, id_ = item.partition("/")
        note = self.notes.get(id_)
        if note is None or note["order"] != order or self._order(order, user, "parent") is None:
            return Response.problem(404)
        return Response.of(200, {"id": note["id"], "text": note["text"]})

    def _do_createReturn(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        if self._order(payload["order_id"], user, "reference") is None:
            return self._invalid("#/order_id", "an order of yours")
        id_ = f"r{next(self._ids)}"
        self.returns[id_] = {"id": id_, "order_id": payload["order_id"], "user": user}
        shown = {"id": id_, "order_id": payload["order_id"]}
        return Response.of(201, shown, location=f"{PREFIX}/returns/{id_}")

    def _do_readReturn(self, request: Request, payload: Any, user: str | None, item: str) -> Response:  # noqa: N802
        found = self.returns.get(item)
        if found is None or found["user"] != user:
            return Response.problem(404)
        return Response.of(200, {"id": found["id"], "order_id": found["order_id"]})

    # -- helpers ---------------------------------------------------------------------------------------------------------

    def _profile(self, user: str) -> dict[str, Any]:
        return {"id": user, "email": user, "role": self.users[user][1], **self.profiles.get(user, {})}

    def _same(self, stored: str, given: str) -> bool:
        if self.keeps("exact-password"):
            return stored == given
        return stored.lower().encode()[:72].strip() == given.lower().encode()[:72].strip()

    def _tokens(self, user: str, family: str) -> Response:
        number = next(self._ids)
        claims = {"iss": "shop", "aud": "shop-api", "sub": subject_of(user), "sid": family, "iat": self.time}
        access = signed({**claims, "jti": f"a{number}", "type": "access", "exp": self.time + 900}, self.key)
        refresh = signed({**claims, "jti": f"r{number}", "type": "refresh", "exp": self.time + 604_800}, self.key)
        self.refreshes[refresh] = (user, family, False)
        tokens = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 900}
        return Response.of(200, tokens, cache_control="no-store")


def _refuse(name: str) -> Any:
    raise ValueError(name)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(
        "".join("([^/]+)" if part[:1] == "{" else re.escape(part) for part in re.split(r"(\{[^{}]+\})", template))
    )


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
