"""Which methods a path has: 404, 405, 501, OPTIONS, HEAD and the CORS preflight, computed over all routes of the path."""

from __future__ import annotations

from collections.abc import Callable
from re import Pattern

from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import BaseRoute, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upheld.reference.core.cors import CorsPolicy
from upheld.reference.core.problems import MAINTENANCE, Problem
from upheld.reference.services.maintenance import Maintenance

KNOWN = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class RouteTable:
    """The methods of each path, read from the routes when the first request comes."""

    def __init__(self, routes: Callable[[], list[BaseRoute]]) -> None:
        self._routes = routes
        self._table: list[tuple[Pattern[str], frozenset[str]]] | None = None

    def methods(self, path: str) -> tuple[str, ...]:
        """All methods of a path, HEAD wherever there is GET; empty for a path that does not exist."""
        if self._table is None:
            self._table = [
                (compile_path(context.path)[0], frozenset(context.methods or ()))
                for context in iter_route_contexts(self._routes())
                if context.path
            ]
        found: set[str] = set()
        for pattern, methods in self._table:
            if pattern.match(path):
                found |= methods
        if not found:
            return ()
        found |= {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())
        return tuple(method for method in _ORDER if method in found)


class Preflight:
    """Answers CORS preflights, before the limiter: they carry no credentials, and a browser sends them unasked."""

    def __init__(self, app: ASGIApp, *, cors: CorsPolicy, table: RouteTable, without_cors: str) -> None:
        self.app = app
        self.cors = cors
        self.table = table
        self.without_cors = without_cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            origin, wanted = headers.get("origin"), headers.get("access-control-request-method")
            methods = self.table.methods(scope["path"])
            if origin and wanted and methods and scope["path"] != self.without_cors:
                answer = Response(status_code=204, headers=self.cors.preflight_headers(origin, methods))
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)


class Dispatch:
    def __init__(self, app: ASGIApp, *, table: RouteTable, maintenance: Maintenance, always_on: frozenset[str]) -> None:
        self.app = app
        self.table = table
        self.maintenance = maintenance
        self.always_on = always_on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method: str = scope["method"]
        if method not in KNOWN:
            raise Problem.of_status(501, "This method is not known here.")
        methods = _ORDER if scope["path"] == "*" else self.table.methods(scope["path"])
        if not methods:
            raise Problem.of_status(404)  # a trailing slash is another path: nothing is redirected
        allow = {"Allow": ", ".join(methods)}
        if method not in methods:
            raise Problem.of_status(405, headers=allow)
        if method == "OPTIONS":  # of a path, or of "*": the server as a whole (RFC 9110 §9.3.7)
            await Response(status_code=204, headers=allow)(scope, receive, send)
            return
        if scope["path"] not in self.always_on and await self.maintenance.enabled():
            raise Problem(MAINTENANCE, "Try again later.", headers={"Retry-After": "30"})
        if method == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_content(send)
        await self.app(scope, receive, send)


def _without_content(send: Send) -> Send:
    """RFC 9110 §9.3.2: HEAD is GET "except that the server MUST NOT send content in the response"."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
