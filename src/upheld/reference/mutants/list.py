"""Defects of collections."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from . import Answer, Context, Mutant

_LIMIT = re.compile(rb"(?<![^&])limit=(\d{1,12})(?![^&])")


def _asked(scope: Mapping[str, Any]) -> int | None:
    """The size of a page of products that is asked for, where it is over the maximum."""
    found = _LIMIT.search(scope["query_string"]) if scope["path"] == "/api/v1/products" else None
    return int(found[1]) if found and int(found[1]) > 100 else None


class _Unchecked:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _asked(scope) is not None:
            scope = {**scope, "query_string": _LIMIT.sub(b"limit=100", scope["query_string"])}
        await self.app(scope, receive, send)


def _any_size(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        asked = _asked(scope)
        if asked is None or answer.status != 200 or not answer.body:
            return answer
        return answer.with_body(json.dumps({**json.loads(answer.body), "limit": asked}).encode())

    ctx.alter(change)
    ctx.wrappers.append(Middleware(_Unchecked))


MUTANTS = (
    Mutant(
        "list/any-size",
        "list/page-bounds",
        "A page of products of any size is granted: the answer says that its limit is a million.",
        _any_size,
        # The contract has the maximum of the parameter and of the answer's own limit, so both are broken too.
        also=("body/response-schema", "body/invalid-input"),
    ),
)
