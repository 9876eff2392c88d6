"""Bounds on what is read: the head of a request here, its body as it comes in."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upheld.reference.core.problems import Problem
from upheld.reference.core.settings import Settings


class HeadBounds:
    """414, 431 and what smells of smuggling; and the absolute form of a request target."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._check(scope)
            scope = self._origin_form(scope)
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if target > self.settings.url_limit:
            # RFC 9112 §3: a target longer than the server wishes to parse MUST be answered with 414.
            raise Problem.of_status(414, f"The request target may have {self.settings.url_limit} octets.")
        fields = scope["headers"]
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in fields}:
            # RFC 9112 §6.1: such a request "might indicate an attempt to perform request smuggling"; whatever is done
            # with it, the server MUST close the connection after responding.
            raise Problem.of_status(400, "The length of the body is given twice.", headers={"Connection": "close"})
        size = sum(len(name) + len(value) + 4 for name, value in fields)
        if size > self.settings.header_limit or len(fields) > self.settings.header_count_limit:
            raise Problem.of_status(431, "The header fields are too many or too long.")

    @staticmethod
    def _origin_form(scope: Scope) -> Scope:
        # RFC 9112 §3.2.2: "a server MUST accept the absolute-form in requests even though most ... will only send".
        path: str = scope["path"]
        if not path.lower().startswith(("http://", "https://")):
            return scope
        raw_path: bytes = scope.get("raw_path") or path.encode()
        return {
            **scope,
            "path": urlsplit(path).path or "/",
            "raw_path": urlsplit(raw_path).path or b"/",
        }


class BodyBounds:
    """413 and 408. Nothing is read until somebody asks for it, and no more than the limit then."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "")
        expected = int(declared) if declared.isdecimal() else None
        limit = self.settings.body_limit
        read, complete = 0, expected == 0 or (expected is None and "transfer-encoding" not in headers)
        deadline = asyncio.get_running_loop().time() + self.settings.read_timeout

        async def receive_bounded() -> Message:
            nonlocal read, complete
            if expected is not None and expected > limit:
                raise _too_large(limit)
            try:
                async with asyncio.timeout_at(None if complete else deadline):
                    message = await receive()
            except TimeoutError:
                raise Problem.of_status(
                    408, "The body did not arrive in time.", headers={"Connection": "close"}
                ) from None
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                complete = complete or not message.get("more_body", False)
                if read > limit:
                    raise _too_large(limit)
            return message

        async def send_closing(message: Message) -> None:
            # RFC 9112 §9.3: to reuse a connection a server MUST read the whole body or close. Small rests are
            # thrown away by the server; a large one is not worth reading.
            if message["type"] == "http.response.start" and not complete and (expected is None or expected > limit):
                message.setdefault("headers", [])
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self.app(scope, receive_bounded, send_closing)


def _too_large(limit: int) -> Problem:
    return Problem.of_status(413, f"A body may have {limit} octets.", headers={"Connection": "close"})
