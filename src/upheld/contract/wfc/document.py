"""A WFC authentication file, read with lines: what each entry says once ``authTemplate`` has filled what it leaves out.

Web Fuzzing Commons (https://github.com/WebFuzzing/Commons), schema ``wfc/schemas/auth.yaml``, versions 0.2 to 0.6, and the
token's members of the versions before (``extractFromField``, ``httpHeaderName``, ``headerPrefix``). Values are never shown in a
message: the file holds passwords.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from upheld.contract.load import merge
from upheld.contract.placement import FIELD_NAME, MARK
from upheld.contract.problems import dotted, unknown_key
from upheld.contract.source import Located
from upheld.errors import ContractError, Place

Path = tuple[str | int, ...]
Pairs = tuple[tuple[str, str], ...]

TEXT, FLAG, ANYTHING = object(), object(), object()
VERBS = ("POST", "GET", "PATCH", "DELETE", "PUT")

_HEADER = {"name": TEXT, "value": TEXT}
_TOKEN = {
    "extractFrom": ("body", "header"), "extractSelector": TEXT, "sendIn": ("header", "query"), "sendName": TEXT,
    "sendTemplate": TEXT,
    "extractFromField": TEXT, "extractFromHeader": TEXT, "httpHeaderName": TEXT, "headerPrefix": TEXT, "headerPostfix": TEXT,
}  # fmt: skip
_OLD_TOKEN = frozenset({"extractFromField", "extractFromHeader", "httpHeaderName", "headerPrefix", "headerPostfix"})
_CREDENTIALS = {"username": TEXT, "password": TEXT, "usernameField": TEXT, "passwordField": TEXT}
_LOGIN = {
    "endpoint": TEXT, "externalEndpointURL": TEXT, "payloadRaw": TEXT, "payloadUserPwd": _CREDENTIALS, "headers": [_HEADER],
    "verb": VERBS, "contentType": TEXT, "token": _TOKEN, "expectCookies": FLAG,
}  # fmt: skip
_ENTRY = {
    "name": TEXT, "requireMockHandling": FLAG, "fixedHeaders": [_HEADER], "loginEndpointAuth": _LOGIN, "createUsers": ANYTHING,
}  # fmt: skip
_FILE = {"schemaVersion": TEXT, "auth": [_ENTRY], "authTemplate": _ENTRY, "configs": ANYTHING}


@dataclass(frozen=True, slots=True)
class Token:
    """Where a login's answer holds the token, and where requests carry it."""

    extract_from: Literal["body", "header"]
    selector: str
    """A JSON Pointer (RFC 6901) into the body, or the name of a header field."""
    send_in: Literal["header", "query"]
    name: str
    template: str = MARK


@dataclass(frozen=True, slots=True)
class Credentials:
    """Name and password of a user, and what the login's body calls them."""

    username: str = field(repr=False)
    password: str = field(repr=False)
    username_field: str
    password_field: str


@dataclass(frozen=True, slots=True)
class LoginEndpoint:
    """How an entry signs in. Without ``token`` the answer's cookies are the credential."""

    verb: str
    endpoint: str
    """A path from the root of the server; empty where ``url`` is given."""
    url: str
    origin: str
    """``https://login.example.test:443`` of ``url``."""
    headers: Pairs = field(repr=False)
    content_type: str
    raw: str | None = field(repr=False)
    credentials: Credentials | None
    token: Token | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One user of the file."""

    name: str
    place: Place
    fixed_headers: Pairs = field(default=(), repr=False)
    login: LoginEndpoint | None = None
    needs_mocks: bool = False
    made_on_the_fly: bool = False
    """It has ``createUsers``: its user is made by each run."""


def read_entries(written: Located) -> tuple[tuple[Entry, ...], list[tuple[Place, str]]]:
    """(the entries, what is odd). Raises `ContractError` with every problem of the file."""
    reader = _Reader(written)
    entries = reader.entries()
    if reader.problems:
        raise ContractError(*sorted(set(reader.problems), key=lambda problem: (problem[0].line, problem[1])))
    return entries, reader.notes


def origin(url: str) -> str:
    """``https://login.example.test:443`` of a URL (RFC 6454 §4), ``localhost`` as its address. Raises ValueError."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme] if parts.scheme in ("http", "https") else None
    if not parts.hostname or not port:
        raise ValueError(f"{url!r} is no URL of a server")
    return f"{parts.scheme}://{'127.0.0.1' if parts.hostname == 'localhost' else parts.hostname}:{port}"


class _Reader:
    def __init__(self, written: Located) -> None:
        self.written = written
        self.problems: list[tuple[Place, str]] = []
        self.notes: list[tuple[Place, str]] = []
        self.told: set[Path] = set()
        """Where something stands that is wrong: it is not missing."""

    def entries(self) -> tuple[Entry, ...]:
        value = self.written.value
        if not isinstance(value, dict) or "auth" not in value:
            sentence = "is no WFC authentication file: it has no list 'auth'"
            raise ContractError((Place(self.written.file, 1), sentence))
        document = self._fitting(value, _FILE, ())
        template = document.get("authTemplate", {})
        if template.pop("name", None) is not None:
            self._wrong(("authTemplate", "name"), "must not be there: each entry has a name of its own")
        entries = [
            self._entry(merge(template, entry), index)
            for index, entry in enumerate(document.get("auth", ()))
            if entry is not None
        ]
        if not entries and not self.problems:
            self._wrong(("auth",), "is empty")
        seen: dict[str, Place] = {}
        for entry in entries:
            if entry.name in seen:
                self.problems.append(
                    (entry.place, f"the name {entry.name!r} is there twice, first in {seen[entry.name]}")
                )
            seen.setdefault(entry.name, entry.place)
        return tuple(entries)

    # -- what stands in the file -----------------------------------------------------------------------------------------

    def _fitting(self, value: Any, shape: Any, path: Path) -> Any:
        """The part of ``value`` that has this shape. What is null counts as left out; the rest is told."""
        if shape is ANYTHING or value is None:
            return value
        if isinstance(shape, Mapping):
            if not isinstance(value, dict):
                return self._wrong(path, f"must be a mapping (lines of 'key: value'), found {_kind(value)}")
            known = {name: item for name, item in value.items() if self._is_known(name, shape, path)}
            fitting = {name: self._fitting(item, shape[name], (*path, name)) for name, item in known.items()}
            return {name: item for name, item in fitting.items() if item is not None}
        if isinstance(shape, list):
            if not isinstance(value, list):
                return self._wrong(path, f"must be a list, found {_kind(value)}")
            return [self._fitting(item, shape[0], (*path, index)) for index, item in enumerate(value)]
        if shape is FLAG:
            return (
                value if isinstance(value, bool) else self._wrong(path, f"must be true or false, found {_kind(value)}")
            )
        if not isinstance(value, str):
            quotes = "; put it in quotes" if isinstance(value, (int, float)) else ""
            return self._wrong(path, f"must be text, found {_kind(value)}{quotes}")
        if isinstance(shape, tuple) and value not in shape:
            near = difflib.get_close_matches(value.upper() if shape is VERBS else value.lower(), shape, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            return self._wrong(path, f"must be one of {', '.join(shape)}, found {value!r}{hint}")
        return value

    def _is_known(self, name: str, shape: Mapping[str, Any], path: Path) -> bool:
        if name in shape:
            return True
        sentence = unknown_key(name, dotted(path), shape)
        if "did you mean" in sentence:
            self.problems.append((self.written.place((*path, name)), sentence))
        else:
            # The schema lets other members be; a tool may have put its own there.
            said = f"{dotted((*path, name))} is no member of WFC and is passed over"
            self.notes.append((self.written.place((*path, name)), said))
        return False

    def _wrong(self, path: Path, sentence: str) -> Any:
        self.problems.append((self.written.place(path), f"{dotted(path)} {sentence}"))
        self.told.add(path)
        return None

    # -- what it means ---------------------------------------------------------------------------------------------------

    def _entry(self, said: dict[str, Any], index: int) -> Entry:
        at = _At(self, index)
        name = at.need(said, "name", ())
        fixed = self._headers(said.get("fixedHeaders", ()), at, ("fixedHeaders",))
        made = "createUsers" in said
        login = said.get("loginEndpointAuth")
        if not fixed and login is None and not made:
            at.wrong((), f"{name or 'the entry'} has neither fixedHeaders nor loginEndpointAuth")
        return Entry(
            name,
            self.written.place(("auth", index)),
            fixed,
            None if login is None or made else self._login(login, at),
            bool(said.get("requireMockHandling")),
            made,
        )

    def _headers(self, said: Iterable[Any], at: _At, path: Path) -> Pairs:
        pairs = []
        for index, item in enumerate(said):
            if item is not None:
                name, value = (at.need(item, part, (*path, index)).strip() for part in ("name", "value"))
                at.field(name, value, (*path, index))
                pairs.append((name, value))
        return tuple(pairs)

    def _login(self, said: dict[str, Any], at: _At) -> LoginEndpoint:
        path: Path = ("loginEndpointAuth",)
        at.one_of(said, path, "endpoint", "externalEndpointURL")
        at.one_of(said, path, "payloadRaw", "payloadUserPwd", needed=False)
        token = self._token(said["token"], at) if "token" in said else None
        if token is not None and said.get("expectCookies"):
            at.wrong((*path, "expectCookies"), "token and expectCookies: true are both there; one of them is meant")
        return LoginEndpoint(
            verb=at.need(said, "verb", path),
            endpoint=said.get("endpoint", ""),
            url=said.get("externalEndpointURL", ""),
            origin=self._origin(said["externalEndpointURL"], at) if "externalEndpointURL" in said else "",
            headers=self._headers(said.get("headers", ()), at, (*path, "headers")),
            content_type=said.get("contentType", ""),
            raw=said.get("payloadRaw"),
            credentials=self._credentials(said["payloadUserPwd"], at) if "payloadUserPwd" in said else None,
            token=token,
        )

    def _origin(self, url: str, at: _At) -> str:
        try:
            return origin(url)
        except ValueError:
            sentence = "externalEndpointURL must be a URL such as https://login.example.test/token"
            at.wrong(("loginEndpointAuth", "externalEndpointURL"), sentence)
            return ""

    def _credentials(self, said: dict[str, Any], at: _At) -> Credentials:
        path: Path = ("loginEndpointAuth", "payloadUserPwd")
        user, password, user_field, password_field = (at.need(said, part, path) for part in _CREDENTIALS)
        return Credentials(user, password, user_field, password_field)

    def _token(self, said: dict[str, Any], at: _At) -> Token:
        path: Path = ("loginEndpointAuth", "token")
        if _OLD_TOKEN & said.keys():
            at.one_of(said, path, "extractFromField", "extractFromHeader")
            for part in said.keys() - _OLD_TOKEN:
                at.wrong(
                    (*path, part), f"{part} is of WFC 0.2, {', '.join(_OLD_TOKEN & said.keys())} of the versions before"
                )
            name = said.get("httpHeaderName", "Authorization")
            template = said.get("headerPrefix", "") + MARK + said.get("headerPostfix", "")
            pointer = said.get("extractFromField")
            token = Token("header" if pointer is None else "body", pointer or said.get("extractFromHeader", ""), "header",
                          name, template)  # fmt: skip
        else:
            source, selector, send_in, name = (
                at.need(said, part, path) for part in ("extractFrom", "extractSelector", "sendIn", "sendName")
            )
            where: Any = (source, send_in)
            token = Token(where[0], selector, where[1], name, said.get("sendTemplate", MARK))
        if token.extract_from == "body" and token.selector and not token.selector.startswith("/"):
            at.wrong(path, f"the token's place in the body must be a JSON Pointer such as '/{token.selector}'")
        if MARK not in token.template:
            at.wrong((*path, "sendTemplate"), f"sendTemplate must hold {MARK}")
        if token.send_in == "header":
            at.field(token.name, token.template, path)
        return token


@dataclass(frozen=True)
class _At:
    """One entry, for telling where in the file something stands: in the entry itself, else in the template."""

    reader: _Reader
    index: int

    def place(self, path: Path) -> Place:
        written = self.reader.written
        for start in (("auth", self.index), ("authTemplate",)):
            if path and written.has((*start, *path)):
                return written.place((*start, *path))
        return written.place(("auth", self.index, *path))

    def wrong(self, path: Path, sentence: str) -> None:
        self.reader.problems.append((self.place(path), sentence))

    def need(self, said: Mapping[str, Any], part: str, path: Path) -> str:
        """The member's text; what is missing is told, unless what stands there was told already."""
        if part in said:
            return str(said[part])
        if not {("auth", self.index, *path, part), ("authTemplate", *path, part)} & self.reader.told:
            self.wrong(path, f"{part!r} is missing from {dotted(('auth', self.index, *path))}")
        return ""

    def field(self, name: str, value: str, path: Path) -> None:
        if name and not re.fullmatch(FIELD_NAME, name):
            self.wrong(path, f"{name!r} is no name of a header field (RFC 9110 section 5.1)")
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            self.wrong(path, f"the value of {name} must be one line of text (RFC 9110 section 5.5)")

    def one_of(self, said: Mapping[str, Any], path: Path, *parts: str, needed: bool = True) -> None:
        there = [part for part in parts if part in said]
        if len(there) > 1:
            self.wrong((*path, there[-1]), f"{' and '.join(there)} are both there; one of them is meant")
        elif not there and needed:
            self.wrong(path, f"{' or '.join(parts)} is missing from {dotted(('auth', self.index, *path))}")


def _kind(value: Any) -> str:
    """What a value is, without showing it."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return names.get(type(value), "nothing")
