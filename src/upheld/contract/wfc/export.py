"""The other way: a contract's identities as a WFC authentication file.

Written so that every version of the schema since 0.2 takes it: each entry complete, no ``authTemplate``. WFC knows no roles, no
registration and, as Schemathesis reads it, either header fields or a login for one user; what is lost on the way is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from upheld.contract.environment import supplied
from upheld.contract.placement import COOKIE, Placement, api_key_field, placement
from upheld.contract.wfc.document import VERBS
from upheld.contract.wfc.identities import FORM

if TYPE_CHECKING:
    from upheld.contract.model import Contract, Step
    from upheld.contract.policy import Identity

VERSION = "0.2.0"
_NAMED = re.compile(r"(\$user|\$password)")
Value = Callable[[str], str]
"""What is written for an environment variable."""


@dataclass(frozen=True)
class Exported:
    """A WFC file as a value, and what could not be said in it."""

    document: dict[str, Any]
    roles: Mapping[str, str]
    """Roles of the identities in it, other than ``user``."""
    notes: tuple[str, ...]


class _LeftOut(Exception):
    """WFC has no words for this identity."""


def export(contract: Contract, value: Value) -> Exported:
    """The identities of a contract; ``value`` gives what stands for each environment variable."""
    writer = _Writer(contract, value)
    entries: list[dict[str, Any]] = []
    for name, identity in contract.policy.identities.items():
        try:
            entries.append({"name": name, **writer.entry(name, identity)})
        except _LeftOut as why:
            writer.notes.append(f"{name} is left out: {why}")
    there = {entry["name"] for entry in entries}
    identities = contract.policy.identities
    roles = {name: who.role for name, who in identities.items() if name in there and who.role != "user"}
    return Exported({"schemaVersion": VERSION, "auth": entries}, roles, tuple(writer.notes))


def dumps(exported: Exported) -> str:
    """The text of the file."""
    import yaml

    text = yaml.safe_dump(exported.document, sort_keys=False, allow_unicode=True, width=100)
    lines = [
        "# A WFC authentication file (https://github.com/WebFuzzing/Commons), written by `upheld wfc`.",
        "# ${NAME} stands for an environment variable: Upheld reads it as it is, for other tools `envsubst` puts the value there.",
    ]
    if exported.roles:
        roles = ", ".join(f"{json.dumps(name)}: {{role: {json.dumps(role)}}}" for name, role in exported.roles.items())
        lines.append(f"# WFC knows no roles; upheld.yaml gives them back: identities: {{extends: THIS FILE, {roles}}}")
    return "\n".join(lines) + "\n" + text


class _Writer:
    def __init__(self, contract: Contract, value: Value) -> None:
        self.contract = contract
        self.value = value
        self.notes: list[str] = []

    def entry(self, name: str, identity: Identity) -> dict[str, Any]:
        if name in self.contract.unusable:
            raise _LeftOut(self.contract.unusable[name])
        if not identity.has_credentials:
            raise _LeftOut("each run registers it, and WFC names users that exist")
        fields = [(field, supplied(text, self.value)) for field, text in identity.headers.items()]
        if identity.api_key_env:
            fields.append(self._key(self.value(identity.api_key_env)))
        if identity.token_env:
            fields.insert(0, self._token(self.value(identity.token_env)))
        if identity.token_env or (fields and not identity.password_env and not identity.login):
            return {"fixedHeaders": _headers(fields)}
        step = self.contract.logins.get(name) or self.contract.auth.login
        if step is None:
            raise _LeftOut("no login operation is stated or recognised")
        if fields:
            names = ", ".join(field for field, _ in fields)
            self.notes.append(f"{name}: {names} is left out: an entry has header fields or a login")
        return {"loginEndpointAuth": self._login(name, identity, step)}

    def _token(self, value: str) -> tuple[str, str]:
        field = placement(self.contract.auth.scheme).field(value)
        if field is None:
            raise _LeftOut("its token is sent in the query, and WFC has fixed header fields only")
        return field

    def _key(self, value: str) -> tuple[str, str]:
        scheme = self.contract.auth.scheme
        own = Placement("header", api_key_field(self.contract.security_schemes)).notation
        field = placement(scheme if scheme.startswith("apiKey") else own).field(value)
        if field is None:
            raise _LeftOut("its API key is sent in the query, and WFC has fixed header fields only")
        return field

    def _login(self, name: str, identity: Identity, step: Step) -> dict[str, Any]:
        if step.operation.method not in VERBS:
            raise _LeftOut(f"WFC has no {step.operation.method}")
        said: dict[str, Any] = {"endpoint": step.operation.path, "verb": step.operation.method}
        if step.headers:
            said["headers"] = _headers([(field, supplied(text, self.value)) for field, text in step.headers.items()])
        return {**said, **self._payload(identity, step), **self._credential(name, step)}

    def _payload(self, identity: Identity, step: Step) -> dict[str, Any]:
        if step.body is None:
            return {}
        user = supplied(identity.user or "", self.value)
        password = self.value(identity.password_env) if identity.password_env else ""
        members = step.body if isinstance(step.body, Mapping) else {}
        fields = {text: member for member, text in members.items() if isinstance(text, str)}
        plain = step.media_type == FORM or step.media_type == "application/json"
        if plain and fields.keys() == {"$user", "$password"} and len(members) == 2:
            named = {"username": user, "password": password}
            named |= {"usernameField": fields["$user"], "passwordField": fields["$password"]}
            return {"contentType": step.media_type, "payloadUserPwd": named}
        body = _filled(step.body, {"$user": user, "$password": password}, self.value)
        if not isinstance(body, str):
            # A placeholder must not be percent-encoded: it is replaced in the text of the file.
            body = urlencode(body, safe="${}") if step.media_type == FORM else json.dumps(body, ensure_ascii=False)
        return {"contentType": step.media_type, "payloadRaw": body}

    def _credential(self, name: str, step: Step) -> dict[str, Any]:
        if step.access in ("", COOKIE):
            if not step.access:
                self.notes.append(f"{name}: where its login gives a token is not known, so cookies are expected")
            return {"expectCookies": True}
        place = placement(step.scheme or self.contract.auth.scheme)
        if place.where == "cookie":
            raise _LeftOut("its token is sent in a cookie, and WFC has headers and the query")
        return {
            "token": {
                "extractFrom": "header" if step.access.startswith("header:") else "body",
                "extractSelector": step.access.removeprefix("header:"),
                "sendIn": place.where,
                "sendName": place.name,
                "sendTemplate": place.template,
            }
        }


def _headers(fields: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in fields]


def _filled(template: Any, names: Mapping[str, str], value: Value) -> Any:
    if isinstance(template, str):
        parts = _NAMED.split(template)
        parts[1::2] = [names[mark] for mark in parts[1::2]]
        parts[::2] = [supplied(part, value) for part in parts[::2]]
        return "".join(parts)
    if isinstance(template, Mapping):
        return {key: _filled(item, names, value) for key, item in template.items()}
    return [_filled(item, names, value) for item in template] if isinstance(template, (list, tuple)) else template
