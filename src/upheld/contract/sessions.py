"""Login, register, refresh, logout and the rest of a session's life, recognised in the document; what upheld.yaml pins always wins."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from upheld.contract import account, shapes
from upheld.contract.model import Auth, Inference, Operation, Step
from upheld.contract.references import escape
from upheld.contract.words import key, words

if TYPE_CHECKING:
    from upheld.contract.dialect import Schemas
    from upheld.contract.model import JsonSchema
    from upheld.contract.policy import Auth as Stated
    from upheld.contract.policy import AuthStep

PASSWORD = frozenset({"password", "passwd", "pwd", "pass", "passphrase", "user_password", "plain_password"})
USER = (
    "email", "email_address", "username", "user", "login", "user_name", "identifier", "user_id", "phone", "phone_number",
    "user_email", "account", "name",
)  # fmt: skip
ACCESS = ("access_token", "token", "jwt", "access", "auth_token", "id_token", "bearer_token", "jwt_token", "api_token",
          "session_token", "authorization")  # fmt: skip
REFRESH = ("refresh_token", "refresh", "jwt_refresh_token")

STEPS = ("login", "register", "refresh", "logout", "change_password", "delete_account")
"""In the order in which they are found: what is one of them is none of those that follow."""

_LOGIN = frozenset({"login", "signin", "logon", "token", "tokens", "authenticate", "authentication", "session", "sessions",
                    "auth"})  # fmt: skip
_REGISTER = frozenset({"register", "registration", "registrations", "signup", "enroll", "enrol"})
_REFRESH = frozenset({"refresh", "renew"})
_LOGOUT = frozenset({"logout", "signout", "logoff", "signoff"})
_OTHER = frozenset({"reset", "forgot", "forgotten", "recover", "recovery", "change", "verify", "verification", "confirm",
                    "resend", "otp", "mfa", "2fa", "totp", "magic", "revoke", "introspect", "validate", "device", "callback",
                    "test", "admin", "check", "update", "password", "impersonate"})  # fmt: skip


_NAMES = frozenset({"username", "user_name", "login", "handle", "slug", "nickname", "display_name", "name"})


@dataclass(frozen=True)
class _Guess:
    operation: Operation
    score: int
    why: tuple[str, ...]


class SessionFinder:
    """Reads the session's life from the operations."""

    def __init__(
        self,
        operations: Iterable[Operation],
        schemas: Schemas,
        schemes: Mapping[str, Mapping[str, Any]],
        pinned: Callable[[str, AuthStep], Operation | None],
    ) -> None:
        self.operations = tuple(operations)
        self.schemas = schemas
        self.schemes = schemes
        self.pinned = pinned
        self.inferences: list[Inference] = []

    def find(self, stated: Stated) -> Auth:
        """The steps and how a token is sent. `inferences` then says what was read from where."""
        taken: set[str] = set()
        steps: dict[str, Step | None] = {}
        login_user = ""
        for name in STEPS:
            said: AuthStep | None = getattr(stated, name)
            operation = self.pinned(name, said) if said else None
            if operation is None:
                guess = self._best(name, taken)
                if guess is not None:
                    operation = guess.operation
                    self._tell(f"auth.{name}.op", operation.label, f"{operation.label}: {', '.join(guess.why)}")
            if operation is None:
                steps[name] = None
                continue
            taken.add(operation.label)
            steps[name] = self._step(name, operation, said, login_user)
            if name == "login":
                login_user = self._user_key(operation)
        scheme = stated.scheme or self._scheme()
        return Auth(
            register=steps["register"],
            login=steps["login"],
            refresh=steps["refresh"],
            logout=steps["logout"],
            change_password=steps["change_password"],
            delete_account=steps["delete_account"],
            scheme=scheme,
            user_kind=self._user_kind(steps, login_user),
        )

    def _tell(self, key_: str, value: str, source: str) -> None:
        self.inferences.append(Inference(key_, value, source))

    # -- which operation -------------------------------------------------------------------------------------------------

    def _best(self, name: str, taken: set[str]) -> _Guess | None:
        judge: Callable[[Operation], _Guess | None] = getattr(self, f"_as_{name}")
        guesses = [guess for op in self.operations if op.label not in taken and (guess := judge(op))]
        # The shortest path of the best: /auth/login before /auth/login/sso.
        return max(guesses, key=lambda g: (g.score, -len(g.operation.path)), default=None)

    def _as_login(self, op: Operation) -> _Guess | None:
        if op.method != "POST":
            return None
        said, body = self._words(op), self._body_keys(op)
        why: list[str] = []
        score = 0
        if self._is_token_url(op):
            score, why = 10, ["the tokenUrl of an OAuth 2 password flow"]
        elif said & (_REGISTER | _REFRESH | _LOGOUT | _OTHER - {"password"}) or _last(op) & {"password", "users"}:
            return None
        named = said & _LOGIN
        if named:
            score += 4 + 2 * bool(_last(op) & _LOGIN) + bool(said & {"login", "signin"})
            why.append(f"is named {sorted(named)[0]}")
        if body & PASSWORD:
            score += 3
            why.append("its body has a password")
        token = self._token(op, ACCESS)
        if token:
            score += 3
            why.append(f"its {op.success} has {token.lstrip('/').replace('/', '.')}")
        enough = score >= 10 or (bool(body & PASSWORD) and (bool(named) or bool(token)))
        return _Guess(op, score - 3 * op.secured, tuple(why)) if enough else None

    def _as_register(self, op: Operation) -> _Guess | None:
        if op.method not in ("POST", "PUT"):
            return None
        said, body, last = self._words(op), self._body_keys(op), _last(op)
        named = said & _REGISTER
        if not body & PASSWORD or said & ((_OTHER - {"password", "admin"}) | _LOGOUT):
            return None
        members = (
            bool(last & {"users", "user", "accounts", "account", "customers", "members", "me"}) and op.method == "POST"
        )
        if not named and not (members and not op.secured and "{" not in op.path):
            return None
        why = [
            f"is named {sorted(named)[0]}" if named else "makes users without credentials",
            "its body has a password",
        ]
        return _Guess(
            op, 5 * bool(named) + 2 * bool(members) + 2 * (not op.secured) - 4 * ("admin" in said), tuple(why)
        )

    def _as_refresh(self, op: Operation) -> _Guess | None:
        said, body = self._words(op), self._body_keys(op)
        if op.method not in ("POST", "PUT", "GET") or said & (_LOGOUT | {"revoke", "blacklist", "verify"}):
            return None
        carries, token = body & set(REFRESH), self._token(op, ACCESS)
        named = said & _REFRESH and (bool(said & (_LOGIN | {"jwt"})) or bool(carries) or bool(token))
        if not named and not (carries and token):
            return None
        why = (["is named refresh"] if named else []) + (["its body has a refresh token"] if carries else [])
        score = 5 * bool(named) + 4 * bool(carries) + 2 * bool(token) - 3 * (op.method == "GET")
        return _Guess(op, score, tuple(why))

    def _as_logout(self, op: Operation) -> _Guess | None:
        said = self._words(op)
        named = said & _LOGOUT
        ends = (
            op.method == "DELETE"
            and bool(_last(op) & {"session", "sessions", "current"})
            and "session" in "".join(said)
        )
        if op.method not in ("POST", "DELETE", "GET", "PUT") or not (named or (ends and "{" not in op.path)):
            return None
        everywhere = bool(said & {"all", "everywhere", "others"})
        score = 5 * bool(named) + 2 * (op.method == "POST") + 3 * bool(ends) - 4 * everywhere
        return _Guess(op, score, (f"is named {sorted(named)[0]}" if named else "deletes the session",))

    def _as_change_password(self, op: Operation) -> _Guess | None:
        score = account.changes_password(op, self.schemas)
        return _Guess(op, score, ("its body has a new password",)) if score else None

    def _as_delete_account(self, op: Operation) -> _Guess | None:
        score = account.deletes_account(op)
        return _Guess(op, score, ("deletes the caller",)) if score else None

    def _words(self, op: Operation) -> frozenset[str]:
        # An operationId that FastAPI makes repeats the path and ends in the method.
        return frozenset(words(op.path)) | frozenset(words(op.operation_id))

    def _is_token_url(self, op: Operation) -> bool:
        for scheme in self.schemes.values():
            flows = scheme.get("flows")
            flow = flows.get("password") if isinstance(flows, Mapping) else None
            url = flow.get("tokenUrl") if isinstance(flow, Mapping) else None
            if isinstance(url, str) and url:
                path = "/" + urlsplit(url).path.lstrip("./")
                if op.path == path or (len(path) > 1 and op.path.endswith(path)):
                    return True
        return False

    def _form(self, op: Operation) -> tuple[str, JsonSchema] | None:
        """(media type, schema) of the body; where the document shows only an example, a schema of its members."""
        form = shapes.form_schema(op)
        if form is None or op.body is None or shapes.properties(self.schemas, form[1]):
            return form
        shown = op.body.examples.get(form[0])
        if not isinstance(shown, Mapping) or not shown:
            return form
        members = {str(name): {"examples": [value]} for name, value in shown.items()}
        return form[0], {"type": "object", "properties": members, "required": list(members)}

    def _body_keys(self, op: Operation) -> frozenset[str]:
        form = self._form(op)
        if form is None:
            return frozenset()
        names = set(shapes.properties(self.schemas, form[1]))
        for value in shapes.properties(self.schemas, form[1]).values():
            names |= set(shapes.properties(self.schemas, value))
        return frozenset(key(name) for name in names)

    def _token(self, op: Operation, names: tuple[str, ...]) -> str:
        """Pointer of the token in the 2xx answer; empty when the document shows none."""
        schema = shapes.success_schema(op)
        if schema is None:
            return ""

        def is_text(value: JsonSchema) -> bool:
            kinds = frozenset[str]().union(*(shapes.types(branch) for branch in shapes.branches(self.schemas, value)))
            return not kinds or "string" in kinds

        found = list(shapes.find(self.schemas, schema, lambda name, value: key(name) in names and is_text(value)))
        return (
            min(found, key=lambda item: (item[0].count("/"), names.index(key(item[0].rpartition("/")[2]))))[0]
            if found
            else ""
        )

    # -- how to call it --------------------------------------------------------------------------------------------------

    def _step(self, name: str, op: Operation, said: AuthStep | None, login_user: str) -> Step:
        form = self._form(op)
        body: Any = None
        media_type = "application/json"
        if form is not None:
            media_type = form[0]
            if name == "change_password":
                body = account.password_template(form[1], self.schemas, other=self._filler)
            else:
                body = self._template(form[1], login_user, register=name == "register")
        if said and said.body is not None:
            body = said.body
        elif body is not None:
            self._tell(f"auth.{name}.body", _shown(body), f"{op.label}: required properties of its {media_type} body")
        gives = name not in ("logout", "change_password", "delete_account")
        access = self._token(op, ACCESS) if gives else ""
        refresh = self._token(op, REFRESH) if gives else ""
        if not access and (self._is_token_url(op) or name == "login") and shapes.success_schema(op) in (None, True, {}):
            # RFC 6749 §5.1 names the member; the document says nothing.
            access = "/access_token"
        for part, value in (("access", access), ("refresh", refresh)):
            if value and not (said and getattr(said, part) is not None):
                self._tell(f"auth.{name}.{part}", value, f"{op.label}: its {op.success or 200} has it")

        def pick(part: str, value: Any) -> Any:
            pin = getattr(said, part, None)
            return value if pin is None else pin

        return Step(
            operation=op,
            body=body,
            access=pick("access", access),
            refresh=pick("refresh", refresh),
            media_type=pick("media_type", media_type),
            rotates=bool(pick("rotates", False)),
            grace=pick("grace", 0.0),
            revokes=pick("revokes", ""),
        )

    def _user_key(self, op: Operation) -> str:
        form = self._form(op)
        return self._user_property(form[1], "")[0] if form else ""

    def _user_property(self, schema: JsonSchema, preferred: str) -> tuple[str, str]:
        """(comparable name, JSON Pointer) of the property that holds the user's name."""
        found: dict[str, str] = {}
        for pointer, _ in shapes.find(self.schemas, schema, self._is_user, depth=2):
            found.setdefault(key(pointer.rpartition("/")[2]), pointer)
        for name in (preferred, *USER):
            if name in found:
                return name, found[name]
        return "", ""

    def _is_user(self, name: str, schema: JsonSchema) -> bool:
        # {"user": {"email": ...}} wraps, it names nobody.
        return key(name) in USER and not shapes.properties(self.schemas, schema)

    def _template(self, schema: JsonSchema, login_user: str, *, register: bool) -> Any:
        user = self._user_property(schema, login_user)[1]
        email = login_user and next(
            (p for p, _ in shapes.find(self.schemas, schema, lambda n, _: key(n) == "email", 2)), ""
        )

        def fill(node: JsonSchema, pointer: str) -> Any:
            body: dict[str, Any] = {}
            needed = shapes.required(self.schemas, node)
            for name, value in shapes.properties(self.schemas, node).items():
                here, plain = f"{pointer}/{escape(name)}", key(name)
                if here == user:
                    body[name] = "$user"
                elif plain in PASSWORD or plain in ("confirm_password", "password_confirm", "password_confirmation", "password2",
                                                    "repeat_password", "password_repeat"):  # fmt: skip
                    if plain in PASSWORD or name in needed:
                        body[name] = "$password"
                elif plain in REFRESH:
                    # A login that asks whether a refresh token is wanted.
                    asks = any("boolean" in shapes.types(branch) for branch in shapes.branches(self.schemas, value))
                    body[name] = True if asks else "$refresh"
                elif plain == "grant_type":
                    body[name] = "refresh_token" if not user else "password"
                elif user.startswith(here + "/"):
                    body[name] = fill(value, here)
                elif name in needed or (not needed and not register and self._is_choice(value)):
                    # Where nothing is said to be required, a choice between few values is rather needed than not.
                    body[name] = self._other(name, value, is_email=here == email, register=register)
            return body

        return fill(schema, "")

    def _is_choice(self, schema: JsonSchema) -> bool:
        return any("enum" in branch for branch in shapes.branches(self.schemas, schema))

    def _other(self, name: str, schema: JsonSchema, *, is_email: bool, register: bool) -> Any:
        from upheld.contract.example import Maker

        top = self.schemas.expand(schema)
        if register and is_email:
            return "$unique@example.com"
        if register and key(name) in _NAMES and self.schemas.validator(top, "request").is_valid("u1a2b3x1"):
            return "$unique"
        return Maker(self.schemas, unique=lambda: "sample1").make(schema, name)

    def _filler(self, name: str, schema: JsonSchema) -> Any:
        return self._other(name, schema, is_email=False, register=False)

    def _user_kind(self, steps: Mapping[str, Step | None], login_user: str) -> Any:
        """``name`` where the property that login calls the user by is a name, or takes no e-mail address."""
        for name in ("register", "login"):
            step = steps.get(name)
            form = self._form(step.operation) if step else None
            if form is None:
                continue
            pointer = self._user_property(form[1], login_user)[1]
            schema = dict(shapes.find(self.schemas, form[1], self._is_user, 2)).get(pointer, True)
            validator = self.schemas.validator(schema, "request")
            named = key(pointer.rpartition("/")[2]) in _NAMES and validator.is_valid("user1a2b3c4d")
            if named or not validator.is_valid("user1a2b3c4d@example.com"):
                return "name"
        return "email"

    # -- how a token is sent ---------------------------------------------------------------------------------------------

    def _scheme(self) -> str:
        used = Counter(name for op in self.operations for names in op.security for name in names)
        order = sorted(self.schemes, key=lambda name: -used[name])
        for name in order:
            sent = sent_as(self.schemes[name])
            if sent:
                if sent != "bearer":
                    self._tell("auth.scheme", sent, f"securitySchemes: {name}")
                return sent
        return "bearer"


_PREFIX = re.compile(
    r"\b(Token|JWT|ApiKey|Api-Key)\s+(?:[<{`'\"\[]|\w+\.\w+\.\w+)|\bprefix\s+[\"'`]([A-Za-z][\w-]*)[\"'`]"
)
"""What stands before a token: ``Token <key>``, ``JWT aaa.bbb.ccc``, ``required prefix "Token"`` (Django REST framework)."""


def sent_as(scheme: Mapping[str, Any]) -> str:
    """In the notation of `upheld.contract.placement`; empty for a scheme of another kind (basic, mutual TLS)."""
    kind = str(scheme.get("type", "")).lower()
    if kind in ("oauth2", "openidconnect") or (kind == "http" and str(scheme.get("scheme", "")).lower() == "bearer"):
        return "bearer"
    if kind == "apikey":
        name, where = str(scheme.get("name", "")), str(scheme.get("in", "header"))
        # Documents that were Swagger 2 once describe a bearer token as an API key in Authorization, often without a word
        # of it; RFC 9110 §11.6.2 lets nothing stand there without the name of a scheme.
        says = str(scheme.get("description", ""))
        other = re.search(r"\b(basic|digest|token|jwt|apikey|key)\s+[<{`'\"\[]", says, re.I)
        if name.lower() == "authorization" and where == "header":
            if (named := _PREFIX.search(says)) and (prefix := named[1] or named[2]).lower() != "bearer":
                return f"header:{name}:{prefix} {{token}}"
            if not other:
                return "bearer"
        return f"apiKey:{where}:{name}"
    return ""


def _last(op: Operation) -> frozenset[str]:
    segments = [segment for segment in op.path.split("/") if segment and "{" not in segment]
    return frozenset(words(segments[-1])) if segments else frozenset()


def _shown(body: Any) -> str:
    import json

    return json.dumps(body, ensure_ascii=False)


def tokens_in(answer: Any) -> tuple[str, str]:
    """(JSON Pointer of the access token, of the refresh token) in an answer, for a document that does not show them."""
    found: dict[tuple[str, ...], list[tuple[int, int, str]]] = {ACCESS: [], REFRESH: []}

    def visit(node: Any, pointer: str, depth: int) -> None:
        for name, value in node.items() if isinstance(node, Mapping) and depth < 3 else ():
            here = f"{pointer}/{escape(str(name))}"
            for names, list_ in found.items():
                if isinstance(value, str) and value and key(str(name)) in names:
                    list_.append((depth, names.index(key(str(name))), here))
            visit(value, here, depth + 1)

    visit(answer, "", 0)
    access, refresh = (min(list_)[2] if list_ else "" for list_ in found.values())
    return access, refresh
