"""Octets to responses, and what becomes of what is none."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest

from upheld.check import NoAnswer, Raw
from upheld.exchange import Headers, Request, Response, Session
from upheld.run.transport import BODY_BOUND, HttpTransport, Refused, read_responses

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize(
    ("data", "closed", "bodies", "rest"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", False, [b"hi"], b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", False, [b"hi"], b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, [b""], b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", False, [b"", b""], b""),
        (b"HTTP/1.0 200 OK\r\n\r\nall of it", True, [b"all of it"], b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\n\r\n", False, [b"hi"], b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\nrest", False, [b"hi"], b"rest"),
    ],
)  # fmt: skip
def test_whole_responses(data: bytes, closed: bool, bodies: list[bytes], rest: bytes) -> None:
    responses, left = read_responses(data, closed)
    assert [response.body for response in responses] == bodies
    assert left == rest


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhiho\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n",
        b"HTTP/1.1 200 OK\r\nno end of the head",
        b"HTTP/2 200\r\n\r\n",
        b"\x16\x03\x01",
        b"",
    ],
)
def test_what_is_no_whole_response(data: bytes) -> None:
    responses, rest = read_responses(data, closed=False)
    assert responses == ()
    assert rest == data


def test_the_answer_to_head_has_no_body() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
    responses, rest = read_responses(head + head, False, "HEAD")
    assert len(responses) == 2
    assert rest == b""


def _with(peer: Peer, use: Callable[[HttpTransport], Awaitable[None]], timeout: float = 2.0) -> None:
    async def work() -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await peer(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = HttpTransport(f"http://127.0.0.1:{port}", marker="m1", timeout=timeout)
        try:
            await use(transport)
        finally:
            await transport.close()
            server.close()

    asyncio.run(work())


def _says(octets: bytes) -> Peer:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(octets)
        await writer.drain()

    return peer


@pytest.mark.parametrize(
    ("octets", "how"),
    [
        (b"", "closed"),
        (b"nonsense\r\n\r\n", "garbage"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "garbage"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "garbage"),
    ],
)
def test_no_answer_says_how(octets: bytes, how: str) -> None:
    async def use(transport: HttpTransport) -> None:
        with pytest.raises(NoAnswer) as told:
            await transport.send(Request("GET", "/x"), address=None)
        assert told.value.how == how

    _with(_says(octets), use)


def test_silence_is_bounded() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await reader.read()

    async def use(transport: HttpTransport) -> None:
        with pytest.raises(NoAnswer) as told:
            await transport.send(Request("GET", "/x"), address=None)
        assert told.value.how == "silent"

    _with(peer, use, timeout=0.2)


def test_nobody_listens() -> None:
    async def work() -> None:
        transport = HttpTransport("http://127.0.0.1:9", marker="m1")
        with pytest.raises(Refused):
            await transport.send(Request("GET", "/x"), address=None)
        with pytest.raises(Refused):
            await transport.raw(Raw(b"GET / HTTP/1.1\r\n\r\n"), address=None)

    asyncio.run(work())


def test_a_long_body_is_cut() -> None:
    async def use(transport: HttpTransport) -> None:
        response = await transport.send(Request("GET", "/x"), address=None)
        assert response.truncated
        assert len(response.body) == BODY_BOUND

    _with(_says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (BODY_BOUND + 9)), use, timeout=10)


@pytest.mark.parametrize(("body", "read"), [(gzip.compress(b"hello", mtime=0), b"hello"), (b"broken", b"broken")])
def test_a_coding_that_nobody_asked_for(body: bytes, read: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def use(transport: HttpTransport) -> None:
        assert (await transport.send(Request("GET", "/x"), address=None)).body == read

    _with(_says(head + body), use)


def test_a_small_body_that_unpacks_to_much_is_cut() -> None:
    body = gzip.compress(b"\0" * (BODY_BOUND * 8))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def use(transport: HttpTransport) -> None:
        assert len((await transport.send(Request("GET", "/x"), address=None)).body) == BODY_BOUND

    _with(_says(head + body), use)


def test_a_request_goes_out_as_it_is_said() -> None:
    heard: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:9/\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def use(transport: HttpTransport) -> None:
        session = Session("ann", "user", headers=(("Authorization", "Bearer one"),))
        request = Request("GET", "/a%2Fb/../c", (("q", "x y"),), Headers({"accept": "text/csv"}), session=session)
        response = await transport.send(request, address="127.0.0.1")
        assert isinstance(response, Response)
        assert response.status == 302

    _with(peer, use)
    head = heard[0].decode()
    assert head.startswith("GET /a%2Fb/../c?q=x+y HTTP/1.1\r\n")
    assert "Authorization: Bearer one\r\n" in head
    assert head.lower().count("\r\naccept:") == 1
    assert "cookie" not in head.lower()
    assert len(heard) == 1


def test_raw_octets_and_two_answers() -> None:
    async def use(transport: HttpTransport) -> None:
        answer = await transport.raw(Raw(b"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n", responses=2), address=None)
        assert [response.status for response in answer.responses] == [200, 404]
        assert answer.rest == b""

    head = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n"
    _with(_says(head % 200 + head % 404), use)
