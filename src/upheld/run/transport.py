"""The only place that sends. Replaceable: a proxy that turns defects on, on the wire, is another `Transport`.

httpx's transport is used without its client: no redirects are followed, no cookie is kept, nothing is added but what is said
here, and the request target goes out as it is.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
import zlib
from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from upheld.check import NoAnswer, Raw, RawAnswer
from upheld.exchange import Headers, Request, Response

BODY_BOUND = 4 * 1024 * 1024
"""Octets of a response body that are read; the rest is left on the wire."""


class Refused(NoAnswer):
    """Nobody listens at the target's address any more."""

    def __init__(self, reason: str) -> None:
        super().__init__("closed", reason)


class Transport(Protocol):
    """Sends one request from one source address and reads its answer. Raises `NoAnswer`."""

    async def send(self, request: Request, *, address: str | None, new_connection: bool = False) -> Response: ...

    async def raw(self, action: Raw, *, address: str | None) -> RawAnswer: ...

    async def close(self) -> None: ...


class HttpTransport:
    """HTTP/1.1 over TCP or TLS to one origin; keeps one pool of connections for each source address."""

    def __init__(
        self, url: str, *, marker: str, timeout: float = 10.0, verify: bool = True, slow: Iterable[str] = ()
    ) -> None:
        parts = urlsplit(url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._url = httpx.URL(self.origin)
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.netloc = parts.netloc.rpartition("@")[2]
        self.timeout = timeout
        self.slow = frozenset(slow)
        """Operations that may take three times as long: those that hash a password, many at once, on a busy machine."""
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context()
            if not verify:
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE
        self._marker = marker
        self._pools: dict[str | None, httpx.AsyncHTTPTransport] = {}
        self._began = time.monotonic()

    async def send(self, request: Request, *, address: str | None, new_connection: bool = False) -> Response:
        if not new_connection:
            try:
                return await self._send(request, self._pool(address))
            except Refused:
                raise
            except NoAnswer as no_answer:
                if no_answer.how != "closed":
                    raise
                # The server may have closed the idle connection just then, or after an error before (RFC 9112 §9.3.1). A fresh
                # connection tells that from a request that is answered by closing.
        own = self._make_pool(address, keep=False)
        try:
            return await self._send(request, own)
        finally:
            await own.aclose()

    async def _send(self, request: Request, pool: httpx.AsyncHTTPTransport) -> Response:
        patience = self.timeout * (3 if request.operation in self.slow else 1)
        message = self._message(request, patience)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(patience):
                answer = await pool.handle_async_request(message)
                try:
                    body, truncated = await _read(answer)
                finally:
                    await answer.aclose()
        except TimeoutError:
            raise NoAnswer("silent", f"{_name(request)} got no complete answer within {patience:g} s") from None
        except httpx.ConnectError as error:
            raise Refused(f"{self.origin} refuses connections: {error}") from error
        except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
            left = "disconnected" in str(error).lower()
            raise NoAnswer(
                "closed" if left else "garbage", f"{_name(request)} was answered with what is no HTTP response: {error}"
            ) from error
        except httpx.LocalProtocolError as error:
            raise NoAnswer("garbage", f"{_name(request)} can't be sent through a client library: {error}") from error
        except (httpx.TransportError, OSError) as error:
            why = str(error) or type(error).__name__
            raise NoAnswer("closed", f"{_name(request)}: the connection ended before an answer ({why})") from error
        headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers.raw)
        body = _decoded(body, headers.get("content-encoding", ""))
        return Response(
            answer.status_code,
            headers,
            body,
            elapsed=time.perf_counter() - began,
            at=time.monotonic() - self._began,
            truncated=truncated,
        )

    def _message(self, request: Request, patience: float) -> httpx.Request:
        fields: list[tuple[bytes, bytes]] = []
        given = {name.lower() for name, _ in request.headers.pairs}
        if "host" not in given:
            fields.append((b"Host", self.netloc.encode()))
        for name, value in (
            ("Accept", "*/*"),
            ("User-Agent", f"upheld ({self._marker})"),
            ("X-Upheld-Run", self._marker),
        ):
            if name.lower() not in given:
                fields.append((name.encode(), value.encode()))
        if request.session is not None:
            fields.extend(
                (name.encode("latin-1"), value.encode("utf-8"))
                for name, value in request.session.headers
                if name.lower() not in given
            )
        fields.extend(
            (name.encode("latin-1", "replace"), value.encode("utf-8", "surrogateescape"))
            for name, value in request.headers.pairs
        )
        content = request.body
        if content is not None and "content-length" not in given and "transfer-encoding" not in given:
            fields.append((b"Content-Length", str(len(content)).encode()))
        elif content is None and request.method in ("POST", "PUT", "PATCH") and "content-length" not in given:
            fields.append((b"Content-Length", b"0"))
        target = request.target.encode("utf-8", "surrogateescape")
        message = httpx.Request(
            request.method,
            self._url,
            headers=[],
            stream=httpx.ByteStream(content or b""),
            extensions={
                "target": target,
                "timeout": dict.fromkeys(("connect", "read", "write", "pool"), patience),
            },
        )
        message.headers = httpx.Headers(fields)
        return message

    def _pool(self, address: str | None) -> httpx.AsyncHTTPTransport:
        if address not in self._pools:
            self._pools[address] = self._make_pool(address, keep=True)
        return self._pools[address]

    def _make_pool(self, address: str | None, *, keep: bool) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=4 if keep else 0, keepalive_expiry=4.0)
        verify: Any = self._tls if self._tls is not None else _NO_TLS
        return httpx.AsyncHTTPTransport(
            local_address=address,
            limits=limits,
            verify=verify,
            trust_env=False,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    async def raw(self, action: Raw, *, address: str | None) -> RawAnswer:
        data = action.data.replace(b"{host}", self.netloc.encode())
        method = data.split(b" ", 1)[0].decode("latin-1")
        local = (address, 0) if address else None
        try:
            async with asyncio.timeout(self.timeout):
                reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self._tls, local_addr=local)
        except (OSError, TimeoutError) as error:
            raise Refused(f"{self.origin} refuses connections: {error}") from error
        received = bytearray()
        closed = False
        began = time.perf_counter()
        writing = asyncio.create_task(_write(writer, data))
        try:
            async with asyncio.timeout(action.timeout):
                while len(received) < BODY_BOUND:
                    chunk = await reader.read(65536)
                    if not chunk:
                        closed = True
                        break
                    received += chunk
                    if action.responses and _complete(bytes(received), method, action.responses):
                        break
        except TimeoutError:
            pass
        except OSError:
            closed = True
        finally:
            writing.cancel()
            writer.close()
        at = time.monotonic() - self._began
        responses, rest = read_responses(bytes(received), closed, method, time.perf_counter() - began, at)
        return RawAnswer(responses, closed, rest)

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()


_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Making a context costs 10 ms and more; plain HTTP needs none, but httpx makes one unless it is given."""


def _name(request: Request) -> str:
    return request.operation or f"{request.method} {request.path[:80]}"


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    try:
        writer.write(data)
        await writer.drain()
    except OSError:
        return  # the peer closed while we wrote; what it answered is read by the other side


async def _read(answer: httpx.Response) -> tuple[bytes, bool]:
    body = bytearray()
    assert isinstance(answer.stream, httpx.AsyncByteStream)
    async for chunk in answer.stream:
        body += chunk
        if len(body) > BODY_BOUND:
            return bytes(body[:BODY_BOUND]), True
    return bytes(body), False


def _decoded(body: bytes, coding: str) -> bytes:
    """The body without gzip or deflate, which some servers apply unasked; as it came where that fails."""
    window = {"gzip": 31, "x-gzip": 31, "deflate": 15}.get(coding.strip().lower())
    if window is None or not body:
        return body
    try:
        return zlib.decompressobj(window).decompress(body, BODY_BOUND)
    except zlib.error:
        return body


_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?$", re.DOTALL)
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r?\n")


_REQUEST = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.[01]\r?\n")


def request_of(data: bytes) -> Request | None:
    """The request that octets begin with, as far as a limiter can tell whose it is; None when they begin with none."""
    start = _REQUEST.match(data)
    if start is None:
        return None
    lines = data[start.end() :].partition(b"\r\n\r\n")[0].decode("latin-1").splitlines()
    fields = [line.partition(":") for line in lines]
    path = start.group(2).decode("latin-1").partition("?")[0]
    return Request(
        start.group(1).decode(), path, headers=Headers((name.strip(), value.strip()) for name, _, value in fields)
    )


def _complete(data: bytes, method: str, wanted: int) -> bool:
    """Whether so many whole final responses stand in ``data``, so that no time-out has to be waited for."""
    responses, rest = read_responses(data, False, method)
    return not rest and sum(response.status >= 200 for response in responses) >= wanted


def read_responses(
    data: bytes, closed: bool, method: str = "GET", elapsed: float = 0.0, at: float = 0.0
) -> tuple[tuple[Response, ...], bytes]:
    """Split octets into whole responses (RFC 9112 §6.3) and the rest that is none."""
    responses: list[Response] = []
    while data:
        start = _HEAD.match(data)
        end = data.find(b"\r\n\r\n")
        if start is None or end < 0:
            break
        status = int(start.group(1))
        fields = [line.partition(b":") for line in data[start.end() : end].split(b"\r\n") if line]
        headers = Headers((name.decode("latin-1"), value.strip().decode("latin-1")) for name, _, value in fields)
        body, after = _body(data[end + 4 :], headers, status, method, closed)
        if body is None:
            break
        responses.append(Response(status, headers, body, elapsed, at))
        data = after
    return tuple(responses), data


def _body(data: bytes, headers: Headers, status: int, method: str, closed: bool) -> tuple[bytes | None, bytes]:
    if status < 200 or status in (204, 304) or method == "HEAD":
        return b"", data
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _chunks(data)
    lengths = {length.strip() for length in headers.get("content-length", "").split(",")}
    length = lengths.pop() if len(lengths) == 1 else ""
    if re.fullmatch(r"[0-9]{1,15}", length):
        wanted = int(length)
        return (data[:wanted], data[wanted:]) if len(data) >= wanted else (None, data)
    return (data, b"") if closed else (None, data)


def _chunks(data: bytes) -> tuple[bytes | None, bytes]:
    body = bytearray()
    rest = data
    while True:
        line, found, rest = rest.partition(b"\r\n")
        size = _CHUNK.match(line)
        if not found or size is None:
            return None, data
        length = int(size.group(1), 16)
        if length == 0:
            return _trailed(bytes(body), rest, data)
        if len(rest) < length + 2 or rest[length : length + 2] != b"\r\n":
            return None, data
        body += rest[:length]
        rest = rest[length + 2 :]


def _trailed(body: bytes, rest: bytes, data: bytes) -> tuple[bytes | None, bytes]:
    """Behind the last chunk: trailer fields, which are passed over, and an empty line."""
    while True:
        line, found, rest = rest.partition(b"\r\n")
        if not found:
            return None, data
        if not line:
            return body, rest
