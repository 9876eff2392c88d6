"""The reference backend as a load's target, and identities that are signed in to it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.live.loading import until

from upheld.exchange import Session
from upheld.load.plain import Plain, json_at

ADMIN = ("admin@example.test", "an-admin-password-1")


@contextlib.contextmanager
def serving(**settings: str) -> Iterator[str]:
    """Its URL. With raised limits and a cheap hash, unless the settings say otherwise."""
    pytest.importorskip("fastapi")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    usual = {"PROFILE": "raised", "BCRYPT_COST": "4", "ADMIN_PASSWORD": ADMIN[1], "LOG_REQUESTS": "false"}
    environment = {**os.environ, **{f"UPHELD_REFERENCE_{name}": value for name, value in {**usual, **settings}.items()}}
    command = [sys.executable, "-m", "upheld.reference", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: _listens(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def signed_in(url: str, name: str, role: str, user: str, password: str, *, register: bool) -> Session:
    """A session of this user, who is registered first if he has to be."""
    body = json.dumps({"email": user, "password": password}).encode()
    fields = {"Content-Type": "application/json"}
    with Plain(url) as http:
        if register:
            assert http.ask("POST", "/api/v1/auth/register", fields, body).status == 201
        answer = http.ask("POST", "/api/v1/auth/login", fields, body)
    access, refresh = json_at(answer, "/access_token"), json_at(answer, "/refresh_token")
    assert isinstance(access, str)
    assert isinstance(refresh, str)
    return Session(name, role, user, password, access, refresh, (("Authorization", f"Bearer {access}"),), answer)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
