"""Defects of error answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upheld.reference.core.problems import VALIDATION, Problem, pointer
from upheld.reference.schemas.accounts import ProfilePatch, UserOut
from upheld.reference.services.principal import Principal

from . import Answer, Context, Mutant


def read_bodies_through(ctx: Context, change: Callable[[bytes], bytes]) -> None:
    """Let every request body pass through ``change`` on its way to the routes, below all layers."""
    ctx.app.router.middleware_stack = _Bodies(ctx.app.router.middleware_stack, change)


class _Bodies:
    def __init__(self, app: ASGIApp, change: Callable[[bytes], bytes]) -> None:
        self.app = app
        self.change = change

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS", "DELETE"):
            await self.app(scope, receive, send)
            return
        whole: Message | None = None

        async def receive_changed() -> Message:
            nonlocal whole
            if whole is not None:
                return await receive()
            body, more = bytearray(), True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    return message
                body += message.get("body", b"")
                more = message.get("more_body", False)
            changed = self.change(bytes(body))
            MutableHeaders(scope=scope)["content-length"] = str(len(changed))
            whole = {"type": "http.request", "body": changed, "more_body": False}
            return whole

        await self.app(scope, receive_changed, send)


def _of_status(ctx: Context, status: int, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the problem documents of one status."""

    def altered(scope: Mapping[str, Any], answer: Answer) -> Answer:
        if answer.status != status or not answer.body:
            return answer
        document = json.loads(answer.body)
        change(document)
        return answer.with_body(json.dumps(document).encode())

    ctx.alter(altered)


def _conflicts_of_the_framework(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        return answer.with_body(b'{"detail":"Conflict"}', "application/json") if answer.status == 409 else answer

    ctx.alter(change)


def _status_copied(ctx: Context) -> None:
    _of_status(ctx, 409, lambda problem: problem.update(status=400))


def _title_with_detail(ctx: Context) -> None:
    def change(problem: dict[str, Any]) -> None:
        if problem["type"] == "about:blank":
            problem["title"] = "There is no such thing here"

    _of_status(ctx, 404, change)


def _pointers_to_the_whole(ctx: Context) -> None:
    def change(problem: dict[str, Any]) -> None:
        for entry in problem.get("errors", ()):
            entry["pointer"] = "#/body"

    _of_status(ctx, 422, change)


def _without_content(ctx: Context, status: int) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        return answer.with_body(b"").without("content-type") if answer.status == status else answer

    ctx.alter(change)


def _driver_speaks(ctx: Context) -> None:
    text = 'duplicate key value violates unique constraint "uq_products_sku"'
    _of_status(ctx, 409, lambda problem: problem.update(detail=text))


def _replaced_octets(ctx: Context) -> None:
    read_bodies_through(ctx, lambda body: body.decode("utf-8", "replace").encode())


def _walked_without_bound(ctx: Context) -> None:
    def walk(value: Any) -> None:
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    def change(body: bytes) -> bytes:
        if body.count(b"[") + body.count(b"{") > 3000:
            # What json.loads does with such a body, and what the walk would do with its result.
            raise RecursionError("maximum recursion depth exceeded")
        try:
            walk(json.loads(body))
        except ValueError:
            return body
        return body

    read_bodies_through(ctx, change)


def _exception_told(ctx: Context) -> None:
    async def change_profile(principal: Principal, patch: ProfilePatch) -> UserOut:
        try:
            if "name" in patch.model_fields_set:
                patch.name.strip()  # type: ignore[union-attr]
        except AttributeError as error:
            raise Problem.of_status(500, f"{type(error).__name__}: {error}") from error
        changed: UserOut = await original(principal, patch)
        return changed

    original = ctx.replace(ctx.parts.accounts, "change_profile", change_profile)


def _input_quoted(ctx: Context) -> None:
    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        reported = [
            {"pointer": pointer(item["loc"]), "detail": f"{item['msg']}, not {item.get('input')!a}"[:2000]}
            for item in error.errors()[:20]
        ]
        problem = Problem(VALIDATION, "The request did not match the schema.", extensions={"errors": reported})
        return ctx.parts.renderer.render(problem, request.state.request_id)

    ctx.app.add_exception_handler(RequestValidationError, on_validation_error)


MUTANTS = (
    Mutant(
        name="errors/conflicts-of-the-framework",
        requirement="errors/problem-json",
        says='A 409 is {"detail": …} as application/json: one exception never got its handler.',
        apply=_conflicts_of_the_framework,
    ),
    Mutant(
        name="errors/status-copied",
        requirement="errors/members",
        says="The problem document of a 409 says status 400.",
        apply=_status_copied,
    ),
    Mutant(
        name="errors/title-with-detail",
        requirement="errors/stable-type",
        says="A 404 of the type about:blank has a title of its own.",
        apply=_title_with_detail,
    ),
    Mutant(
        name="errors/pointers-to-the-whole",
        requirement="errors/pointers",
        says="Faults of a body point at the whole body.",
        apply=_pointers_to_the_whole,
    ),
    Mutant(
        name="errors/empty-405",
        requirement="errors/router",
        says="The router answers 405 without any content.",
        apply=lambda ctx: _without_content(ctx, 405),
    ),
    Mutant(
        name="errors/empty-415",
        requirement="errors/refusals",
        says="A media type that is not taken is refused without any content.",
        apply=lambda ctx: _without_content(ctx, 415),
    ),
    Mutant(
        name="errors/replaced-octets",
        requirement="errors/malformed-body",
        says="Octets that are no UTF-8 are replaced before the body is read, and the result is stored.",
        apply=_replaced_octets,
    ),
    Mutant(
        name="errors/exception-told",
        requirement="errors/internal",
        says="PATCH /users/me with name null fails, and the 500 repeats the exception.",
        apply=_exception_told,
        also=("http/server-error",),
    ),
    Mutant(
        name="errors/driver-speaks",
        requirement="errors/leak",
        says="A 409 repeats the words of the database.",
        apply=_driver_speaks,
    ),
    Mutant(
        name="errors/input-quoted",
        requirement="errors/echo",
        says="Faults of a body quote the input, the password too.",
        apply=_input_quoted,
    ),
    Mutant(
        name="errors/walked-without-bound",
        requirement="errors/hostile-depth",
        says="A layer walks through bodies without a bound on their depth and runs out of stack.",
        apply=_walked_without_bound,
        also=("http/server-error",),
    ),
)
