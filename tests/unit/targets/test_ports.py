"""Free ports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from upheld.targets import ports
from upheld.targets.ports import forwarded, free_port, is_free, listens

pytestmark = pytest.mark.live


def test_a_free_port_is_free_and_not_always_the_same() -> None:
    found = {free_port() for _ in range(20)}
    assert len(found) > 10
    assert all(is_free(port) for port in found)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_with_a_listener_is_not_free(host: str) -> None:
    with socket.create_server((host, 0)) as listener:
        assert not is_free(listener.getsockname()[1])


def test_a_port_whose_connections_linger_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            connection, _ = listener.accept()
            connection.close()
            client.recv(1)
    assert is_free(port)


def test_whose_port_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert listens(port, {os.getpid()}) is True
        assert listens(port, {1 << 30}) is False
    assert listens(port, {os.getpid()}) is None


LISTENS = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@contextmanager
def listening(program: Path, *words: str) -> Iterator[int]:
    """The port of a process that goes by the name of this program."""
    program.symlink_to(sys.executable)
    command = [str(program), "-I", "-S", "-c", LISTENS, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()


def test_a_service_of_this_machine_is_not_forwarded(tmp_path: Path) -> None:
    with listening(tmp_path / "service") as port:
        assert not forwarded(port)
    assert not forwarded(port), "nothing answers there"


def test_what_a_tunnel_listens_on_is_forwarded(tmp_path: Path) -> None:
    with listening(tmp_path / "ssh") as port, listening(tmp_path / "service") as another:
        assert forwarded(port)
        assert not forwarded(another)


def test_a_container_s_port_is_forwarded_though_who_listens_is_not_ours_to_read(tmp_path: Path) -> None:
    published = free_port()
    with listening(tmp_path / "docker-proxy", "-proto", "tcp", "-host-port", str(published)) as another:
        assert forwarded(published)
        assert not forwarded(another)


def test_where_something_answers_and_nobody_listens_it_is_the_packet_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_listening", lambda port: set())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert forwarded(listener.getsockname()[1])
    assert not forwarded(free_port())
