"""Plain HTTP for the few requests before and after a load: one connection, standard library, no redirect, no proxy."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit

from upheld.errors import TargetUnreachable
from upheld.exchange import Headers, NotJson, Response

BODY_BOUND = 4 * 1024 * 1024
LONGEST_WAIT = 65.0


@dataclass(slots=True)
class Plain:
    """Asks the service at ``base_url``. A 429 or 503 that says when to come back is waited for, ``patience`` times at most."""

    base_url: str
    timeout: float = 15.0
    patience: int = 2
    sent: int = 0
    sleep: Callable[[float], object] = time.sleep
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def __enter__(self) -> Plain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        """The answer. Raises `TargetUnreachable` when nobody listens; status 0 when the connection broke."""
        for attempt in range(self.patience + 1):
            response = self._ask(method, target, headers, body)
            if response.status not in (429, 503) or attempt == self.patience:
                break
            seconds = _seconds(response.headers.get("retry-after", ""))
            if seconds is None:
                break
            self.sleep(seconds)
        return response

    def _ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        fields = {"User-Agent": "upheld", "Accept": "*/*", **headers}
        fresh = self._connection is None
        try:
            connection = self._connected()
            self.sent += 1
            began = time.monotonic()
            connection.request(method, target, body=body, headers=fields)
            answer = connection.getresponse()
            content = answer.read(BODY_BOUND)
            if answer.will_close or not answer.isclosed():
                self.close()
            return Response(answer.status, _headers(answer), content, elapsed=time.monotonic() - began)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # A kept connection may have been closed just now; a fresh one tells for certain.
            if not fresh:
                return self._ask(method, target, headers, body)
            return Response(0, body=f"{type(error).__name__}: {error}".encode())

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            parts = urlsplit(self.base_url)
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            connection = kind(parts.hostname or "", parts.port, timeout=self.timeout)
            try:
                connection.connect()
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                with contextlib.suppress(OSError):
                    connection.close()
                raise TargetUnreachable(f"{self.base_url}: {error.strerror or error}") from error
            self._connection = connection
        return self._connection


def _headers(answer: http.client.HTTPResponse) -> Headers:
    return Headers(answer.getheaders())


def _seconds(text: str) -> float | None:
    """Retry-After as delay-seconds (RFC 9110 §10.2.3); None for a date, nonsense or more than we wait."""
    return float(text) if text.strip().isdecimal() and int(text) <= LONGEST_WAIT else None


def json_at(response: Response, pointer: str) -> object:
    """The value at a JSON Pointer (RFC 6901) in the body; None when there is none."""
    try:
        value = response.json()
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            value = value[int(name)] if isinstance(value, list) else value[name]
    except (NotJson, LookupError, TypeError, ValueError):
        return None
    found: object = value
    return found
