"""Free ports."""

from __future__ import annotations

import os
import socket

import pytest

from upheld.targets.ports import free_port, is_free, listens

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
