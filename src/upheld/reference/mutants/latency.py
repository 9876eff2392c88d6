"""Defects that show when many ask at once, or when time is looked at."""

from __future__ import annotations

import asyncio
import re
from itertools import count

import bcrypt
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from upheld.reference.core.security import PASSWORD_MAX_BYTES

from . import Context, Mutant

_PRODUCT = re.compile(r"/api/v1/products/[^/]+")


def _on_the_loop(ctx: Context) -> None:
    async def verify(password: str, digest: str | None) -> bool:
        known = (digest or "$2b$12$" + "." * 53).encode()
        return bcrypt.checkpw(password.encode()[:PASSWORD_MAX_BYTES], known) and digest is not None

    ctx.replace(ctx.parts.hasher, "verify", verify)


class _Leaking:
    """A request that finds the pool empty opens a connection more, and every later one looks through all that were opened."""

    pool, each = 4, 0.004

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.inside = self.opened = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != "/api/v1/products" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        self.inside += 1
        try:
            self.opened += self.inside > self.pool
            await asyncio.sleep(self.opened * self.each)
            await self.app(scope, receive, send)
        finally:
            self.inside -= 1


class _Slow:
    """One product is read in a third of a second."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and _PRODUCT.fullmatch(scope["path"]):
            await asyncio.sleep(0.35)
        await self.app(scope, receive, send)


class _Failing:
    """Every tenth product that is read is answered 500."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.turns = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reads = scope["type"] == "http" and scope["method"] == "GET" and _PRODUCT.fullmatch(scope["path"])
        if reads and next(self.turns) % 10 == 0:
            problem = {"type": "about:blank", "title": "Internal Server Error", "status": 500}
            answer = JSONResponse(problem, 500, media_type="application/problem+json")
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _leaking(ctx: Context) -> None:
    ctx.wrappers.append(Middleware(_Leaking))


def _slow(ctx: Context) -> None:
    ctx.wrappers.append(Middleware(_Slow))


def _failing(ctx: Context) -> None:
    ctx.wrappers.append(Middleware(_Failing))


MUTANTS = (
    Mutant(
        name="latency/hash-on-the-loop",
        requirement="latency/hashing-blocks-nobody",
        says="Passwords are verified on the event loop, and everybody waits until they are.",
        apply=_on_the_loop,
    ),
    Mutant(
        name="latency/connections-left-open",
        requirement="latency/recovers",
        says="A request that finds the pool empty opens a connection more, and every later request looks through all of them.",
        apply=_leaking,
    ),
    Mutant(
        name="latency/slow-product",
        requirement="latency/p95",
        says="Reading one product takes a third of a second.",
        apply=_slow,
    ),
    Mutant(
        name="latency/tenth-product-fails",
        requirement="latency/error-rate",
        says="Every tenth product that is read is answered 500.",
        apply=_failing,
        # The same answer, seen as it passes.
        also=("http/server-error",),
    ),
)
