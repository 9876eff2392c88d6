"""The credentials of a run while it lasts: whose token is renewed when, with which request, and how that went. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from upheld.load.plan import ACCESS, UNIQUE, UNIQUE_UPPER, Plan, Renewal, Secrets, render

AGAIN = 5.0
"""Seconds until the next attempt after an answer that may pass: none, 429, 5xx."""


def escaped(name: str, value: str) -> dict[str, str]:
    """A secret under its name and as ``form name``, ready to be spliced into JSON or into a form."""
    return {name: json.dumps(value, ensure_ascii=False)[1:-1], f"form {name}": quote(value, safe="")}


class Credentials:
    """Header fields and texts of every identity, those of renewed tokens included."""

    def __init__(self, plan: Plan, secrets: Secrets) -> None:
        self.renewals = plan.renewals
        self.asked = 0
        self.renewed: Counter[str] = Counter()
        """Identity → how often it got a new token."""
        self.refused: dict[str, str] = {}
        """Identity → why it got none, for those that were refused for good or last."""
        self._headers: dict[str, tuple[tuple[str, str], ...]] = {}
        self._texts: dict[str, dict[str, str]] = {}
        for identity, known in secrets.items():
            self.take_over(identity, known)

    def headers(self, identity: str) -> tuple[tuple[str, str], ...]:
        """The fields that authenticate a request as this identity; none for nobody."""
        return self._headers.get(identity, ())

    def texts(self, person: str) -> Mapping[str, str]:
        """What may be spliced into bodies that name this person."""
        return self._texts.get(person, {})

    def take_over(self, identity: str, known: Mapping[str, Any]) -> None:
        """The secrets of an identity, as the plan came with them or as another generator has renewed them."""
        self._headers[identity] = tuple((name, value) for name, value in known.get("headers", ()))
        self._texts[identity] = {name: value for name, value in known.items() if isinstance(value, str)}

    def of(self, identity: str) -> dict[str, Any]:
        """For another generator's `take_over`."""
        return {"headers": [list(pair) for pair in self.headers(identity)], **self.texts(identity)}

    # -- renewing --------------------------------------------------------------------------------------------------------

    def request(self, renewal: Renewal, unique: str) -> tuple[str, str, dict[str, str], bytes | None]:
        """Method, path, headers and body that ask for the next token."""
        self.asked += 1
        template = renewal.template
        values = {**self.texts(renewal.identity), UNIQUE: unique, UNIQUE_UPPER: unique.upper()}
        headers = {name: render(text, values) for name, text in template.headers}
        headers.update(self.headers(template.identity))
        body = None if template.body is None else render(template.body, values).encode()
        return renewal.method, render(template.path, values), headers, body

    def book(self, renewal: Renewal, status: int, headers: Mapping[str, str], body: bytes) -> float | None:
        """What was answered (``status`` 0: nothing). Seconds until the next attempt; None when there is no sense in one."""
        identity = renewal.identity
        if status == 0 or status == 429 or status >= 500:
            self.refused[identity] = str(status or "no answer")
            return AGAIN
        access, refresh = _tokens(renewal, headers, body) if 200 <= status < 300 else (None, None)
        if access is None:
            self.refused[identity] = str(status) if not 200 <= status < 300 else f"{status} without a token"
            return None
        self.refused.pop(identity, None)
        self.renewed[identity] += 1
        field = (renewal.field, render(renewal.value, {ACCESS: access}))
        kept = tuple(pair for pair in self.headers(identity) if pair[0].lower() != renewal.field.lower())
        self._headers[identity] = (field, *kept)
        if refresh is not None:
            self._texts[identity] = {**self.texts(identity), **escaped("refresh", refresh)}
        return renewal.every

    def to_json(self) -> dict[str, Any]:
        """For the result: how many requests were spent on it, by identity how many tokens came, and whom it was refused."""
        return {"asked": self.asked, "renewed": dict(self.renewed), "refused": dict(self.refused)}


def _tokens(renewal: Renewal, headers: Mapping[str, str], body: bytes) -> tuple[str | None, str | None]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if renewal.access.startswith("header:"):
        wanted = renewal.access.removeprefix("header:").lower()
        access = next((value for name, value in headers.items() if name.lower() == wanted), None)
    else:
        access = _text(document, renewal.access)
    return access, _text(document, renewal.refresh) if renewal.refresh else None


def _text(value: Any, pointer: str) -> str | None:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value else None
