"""How a generator asks: through Locust's session, and, to know its own noise, a service that answers at once in its own process.
Runs in the child process only: it needs Locust, imported before anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from gevent.server import StreamServer
from geventhttpclient.url import URL
from locust import event
from locust.contrib.fasthttp import FastHttpSession, LocustBadStatusCode, LocustUserAgent

from upheld.load.driver import Answer

CONNECTIONS = 900
"""Most connections at once: geventhttpclient asks select() whether one is alive, which ends at descriptor 1,023."""
ANSWER_WITHIN = 60.0

# Follow no redirect. Said for each request, allow_redirects=False is not safe in parallel: it changes the shared client.
LocustUserAgent.redirect_response_codes = frozenset()


class Client:
    """Asks one service. ``request_event`` is Locust's, where its own figures are to have the requests too."""

    def __init__(self, base_url: str, request_event: Any) -> None:
        self._session: Any = FastHttpSession(
            base_url=base_url,
            request_event=_Relay(request_event),
            user=None,
            insecure=False,
            concurrency=CONNECTIONS,
            max_redirects=0,
            max_retries=0,
            connection_timeout=ANSWER_WITHIN,
            network_timeout=ANSWER_WITHIN,
        )
        agent = self._session.client
        # Cookies would go from one identity to another.
        agent.cookiejar = None
        pool: Any = agent.clientpool.get_client(URL(base_url))._connection_pool
        # The pool's size is also how often the client sends a request again whose connection broke: once is enough.
        pool.size = 0
        # Looking up the name for every connection costs a thread's time each, and is not what is measured.
        pool._resolve = cache(pool._resolve)

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, label: str) -> Answer:
        answer = self._send(method, path, headers, body, label)
        # A server may close an idle connection just when a request is put on it (RFC 9112 §9.3.1). Browsers and proxies send
        # again on a new one when not one octet came back; to call it the service's error would be false.
        return self._send(method, path, headers, body, label) if answer.error == "HTTPConnectionClosed" else answer

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, label: str) -> Answer:
        response = self._session.request(method, path, name=label, data=body, headers=headers)
        broken = response.broken
        if broken is not None and not isinstance(broken, LocustBadStatusCode):
            return Answer(0, type(broken).__name__)
        return Answer(response.status_code, "", response.content or b"", response.headers or {})


class _Relay:
    """Passes Locust's event of a request on, and leaves with the response what was wrong with it."""

    def __init__(self, event: Any) -> None:
        self._event = event

    def fire(self, **meta: Any) -> None:
        meta["response"].broken = meta["exception"]
        self._event.fire(**meta)


class NullService:
    """Answers every request at once, on a free port of loopback, until the process ends."""

    ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"

    def __init__(self) -> None:
        self._server = StreamServer(("127.0.0.1", 0), self._answer)
        self._server.start()
        hook: Any = event.EventHook
        self._client = Client(f"http://127.0.0.1:{self._server.server_port}", hook())

    def ask(self) -> Answer:
        return self._client.send("GET", "/", {}, None, "null")

    def close(self) -> None:
        self._server.stop()

    def _answer(self, connection: Any, address: object) -> None:
        try:
            pending = b""
            while data := connection.recv(4096):
                *whole, pending = (pending + data).split(b"\r\n\r\n")
                connection.sendall(self.ANSWER * len(whole))
        except OSError:
            pass
