"""A given URL: whom we may talk to, and why we cannot."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from upheld.errors import HarnessError, TargetUnreachable, UsageError
from upheld.targets.ports import free_port
from upheld.targets.url import Url, checked, is_loopback


@contextmanager
def peer(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something that listens and does this to each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def answer(status: int) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n".encode())

    return behave


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.8.7", "::1", "localhost", "LOCALHOST.", "api.localhost", "::ffff:127.0.0.1"]
)
def test_names_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "0.0.0.0", "example.com", "localhost.example.com", "127.0.0.1.example.com", "::2"]
)
def test_names_that_may_be_another_machine(host: str) -> None:
    assert not is_loopback(host)


def test_another_host_needs_the_option_which_the_error_names() -> None:
    with pytest.raises(UsageError, match=r"--allow-host api\.example\.com.*allow_host: \[api\.example\.com\]"):
        Url("https://api.example.com")
    assert Url("https://api.example.com/", allow_hosts=["API.example.com"]).url == "https://api.example.com"


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://127.0.0.1/?a=b",
        "/x",
    ],
)
def test_what_is_no_base_url(url: str) -> None:
    with pytest.raises(UsageError, match="target"):
        checked(url)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as raised:
        checked("http://admin:hunter2@127.0.0.1")
    assert "hunter2" not in str(raised.value)


def test_the_base_path_stays() -> None:
    assert checked("http://127.0.0.1:8000/shop/") == "http://127.0.0.1:8000/shop"


@pytest.mark.live
@pytest.mark.parametrize("status", [200, 404, 500])
def test_whatever_answers_in_http_can_be_tested(status: int) -> None:
    with peer(answer(status)) as url, Url(url) as running:
        assert running.url == url
        assert running.alive()
        assert running.can == frozenset()
        assert running.output == ""
        with pytest.raises(HarnessError, match="cannot be restarted"):
            running.restart()


@pytest.mark.live
def test_nobody_listens() -> None:
    with pytest.raises(TargetUnreachable, match="refused: nothing listens"), Url(f"http://127.0.0.1:{free_port()}"):
        pass


@pytest.mark.live
def test_it_hangs() -> None:
    release = threading.Event()
    with peer(lambda _: release.wait(10) and None) as url:
        with pytest.raises(TargetUnreachable, match=r"does not answer within 0\.2 s"), Url(url, timeout=0.2):
            pass
        release.set()


@pytest.mark.live
def test_it_speaks_something_else() -> None:
    def banner(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        connection.recv(4096)

    with peer(banner) as url, pytest.raises(TargetUnreachable, match=r"does not speak HTTP.*SSH-2"), Url(url):
        pass


@pytest.mark.live
def test_it_closes_at_once() -> None:
    with (
        peer(lambda connection: connection.recv(4096) and None) as url,
        pytest.raises(TargetUnreachable, match="closes the connection"),
        Url(url),
    ):
        pass


@pytest.mark.live
def test_https_to_a_plain_port() -> None:
    with peer(answer(400)) as url, pytest.raises(TargetUnreachable, match="TLS"), Url(url.replace("http:", "https:")):
        pass


@pytest.mark.live
def test_a_target_that_goes_away_is_not_alive() -> None:
    with peer(answer(200)) as url:
        running = Url(url).open()
    assert not running.alive()
