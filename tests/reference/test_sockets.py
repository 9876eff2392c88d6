"""What only a real server on a real socket shows: framing, slow clients, workers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest

pytestmark = pytest.mark.live
HOST = b"Host: shop.test\r\n"


def send(url: str, *parts: bytes, wait: float = 0.7) -> tuple[bytes, bool]:
    """What comes back for these octets, and whether the server closed the connection."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.settimeout(wait)
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
            while chunk := connection.recv(65536):
                received += chunk
        except TimeoutError:
            return received, False
        except ConnectionError:
            pass
        return received, True


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def problem(answer: bytes) -> dict:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    return json.loads(body)


@pytest.fixture(scope="module")
def url(serve: Callable[..., str]) -> str:
    return serve(read_timeout=1.0)


def test_the_head_of_a_request(url) -> None:
    get = b"GET /health HTTP/1.1\r\n"
    cases = {
        "no Host": (get + b"\r\n", 400),
        "two Hosts": (get + HOST + HOST + b"\r\n", 400),
        "space before the colon": (get + HOST + b"X-A : 1\r\n\r\n", 400),
        "NUL in a value": (get + HOST + b"X-A: a\0b\r\n\r\n", 400),
        "two lengths": (b"POST /health HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        "not ASCII": (b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        "get in lower case": (b"get /health HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        "absolute form": (b"GET http://shop.test/health?x=1 HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        "the server as a whole": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 204),
        "64 KiB target": (b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        "64 KiB field": (get + HOST + b"X-A: " + b"a" * 65536 + b"\r\n\r\n", 431),
        "400 KB of fields": (get + HOST + b"X-A: " + b"a" * 400_000 + b"\r\n\r\n", 431),
        "200 fields": (get + HOST + b"".join(b"X-%d: 1\r\n" % number for number in range(200)) + b"\r\n", 431),
        "encoded NUL": (b"GET /api/v1/%00 HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        "odd encodings": (b"GET /api/v1/%zz/..%2f%5c HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    }
    for name, (octets, expected) in cases.items():
        answer, _ = send(url, octets, wait=0.4)
        assert status(answer) == expected, name
        if expected >= 400:
            assert problem(answer)["status"] == expected, name


def test_nothing_is_smuggled(url) -> None:
    marker = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
    head = b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    answer, closed = send(url, head + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + marker)
    assert (status(answer), closed, answer.count(b"HTTP/1.1")) == (400, True, 1)
    answer, closed = send(url, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
    assert (status(answer), closed) == (400, True)


def test_answers_without_content_have_none(url) -> None:
    head, get = (method + b" /health HTTP/1.1\r\n" + HOST + b"\r\n" for method in (b"HEAD", b"GET"))
    answer, _ = send(url, head + get)
    first, rest = answer.split(b"\r\n\r\n", 1)
    assert b"content-length: 15" in first
    assert rest.startswith(b"HTTP/1.1 200")
    options, _ = send(url, b"OPTIONS /health HTTP/1.1\r\n" + HOST + b"\r\n" + get)
    first, rest = options.split(b"\r\n\r\n", 1)
    assert status(first) == 204
    assert b"content-length" not in first.lower()
    assert b"transfer-encoding" not in first.lower()
    assert rest.startswith(b"HTTP/1.1 200")


def test_connections_survive_errors(url) -> None:
    post = (
        b"POST /api/v1/products HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    answer, closed = send(url, post + b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (status(answer), answer.count(b"HTTP/1.1"), closed) == (401, 2, False)


def test_expectation_is_met_only_for_those_who_may(url) -> None:
    body = b"Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert status(send(url, b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + body)[0]) == 100
    assert status(send(url, b"POST /api/v1/products HTTP/1.1\r\n" + HOST + body)[0]) == 401


def test_large_bodies_are_not_read(url) -> None:
    head = b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    answer, closed = send(url, head + b"Content-Length: 16777216\r\n\r\n{")
    assert (status(answer), closed) == (413, True)
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    answer, closed = send(url, head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 17)
    assert (status(answer), closed) == (413, True)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"GET /health HTTP/1.1\r\nHost: sh",
        b"POST /api/v1/auth/login HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["silence", "half a head", "half a body"],
)
def test_slow_clients_are_cut(url, octets) -> None:
    begun = time.monotonic()
    answer, closed = send(url, octets, wait=5)
    assert closed
    assert 0.8 < time.monotonic() - begun < 3
    assert status(answer) == 408
    assert problem(answer)["status"] == 408


def test_the_rest_of_a_refused_body_may_not_drip(url) -> None:
    place = urlsplit(url)
    head = (
        b"POST /api/v1/products HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/json\r\nContent-Length: 90000\r\n\r\n"
    )
    begun = time.monotonic()

    def drip(connection: socket.socket) -> None:
        while time.monotonic() < begun + 6:
            connection.sendall(b" ")
            time.sleep(0.1)

    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(head)
        assert status(connection.recv(65536)) == 401
        with pytest.raises(ConnectionError):
            drip(connection)
    assert time.monotonic() - begun < 4


def test_a_refused_body_in_flight_leaves_the_connection_usable(url) -> None:
    head = (
        b"POST /api/v1/products HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/json\r\nContent-Length: 500000\r\n\r\n"
    )
    answer, closed = send(url, head, b" " * 500_000, b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (status(answer), answer.count(b"HTTP/1.1"), closed) == (401, 2, False)


def test_slow_clients_hold_nobody_up(url) -> None:
    place = urlsplit(url)
    slow = [socket.create_connection((place.hostname, place.port)) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
    try:
        assert httpx.get(f"{url}/health", timeout=1).status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_forwarded_addresses_are_not_believed(serve) -> None:
    url = serve(profile="shipped")
    with httpx.Client(base_url=url) as client:
        answers = [
            client.post("/api/v1/auth/login", json={}, headers={"X-Forwarded-For": f"10.0.0.{number}"})
            for number in range(11)
        ]
    assert answers[-1].status_code == 429
    assert "server" not in answers[0].headers


def test_workers_without_services_share_key_accounts_and_tables(serve) -> None:
    url = serve(workers=2)
    body = {"email": "kim@example.test", "password": "correct horse battery"}
    assert httpx.post(f"{url}/api/v1/auth/register", json=body).status_code == 201
    token = httpx.post(f"{url}/api/v1/auth/login", json=body).json()["access_token"]
    for _ in range(8):  # a new connection each time, so that both workers are met
        answer = httpx.get(f"{url}/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


def test_kept_connections_are_quick_in_workers_too(serve) -> None:
    url = serve(workers=2)
    with httpx.Client(base_url=url) as client:
        client.get("/health")
        took = []
        for _ in range(20):
            begun = time.perf_counter()
            client.get("/health")
            took.append(time.perf_counter() - begun)
    assert sorted(took)[10] < 0.03, "each answer waits for a delayed acknowledgement (40 ms): TCP_NODELAY is not set"
