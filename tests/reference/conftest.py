"""The reference backend in this process, without sockets; and as a real process, for what only sockets show."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.services import free_port

from upheld.reference.app import create_app
from upheld.reference.components import Components
from upheld.reference.core.settings import Settings

PASSWORD = "correct horse battery"
ADMIN = {"email": "admin@example.test", "password": "admin password for tests"}
BASE: dict[str, Any] = {
    "bcrypt_cost": 4,
    "profile": "raised",
    "admin_password": ADMIN["password"],
    "log_requests": False,
    "fault_route": True,
}
PRODUCT = {"name": "Teapot", "category": "kitchen", "price_cents": 2495, "stock": 10}

_numbers = count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Shop:
    """A started backend and ways to talk to it."""

    app: FastAPI
    parts: Components

    def client(self, address: str = "10.0.0.1", **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 40000))
        return httpx.AsyncClient(transport=transport, base_url="http://shop.test", headers=headers)

    async def tokens(self, email: str | None = None) -> dict[str, Any]:
        """The answer to the login of a new user, or of this one."""
        async with self.client("10.9.9.9") as client:
            if email is None:
                email = f"user{next(_numbers)}@example.test"
                await client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD})
            password = ADMIN["password"] if email == ADMIN["email"] else PASSWORD
            answer = await client.post("/api/v1/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def user(self) -> httpx.AsyncClient:
        return self.client(Authorization=f"Bearer {(await self.tokens())['access_token']}")

    async def admin(self) -> httpx.AsyncClient:
        return self.client(Authorization=f"Bearer {(await self.tokens(ADMIN['email']))['access_token']}")

    async def product(self, **changes: Any) -> dict[str, Any]:
        async with await self.admin() as admin:
            body = {"sku": f"SKU-{next(_numbers):05}", **PRODUCT, **changes}
            answer = await admin.post("/api/v1/products", json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Shop]:
    app = create_app(Settings(**BASE | settings))
    async with app.router.lifespan_context(app):
        yield Shop(app, app.state.components)


@pytest.fixture
def shop_with() -> Callable[..., Any]:
    """``async with shop_with(mutant=…) as shop``: a backend with settings of its own."""
    return opened


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with opened() as started:
        yield started


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., str]]:
    """Start ``python -m upheld.reference`` with these settings; gives its URL."""
    running: list[subprocess.Popen[bytes]] = []

    def start(workers: int = 1, **settings: Any) -> str:
        port = free_port()
        names = {f"UPHELD_REFERENCE_{name.upper()}": str(value) for name, value in (BASE | settings).items()}
        command = [sys.executable, "-m", "upheld.reference", "--port", str(port), "--workers", str(workers)]
        running.append(subprocess.Popen(command, env=os.environ | names, stderr=subprocess.DEVNULL))
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                if httpx.get(f"{url}/health").status_code == 200:
                    return url
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError("the backend did not start")

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait(20)
