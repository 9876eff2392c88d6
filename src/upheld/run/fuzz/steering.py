"""What is done to a generated case before it is sent: fresh unique values, ids that exist, nothing that names our own accounts.

Runs inside the engine's process and knows the case only by its parts, so that it is tested without the engine.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from upheld.run.fuzz import uniques

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
MOST_LOGINS = 5
"""Logins of the throw-away account: each costs the service a hash."""
KEPT_IDS = 100
"""Ids that are remembered for one family; older ones are likelier to be gone."""


class Steering:
    """The state of one run: the counter of unique values and the ids that are known to exist."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self._job = job
        self._unique: Mapping[str, list[dict[str, Any]]] = job["unique"]
        self._keys: Mapping[str, dict[str, Any]] = job["keys"]
        self._paths: Mapping[str, dict[str, list[str]]] = job["paths"]
        self._bodies: Mapping[str, list[list[str]]] = job["bodies"]
        self._protected = frozenset(job["protected"])
        self._danger = [(method, re.compile(regex)) for method, regex in job["danger"]]
        self.known: dict[str, deque[Any]] = {}
        for member, ids in job["known"].items():
            self.known[member] = deque(ids, maxlen=KEPT_IDS)
        self.credentials: Mapping[str, str] = {}
        """``$user`` and ``$password`` of a throw-away account that may be signed in again."""
        self._logins = MOST_LOGINS
        self._refresh_tokens: deque[str] = deque(maxlen=MOST_LOGINS)
        self._number = 0
        self._turn = self._picked = 0

    # -- bodies ----------------------------------------------------------------------------------------------------------

    def body(self, label: str, body: Any, *, positive: bool, is_boundary: bool) -> Any:
        """The body with fresh unique values and, when the case is meant to be valid, ids that exist.

        A value that its schema would refuse is left alone: it is what the case is about.
        """
        for field in self._unique.get(label, ()):

            def stamped(value: Any, field: dict[str, Any] = field) -> Any:
                if not uniques.fits(value, field):
                    return value
                return self._another(value, field, keep_length=is_boundary)

            body = at(body, steps(field["path"]), stamped)
        if positive:
            for pointer, member in self._bodies.get(label, ()):

                def existing(value: Any, member: str = member) -> Any:
                    kind = "integer" if isinstance(value, int) else "string"
                    if isinstance(value, (bool, dict, list)) or value is None:
                        return value
                    return self._pick(member, kind, value)

                body = at(body, steps(pointer), existing)
        return body

    def headers(self, label: str, headers: Mapping[str, Any]) -> dict[str, str]:
        """Header fields to replace: a key by which the service would know another case's request again."""
        field = self._keys.get(label)
        if field is None:
            return {}
        return {
            name: self._another(value, field, keep_length=False)
            for name, value in headers.items()
            if name.lower() == field["path"].lower() and uniques.fits(value, field)
        }

    def _another(self, value: Any, field: Mapping[str, Any], *, keep_length: bool) -> Any:
        self._number += 1
        return uniques.fresh(value, field, self._job["token"], self._number, keep_length=keep_length)

    def unprotected(self, method: str, body: Any) -> Any:
        """The body of an unsafe request without the names and ids of our own accounts."""
        if method in SAFE or not isinstance(body, dict) or not self._protected:
            return body
        named = [
            name for name, value in body.items() if isinstance(value, (str, int)) and str(value) in self._protected
        ]
        return {**body, **{name: self._nobody(body[name]) for name in named}} if named else body

    def session(self, label: str, body: Any) -> Any:
        """The body of a valid login or renewal with credentials that work, a few times: nobody guesses those.

        Tokens to be renewed come from such logins alone, so that a reuse that the service detects ends no session of ours.
        """
        login, refresh = self._job["login"], self._job["refresh"]
        if login is not None and label == login["label"] and self._logins > 0 and self.credentials:
            self._logins -= 1
            return _filled(body, login["fields"], self.credentials)
        if refresh is not None and label == refresh["label"] and self._refresh_tokens:
            return _filled(body, refresh["fields"], {"$refresh": self._refresh_tokens.popleft()})
        return body

    # -- paths -----------------------------------------------------------------------------------------------------------

    def path(self, label: str, method: str, values: Mapping[str, Any], *, may_choose: bool) -> dict[str, Any]:
        """Path parameters to replace: by ids that exist where the case leaves the path free, and never by our own."""
        changes: dict[str, Any] = {}
        families = self._paths.get(label, {})
        for name, (member, kind) in families.items():
            if may_choose and name in values:
                chosen = self._pick(member, kind, values[name], spare=method == "DELETE")
                if chosen != values[name]:
                    changes[name] = chosen
        if method not in SAFE:
            for name, value in {**values, **changes}.items():
                if str(value) in self._protected:
                    changes[name] = self._nobody(value)
        return changes

    def is_dangerous(self, label: str, method: str, path: str) -> bool:
        """Whether the filled path is that of an operation which is never sent, reached through another one's template."""
        return any(
            method == verb and f"{verb} {path}" != label and regex.fullmatch(path) for verb, regex in self._danger
        )

    def elsewhere(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Path parameters that lead nowhere."""
        return {name: self._nobody(value) for name, value in values.items()}

    def is_known(self, label: str, values: Mapping[str, Any]) -> bool:
        """Whether every id in the path is one that was seen to exist. True for paths without ids."""
        families = self._paths.get(label, {})
        return all(
            str(values.get(name)) in map(str, self.known.get(member, ())) for name, (member, _) in families.items()
        )

    def names_only_known(self, label: str, body: Any) -> bool:
        """Whether every reference in the body is to a thing that was seen to exist."""
        seen: list[bool] = []
        for pointer, member in self._bodies.get(label, ()):

            def look(value: Any, member: str = member) -> Any:
                seen.append(value is None or str(value) in map(str, self.known.get(member, ())))
                return value

            at(body, steps(pointer), look)
        return all(seen)

    def _pick(self, member: str, kind: str, value: Any, *, spare: bool = False) -> Any:
        ids = self.known.get(member)
        if not ids or (spare and len(ids) < 3):
            return value
        self._turn += 1
        # Every third case keeps what was generated: an unknown id is worth a case too.
        if self._turn % 3 == 0:
            return value
        self._picked += 1
        chosen = ids[-1 - self._picked % min(len(ids), 10)]
        if kind == "integer":
            text = str(chosen)
            return int(text) if text.lstrip("-").isdigit() else value
        return str(chosen)

    def _nobody(self, value: Any) -> Any:
        self._number += 1
        if isinstance(value, int) and not isinstance(value, bool):
            return 900_000_000 + self._number
        text = str(value)
        if "@" in text:
            return f"{self._job['token']}{self._number}@example.com"
        if text.isdigit():
            return str(900_000_000 + self._number)
        field = {"kind": "uuid" if uniques.fits(text, {"kind": "uuid"}) else "text", "min": 1}
        return str(uniques.fresh(text, field, self._job["token"], self._number))

    # -- what answers tell -----------------------------------------------------------------------------------------------

    def learn(
        self, label: str, method: str, status: int, values: Mapping[str, Any], answer: Callable[[], Any], location: str
    ) -> None:
        """Remember ids that an answer shows to exist, forget those that it shows to be gone."""
        if not 200 <= status < 300:
            return
        for step in (self._job["login"], self._job["refresh"]):
            if step is not None and step["label"] == label and step["refresh"]:
                self._refresh_tokens.extend(
                    token for token in pointed(answer(), step["refresh"]) if isinstance(token, str)
                )
        made = self._job["makers"].get(label)
        if made is not None:
            identifier = next(iter(pointed(answer(), made[1])), None)
            if identifier is None and location:
                identifier = location.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
            self._remember(made[0], identifier)
            return
        listed = self._job["lists"].get(label)
        if listed is not None and len(self.known.get(listed[0], ())) < KEPT_IDS // 2:
            for members in pointed(answer(), listed[1]):
                for member in members[:5] if isinstance(members, list) else ():
                    self._remember(listed[0], next(iter(pointed(member, listed[2])), None))
            return
        if method == "DELETE":
            for name, (member, _) in self._paths.get(label, {}).items():
                ids = self.known.get(member, deque())
                gone = [i for i in ids if str(i) == str(values.get(name))]
                for identifier in gone:
                    ids.remove(identifier)

    def _remember(self, member: str, identifier: Any) -> None:
        if identifier is None or isinstance(identifier, (bool, dict, list)) or str(identifier) in self._protected:
            return
        ids = self.known.setdefault(member, deque(maxlen=KEPT_IDS))
        if identifier not in ids:
            ids.append(identifier)


def _filled(body: Any, fields: Mapping[str, str], values: Mapping[str, str]) -> Any:
    for pointer, word in fields.items():
        if word in values:
            body = at(body, steps(pointer), partial(_constant, values[word]))
    return body


def _constant(value: Any, _: Any) -> Any:
    return value


def steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def at(value: Any, path: list[str], change: Callable[[Any], Any]) -> Any:
    """The value with ``change`` applied where the path leads; ``*`` is every item. Only what changes is copied."""
    if not path:
        return change(value)
    step, rest = path[0], path[1:]
    if step == "*" and isinstance(value, list):
        return [at(item, rest, change) for item in value]
    if isinstance(value, dict) and step in value:
        inner = at(value[step], rest, change)
        return value if inner is value[step] else {**value, step: inner}
    return value


def pointed(value: Any, pointer: str | None) -> Iterator[Any]:
    """The value at a JSON Pointer, if it is there."""
    for step in steps(pointer or ""):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return
    yield value
