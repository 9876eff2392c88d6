"""Defects of versions."""

from __future__ import annotations

import re

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from . import Context, Mutant

_ANY_VERSION = re.compile(r"/api/v\d+/")


class _AnyVersion:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = _ANY_VERSION.sub("/api/v1/", scope["path"], count=1)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self.app(scope, receive, send)


def _any_version(ctx: Context) -> None:
    ctx.wrappers.append(Middleware(_AnyVersion))


MUTANTS = (
    Mutant(
        "version/any-version",
        "version/prefix",
        "Every version number is served by the newest version.",
        _any_version,
    ),
)
