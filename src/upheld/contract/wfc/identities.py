"""From the entries of a WFC authentication file to identities of upheld.yaml; its secrets stay beside them, under names.

Identities hold no secret: they name environment variables. What the file holds literally gets such a name (``WFC_ADMIN_PASSWORD``),
and `Imported.given` is the environment that has it. ``${NAME}`` in the file is a variable of the real environment: that is how
``upheld wfc`` writes a secret that it must not show.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from upheld.contract.environment import VARIABLE, variables
from upheld.contract.placement import Placement
from upheld.contract.sections.access import Identity
from upheld.contract.sections.login import Login
from upheld.contract.sessions import PASSWORD, USER
from upheld.contract.source import Located, read
from upheld.contract.wfc.document import Entry, LoginEndpoint, read_entries
from upheld.contract.words import key, words
from upheld.errors import ContractError, Place

FORM = "application/x-www-form-urlencoded"
_NO_SECRETS = frozenset(
    {"accept", "accept-language", "accept-encoding", "content-type", "user-agent", "x-requested-with"}
)
_SECRET_WORDS = frozenset({"secret", "token", "key", "otp", "pin", "code", "hash"})
_CREDENTIALS = frozenset({"token_env", "api_key_env"})


@dataclass(frozen=True)
class Imported:
    """The identities of a file."""

    file: str
    identities: Mapping[str, Identity]
    places: Mapping[str, Place]
    given: Mapping[str, str] = field(repr=False)
    """The file's own secrets: values of the variables that the identities name."""
    outside: Mapping[str, str]
    """Identity → the origin of its login, where the file gives a whole URL."""
    unusable: Mapping[str, str]
    """Identity → why it cannot be signed in."""
    notes: tuple[tuple[Place, str], ...]


class _Unusable(Exception):
    """The entry asks for something that Upheld does not do."""


def import_identities(file: Path, asked_at: Place, taken: Iterable[str] = ()) -> Imported:
    """Read a WFC file. ``taken`` are names of variables that mean something else. Raises `ContractError`."""
    if file.suffix.lower() == ".toml":
        raise ContractError((asked_at, f"identities: {file} is TOML; a WFC file is read as YAML or JSON"))
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ContractError((asked_at, f"identities: {file} cannot be read: {error.strerror}")) from error
    entries, notes = read_entries(read(data, str(file)))
    secrets = _Secrets(taken)
    identities: dict[str, Identity] = {}
    outside: dict[str, str] = {}
    unusable: dict[str, str] = {}
    for entry in entries:
        try:
            identities[entry.name] = _identity(entry, secrets)
        except _Unusable as why:
            identities[entry.name], unusable[entry.name] = Identity(), str(why)
        if entry.login is not None and entry.login.url:
            outside[entry.name] = entry.login.origin
        notes += [(entry.place, note) for note in _notes(entry)]
    places = {entry.name: entry.place for entry in entries}
    return Imported(str(file), identities, places, secrets.given, outside, unusable, tuple(notes))


def laid_over(
    imported: Imported, own: Mapping[str, Identity], written: Located
) -> tuple[dict[str, Identity], Imported]:
    """The file's identities, each changed by the line of upheld.yaml that has its name, then those that only upheld.yaml has."""
    identities = dict(imported.identities)
    settled: set[str] = set()
    notes = list(imported.notes)
    for name, line in own.items():
        if name not in identities:
            identities[name] = line
            near = difflib.get_close_matches(name, imported.identities, 1, cutoff=0.8)
            if near:
                said = f"identities.{name} is not in {imported.file} and is an identity of its own; did you mean {near[0]!r}?"
                notes.append((written.place(("identities", name)), said))
            continue
        changes = {part: getattr(line, part) for part in line.model_fields_set}
        if changes.keys() & (_CREDENTIALS | {"login"}):
            settled.add(name)
        if changes.keys() & _CREDENTIALS:
            changes = {"login": None, "password_env": None, "headers": {}, **changes}
        identities[name] = identities[name].model_copy(update=changes)
    left = replace(
        imported,
        outside={name: url for name, url in imported.outside.items() if name not in settled},
        unusable={name: why for name, why in imported.unusable.items() if name not in settled},
        notes=tuple(notes),
    )
    return identities, left


def texts_in(value: Any) -> Iterator[str]:
    """Every text of a document, and what looks like the name of a variable within them."""
    if isinstance(value, str):
        yield from (value, *variables(value))
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts_in(item)


# -- one entry -----------------------------------------------------------------------------------------------------------


def _identity(entry: Entry, secrets: _Secrets) -> Identity:
    if entry.made_on_the_fly:
        return Identity()
    headers = {name: secrets.in_field(entry.name, name, value) for name, value in entry.fixed_headers}
    if entry.login is None:
        return Identity(headers=headers)
    login = entry.login
    media_type = login.content_type.split(";")[0].strip().lower()
    user, password = "", ""
    body: Any = None
    if login.credentials is not None:
        if media_type and media_type != FORM and media_type != "application/json" and not media_type.endswith("+json"):
            raise _Unusable(f"payloadUserPwd is sent as JSON or as a form, and its contentType is {media_type}")
        user, password = login.credentials.username, login.credentials.password
        body = {login.credentials.username_field: "$user", login.credentials.password_field: "$password"}
    elif login.raw is not None:
        media_type = media_type or _kind_of(login.raw)
        body, user, password = _taken_apart(login.raw, media_type) or (
            secrets.hidden(entry.name, "PAYLOAD", login.raw), "", "",
        )  # fmt: skip
    return Identity(
        user=user or None,
        password_env=secrets.name(entry.name, "PASSWORD", password) if password else None,
        headers=headers,
        login=Login(
            op=f"{login.verb} {_path(login)}",
            body=body,
            headers={name: secrets.in_field(entry.name, name, value) for name, value in login.headers},
            access=_access(login),
            media_type=media_type or None,
            scheme=_scheme(login),
        ),
    )


def _path(login: LoginEndpoint) -> str:
    parts = urlsplit(login.url) if login.url else None
    path, _, query = (login.endpoint if parts is None else f"{parts.path or '/'}?{parts.query}").partition("?")
    if query:
        raise _Unusable("the address of its login has a query, which Upheld does not send there")
    return quote("/" + path.lstrip("/"), safe="/%:@!$&'()*+,;=~-._")


def _access(login: LoginEndpoint) -> str:
    if login.token is None:
        return "cookie"
    return login.token.selector if login.token.extract_from == "body" else f"header:{login.token.selector}"


def _scheme(login: LoginEndpoint) -> str | None:
    token = login.token
    if token is None:
        return None
    if token.send_in == "query":
        raise _Unusable(
            "its token is sent in the query, where it ends up in logs (RFC 6750 section 5.3); Upheld sends headers"
        )
    return Placement("header", token.name, token.template).notation


def _notes(entry: Entry) -> Iterable[str]:
    if entry.needs_mocks:
        yield f"{entry.name}: requireMockHandling: whatever stands in for the other service has to run; Upheld starts none"
    if entry.made_on_the_fly:
        yield f"{entry.name}: createUsers is passed over: each run registers it through auth.register"


# -- payloads ------------------------------------------------------------------------------------------------------------


def _kind_of(raw: str) -> str:
    if _members(raw, "application/json") is not None:
        return "application/json"
    return FORM if re.fullmatch(r"[^\s=&]+=\S*", raw) else "text/plain"


def _members(raw: str, media_type: str) -> dict[str, Any] | None:
    if media_type == FORM:
        return dict(parse_qsl(raw, keep_blank_values=True)) or None
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _taken_apart(raw: str, media_type: str) -> tuple[dict[str, Any], str, str] | None:
    """(template, user, password) of a body that names both plainly; None where something else could be a secret."""
    members = _members(raw, media_type) or {}
    texts = [name for name, value in members.items() if isinstance(value, str) and value]
    passwords = [name for name in texts if key(name) in PASSWORD]
    others = [name for name in texts if name not in passwords]
    users = sorted((name for name in others if key(name) in USER), key=lambda name: USER.index(key(name)))
    if not users and len(others) == 1:
        users = others
    rest = members.keys() - {*passwords[:1], *users[:1]}
    if len(passwords) != 1 or not users or any(_may_be_secret(name, members[name]) for name in rest):
        return None
    template = {**members, users[0]: "$user", passwords[0]: "$password"}
    return template, members[users[0]], members[passwords[0]]


def _may_be_secret(name: str, value: Any) -> bool:
    return not isinstance(value, (str, bool, int, float)) or bool(_SECRET_WORDS & set(words(name)))


class _Secrets:
    """Gives each secret of the file a name."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.given: dict[str, str] = {}
        self._taken = set(taken)

    def name(self, identity: str, what: str, value: str) -> str:
        """The name of the variable that holds this value."""
        if whole := VARIABLE.fullmatch(value):
            return whole[1]
        plain = "_".join(["WFC", *re.findall(r"[A-Za-z0-9]+", identity), what]).upper()
        names = [plain, *(f"{plain}_{number}" for number in range(2, 1000))]
        name = next(name for name in names if name not in self._taken)
        self._taken.add(name)
        self.given[name] = value
        return name

    def hidden(self, identity: str, what: str, value: str) -> str:
        """The value as a template that does not show it."""
        return value if VARIABLE.search(value) else "${" + self.name(identity, what, value) + "}"

    def in_field(self, identity: str, header: str, value: str) -> str:
        """The value of a header field as such a template; the name of an authentication scheme stays."""
        if header.lower() in _NO_SECRETS or not value:
            return value
        what = "_".join(re.findall(r"[A-Za-z0-9]+", header)).upper() or "HEADER"
        named = re.fullmatch(r"([A-Za-z][\w-]*) +(\S.*)", value) if header.lower().endswith("authorization") else None
        return f"{named[1]} {self.hidden(identity, what, named[2])}" if named else self.hidden(identity, what, value)
