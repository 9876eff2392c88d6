"""Requests, responses and exchanges as frozen values. No I/O, standard library only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlencode

HeaderPairs = tuple[tuple[str, str], ...]


class Headers(Mapping[str, str]):
    """Header fields in wire order; names compare without case (RFC 9110 §5.1).

    ``headers["x"]`` joins repeated fields with ``", "`` as RFC 9110 §5.3 allows; ``headers.all("x")`` keeps them apart.
    """

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
        self._pairs: HeaderPairs = tuple((str(name), str(value)) for name, value in items)
        # Two dozen observers ask each answer for its fields, many of them for the same ones.
        self._values: dict[str, tuple[str, ...]] = {}
        for name, value in self._pairs:
            key = name.lower()
            self._values[key] = (*self._values.get(key, ()), value)

    @property
    def pairs(self) -> HeaderPairs:
        return self._pairs

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of the field, one for each field line."""
        return self._values.get(name.lower(), ())

    def __getitem__(self, name: str) -> str:
        values = self.all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({list(self._pairs)!r})"

    def with_(self, name: str, value: str | None) -> Headers:
        """A copy in which the field has this one value, or is absent when ``value`` is None."""
        kept = tuple((k, v) for k, v in self._pairs if k.lower() != name.lower())
        return Headers(kept if value is None else (*kept, (name, value)))


class NotJson(ValueError):
    """The body is not RFC 8259 JSON; the message says where and why."""


def _refuse_constant(name: str) -> Any:
    raise NotJson(f"{name} is not JSON (RFC 8259 §6)")


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in identity. ``name`` is safe to print; the rest is secret."""

    name: str
    role: str
    user: str = field(repr=False, default="")
    password: str = field(repr=False, default="")
    access: str | None = field(repr=False, default=None)
    refresh: str | None = field(repr=False, default=None)
    headers: HeaderPairs = field(repr=False, default=())
    """The fields that authenticate a request of this session (``Authorization`` or an API key)."""
    answer: Response | None = field(repr=False, default=None)
    """The login's own response, for checks that judge tokens."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. ``path`` is the full path on the target, percent-encoded, without the query."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Headers = field(default_factory=Headers)
    body: bytes | None = None
    session: Session | None = None
    """Whose credentials the driver adds; None sends none."""
    operation: str | None = None
    """Label of the contract's operation that this request means to reach, ``"GET /api/v1/items/{id}"``."""

    @property
    def target(self) -> str:
        """Path and query as they stand in the request line."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def with_headers(self, **fields: str | None) -> Request:
        """A copy with these fields set (``_`` in a name stands for ``-``), or removed where the value is None."""
        headers = self.headers
        for name, value in fields.items():
            headers = headers.with_(name.replace("_", "-"), value)
        return replace(self, headers=headers)

    def as_(self, session: Session | None) -> Request:
        """A copy sent with the credentials of ``session``; None takes them away."""
        return replace(self, session=session)

    def with_json(self, value: Any) -> Request:
        """A copy whose body is ``value`` as JSON with its Content-Type."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return replace(self, body=body, headers=self.headers.with_("Content-Type", "application/json"))

    def with_(self, **changes: Any) -> Request:
        """A copy with these fields replaced."""
        return replace(self, **changes)

    def json(self) -> Any:
        """The body parsed. Raises `NotJson`."""
        return parse_json(self.body or b"")


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. ``elapsed`` is in seconds from the first octet sent to the last one read."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    elapsed: float = 0.0
    at: float = 0.0
    """Seconds since the run began, when the answer was complete."""
    truncated: bool = False
    """The body was longer than the driver's bound; the rest was not read."""

    @property
    def media_type(self) -> str:
        """Type and subtype in lower case, without parameters; empty when there is no Content-Type."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_json(self) -> bool:
        """The media type says JSON: ``application/json`` or a ``+json`` suffix (RFC 6839 §3.1)."""
        return self.media_type == "application/json" or self.media_type.endswith("+json")

    def json(self) -> Any:
        """The body parsed strictly (no NaN or Infinity). Raises `NotJson`."""
        return parse_json(self.body)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @classmethod
    def of(cls, status: int, json_body: Any = None, **headers: str) -> Response:
        """A response for examples: ``Response.of(404, {...}, content_type="application/problem+json")``."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if json_body is None:
            return cls(status, Headers(fields))
        fields.setdefault("content-type", "application/json")
        return cls(status, Headers(fields), json.dumps(json_body).encode())

    @classmethod
    def problem(cls, status: int, title: str = "", **headers: str) -> Response:
        """A conforming problem document (RFC 9457) for examples."""
        from http import HTTPStatus

        document = {"type": "about:blank", "title": title or HTTPStatus(status).phrase, "status": status}
        headers.setdefault("content_type", "application/problem+json")
        return cls.of(status, document, **headers)


Intent = Literal["valid", "invalid"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with its answer, as every observer sees it."""

    request: Request
    response: Response
    phase: str = "check"
    """``check`` (a dialogue sent it), ``fuzz`` or ``load``."""
    source: str = ""
    """Which dialogue or engine scenario sent it; a replay of that source repeats this exchange."""
    intent: Intent | None = None
    """Whether the request was made to satisfy or to break the contract's schema; None when nobody says."""
    broken: str = ""
    """Where an ``invalid`` request breaks the schema, in words."""

    @property
    def operation(self) -> str | None:
        return self.request.operation


def parse_json(body: bytes) -> Any:
    """Parse RFC 8259 JSON strictly. Raises `NotJson`."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
