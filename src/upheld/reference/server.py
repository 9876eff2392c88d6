"""uvicorn, told what it does not do by default: hide itself, trust nobody's word on addresses, and give up on slow clients."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from .app import create_app
from .core.database import create_engine, create_tables
from .core.settings import Settings

HEAD_BUFFER = 256 * 1024
"""What h11 may hold of a request's head. Above the application's own limits, so that these answer first."""


class PunctualH11Protocol(H11Protocol):
    """uvicorn's protocol, with a deadline for the head of a request, and problem documents for what h11 refuses.

    A body that is read has its deadline in ``BodyBounds``. What is left of one after its request was answered is thrown
    away as it comes, so that the client sees the answer; it too has to come in time.
    """

    read_timeout = 30.0
    _deadline: asyncio.TimerHandle | None = None
    _discarding = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            # asyncio sets it where it made the listening socket. Those that uvicorn hands to its workers lack it, and
            # then each answer on a kept connection waits 40 ms for an acknowledgement.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._start_waiting()

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and self.conn.their_state is h11.IDLE:
            self._start_waiting()
        super().data_received(data)
        self._discarding = self._discarding and self.conn.their_state is h11.SEND_BODY
        if self.conn.their_state is not h11.IDLE and not self._discarding:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._discarding = True
            self._start_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        self._refuse(status or 400, msg)

    def _start_waiting(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.read_timeout, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self._refuse(408, "The request did not arrive in time.")

    def _refuse(self, status: int, detail: str) -> None:
        """Answer without the application and close."""
        request_id = str(uuid4())
        document = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "request_id": request_id,
        }
        body = json.dumps(document).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        headers = [*self.server_state.default_headers, *headers]
        try:
            for event in (
                h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase.encode()),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event))
        except h11.LocalProtocolError:
            pass  # an answer is half out already: closing is all that can be said
        self.transport.close()


OPTIONS: dict[str, Any] = {
    "http": PunctualH11Protocol,
    "ws": "none",
    "lifespan": "on",
    "proxy_headers": False,
    "server_header": False,
    "access_log": False,
    "log_level": "warning",
    "timeout_graceful_shutdown": 5,
    "h11_max_incomplete_event_size": HEAD_BUFFER,
}
"""What uvicorn is told, wherever it serves the backend."""


def serve(host: str, port: int, workers: int = 1) -> None:
    """Run until stopped. With several workers, what must be one for all of them is made here and handed down."""
    folder = _share(Settings()) if workers > 1 else None
    try:
        uvicorn.run(
            "upheld.reference.server:build",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            **OPTIONS,
        )
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def build() -> FastAPI:
    """What each worker starts with: settings from its environment, a log on standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    settings = Settings()
    PunctualH11Protocol.read_timeout = settings.read_timeout
    return create_app(settings)


def _share(settings: Settings) -> Path | None:
    """Keys, the first password and the database file would else be made anew by each worker."""
    shared: dict[str, Any] = {
        "JWT_KEY": settings.jwt_key.get_secret_value(),
        "ADMIN_PASSWORD": settings.admin_password.get_secret_value(),
        "OAUTH_CLIENT_SECRET": settings.oauth_client_secret.get_secret_value(),
    }
    folder = None
    if settings.database_url is None:
        folder = Path(tempfile.mkdtemp(prefix="upheld-reference-"))
        shared["DATABASE_URL"] = f"sqlite+aiosqlite:///{folder}/shop.db"
        asyncio.run(_create_tables(shared["DATABASE_URL"]))
    os.environ.update({f"UPHELD_REFERENCE_{name}": value for name, value in shared.items()})
    return folder


async def _create_tables(url: str) -> None:
    engine = create_engine(url)
    await create_tables(engine)
    await engine.dispose()
