"""Defects of statuses, methods, sizes and redirects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from upheld.reference.middleware.dispatch import RouteTable

from . import Answer, Context, Mutant


def _problem(answer: Answer, status: int) -> Answer:
    """The answer as a problem document of another status, with the header fields that it had."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "request_id": answer.get("x-request-id") or "",
    }
    problem = Answer(status, answer.headers, b"").with_body(json.dumps(document).encode(), "application/problem+json")
    return problem.with_header("content-length", str(len(problem.body)))


def _crashing_preflight(ctx: Context) -> None:
    def preflight_headers(origin: str, methods: Iterable[str]) -> dict[str, str]:
        allowed = {name: name for name in ctx.parts.cors.origins}
        found: dict[str, str] = original(allowed[origin], methods)
        return found

    original = ctx.replace(ctx.parts.cors, "preflight_headers", preflight_headers)


def _accepted_profile(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        patched = scope["method"] == "PATCH" and scope["path"] == "/api/v1/users/me" and answer.status == 200
        return Answer(202, answer.headers, answer.body) if patched else answer

    ctx.alter(change)


def _login_without_challenge(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        refused = scope["path"] == "/api/v1/auth/login" and answer.status == 401
        return answer.without("www-authenticate") if refused else answer

    ctx.alter(change)


def _allow_of_first_route(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        allow = answer.get("allow")
        if answer.status != 405 or allow is None:
            return answer
        return answer.with_header("allow", allow.split(",")[0].strip())

    ctx.alter(change)


def _wrong_method_not_found(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        return _problem(answer.without("allow"), 404) if answer.status == 405 else answer

    ctx.alter(change)


def _head_refused(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        if scope["method"] != "HEAD" or answer.status != 200:
            return answer
        refusal = Answer(405, answer.headers, b"").without("content-length", "content-type", "etag", "link")
        return refusal.with_header("allow", "GET, OPTIONS")

    ctx.alter(change)


def _trace_reflected(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        if scope["method"] != "TRACE":
            return answer
        lines = [b"TRACE " + scope["path"].encode() + b" HTTP/1.1", *(b"%b: %b" % field for field in scope["headers"])]
        return Answer(200, answer.headers, b"").with_body(b"\r\n".join(lines), "message/http")

    ctx.alter(change)


def _webhook_catch_all(ctx: Context) -> None:
    table = RouteTable(lambda: ctx.app.router.routes)

    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        if scope["method"] != "POST" or answer.status != 404 or table.methods(scope["path"]):
            return answer
        return Answer(200, answer.headers, b"").with_body(b"{}", "application/json")

    ctx.alter(change)


class _WithoutCoding:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and Headers(scope=scope).get("content-encoding") == "gzip":
            scope = {**scope, "headers": list(scope["headers"])}
            del MutableHeaders(scope=scope)["content-encoding"]
        await self.app(scope, receive, send)


def _coding_ignored(ctx: Context) -> None:
    ctx.wrappers.append(Middleware(_WithoutCoding))


def _forbidden_to_strangers(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        headers = Headers(scope=dict(scope))
        stranger = "authorization" not in headers and "x-api-key" not in headers
        # These operations document a 403, so that its being undocumented is no second defect.
        for_admins = scope["path"].startswith(("/api/v1/admin/", "/api/v1/reports/"))
        return _problem(answer, 403) if stranger and for_admins and answer.status == 401 else answer

    ctx.alter(change)


def _head_of_any_size(ctx: Context) -> None:
    ctx.parts.settings.header_limit = 1024 * 1024


def _location_without_prefix(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        location = answer.get("location")
        if answer.status != 201 or location is None:
            return answer
        return answer.with_header("location", location.removeprefix("/api/v1"))

    ctx.alter(change)


def _length_on_204(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        return answer.with_header("content-length", "16") if answer.status == 204 else answer

    ctx.alter(change)


def _redirect_to_host(ctx: Context) -> None:
    table = RouteTable(lambda: ctx.app.router.routes)

    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        path = scope["path"]
        if answer.status != 404 or not path.endswith("/") or not table.methods(path[:-1]):
            return answer
        redirect = Answer(307, answer.headers, b"").without("content-type", "content-length")
        return redirect.with_header("location", f"http://{Headers(scope=dict(scope)).get('host', '')}{path[:-1]}")

    ctx.alter(change)


MUTANTS = (
    Mutant(
        "http/crashing-preflight",
        "http/server-error",
        "A preflight of an origin that is not on the list crashes, because the list is a dictionary.",
        _crashing_preflight,
    ),
    Mutant(
        "http/accepted-profile",
        "http/undocumented-status",
        "Changing the own profile answers 202, which the contract does not list.",
        _accepted_profile,
    ),
    Mutant(
        "http/login-without-challenge",
        "http/challenge",
        "The login's 401 is raised by hand and carries no WWW-Authenticate.",
        _login_without_challenge,
        also=("body/response-headers",),
    ),
    Mutant(
        "http/allow-of-first-route",
        "http/allow",
        "A 405 lists the methods of the first route that matches the path, not those of all.",
        _allow_of_first_route,
    ),
    Mutant(
        "http/wrong-method-not-found",
        "http/method-not-allowed",
        "A method that a path does not have is answered 404 in place of 405.",
        _wrong_method_not_found,
    ),
    Mutant(
        "http/head-refused",
        "http/head-mirrors-get",
        "HEAD is answered 405, as the framework does unless it is told of each HEAD.",
        _head_refused,
    ),
    Mutant(
        "http/trace-reflected",
        "http/trace-off",
        "TRACE sends the request back, its header fields included.",
        _trace_reflected,
    ),
    Mutant(
        "http/webhook-catch-all",
        "http/unknown-route",
        "A catch-all for webhooks answers 200 to a POST of any path.",
        _webhook_catch_all,
    ),
    Mutant(
        "http/coding-ignored",
        "http/media-type",
        "Content-Encoding is ignored: octets labelled gzip are read as plain JSON.",
        _coding_ignored,
    ),
    Mutant(
        "http/forbidden-to-strangers",
        "http/refusal-status",
        "Operations of administrators answer 403 to somebody who sends no credentials.",
        _forbidden_to_strangers,
    ),
    Mutant(
        "http/head-of-any-size",
        "http/size-limits",
        "The header section may be as long as the server's buffer, not as long as the contract says.",
        _head_of_any_size,
    ),
    Mutant(
        "http/location-without-prefix",
        "http/created-location",
        "Location leads to a path without the version prefix, where nothing is.",
        _location_without_prefix,
    ),
    Mutant(
        "http/length-on-204",
        "http/empty-body",
        "A 204 announces the length of the content that it no longer has.",
        _length_on_204,
    ),
    Mutant(
        "http/redirect-to-host",
        "http/redirect-host",
        "A path with a slash too many is redirected to whatever Host the request named.",
        _redirect_to_host,
    ),
)
