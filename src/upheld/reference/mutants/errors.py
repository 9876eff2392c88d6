"""Defects of error answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upheld.reference.core.problems import VALIDATION, Problem, pointer
from upheld.reference.schemas.orders import SalesReport, SalesRow

from . import Answer, Context, Mutant

ORDERS = "/api/v1/orders/"
NOTHING_SOLD = SalesRow(group="nothing", orders=0, units=0, revenue_cents=0)


def read_bodies_through(ctx: Context, change: Callable[[bytes], bytes]) -> None:
    """Let every request body pass through ``change`` on its way to the routes, below all layers."""
    ctx.app.router.middleware_stack = _Bodies(ctx.app.router.middleware_stack, change)


class _Fault(BaseException):
    """Carries what ``change`` raised past FastAPI, which takes every Exception while it reads a body for the client's."""


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
            try:
                changed = self.change(bytes(body))
            except Exception as error:
                raise _Fault from error
            MutableHeaders(scope=scope)["content-length"] = str(len(changed))
            whole = {"type": "http.request", "body": changed, "more_body": False}
            return whole

        try:
            await self.app(scope, receive_changed, send)
        except _Fault as fault:
            raise RuntimeError("the body could not be changed") from fault.__cause__


def _of_status(ctx: Context, status: int, change: Callable[[dict[str, Any]], None], under: str = "/") -> None:
    """Change the problem documents of one status, below one path."""

    def altered(scope: Mapping[str, Any], answer: Answer) -> Answer:
        if answer.status != status or not answer.body or not scope["path"].startswith(under):
            return answer
        document = json.loads(answer.body)
        change(document)
        return answer.with_body(json.dumps(document).encode())

    ctx.alter(altered)


def _one_without_handler(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        missing = answer.status == 404 and scope["path"].startswith(ORDERS)
        return answer.with_body(b'{"detail":"Not Found"}', "application/json") if missing else answer

    ctx.alter(change)


def _status_copied(ctx: Context) -> None:
    _of_status(ctx, 404, lambda problem: problem.update(status=400), ORDERS)


def _title_with_detail(ctx: Context) -> None:
    _of_status(ctx, 404, lambda problem: problem.update(title="There is no such order"), ORDERS)


def _pointers_to_the_whole(ctx: Context) -> None:
    def change(problem: dict[str, Any]) -> None:
        for entry in problem.get("errors", ()):
            entry["pointer"] = "#/body"

    _of_status(ctx, 422, change)


def _empty_405(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        return answer.with_body(b"").without("content-type") if answer.status == 405 else answer

    ctx.alter(change)


def _negotiation_alone(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        return answer.with_body(b'{"error":"not acceptable"}', "application/json") if answer.status == 406 else answer

    ctx.alter(change)


def _driver_speaks(ctx: Context) -> None:
    text = "No row was found when one was required [SQL: SELECT orders.id FROM orders WHERE orders.id = ?]"
    _of_status(ctx, 404, lambda problem: problem.update(detail=text), ORDERS)


def _nothing_is_an_object(ctx: Context) -> None:
    read_bodies_through(ctx, lambda body: body or b"{}")


def _walked_without_bound(ctx: Context) -> None:
    def walk(value: Any) -> None:
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    def change(body: bytes) -> bytes:
        try:
            walk(json.loads(body))
        except ValueError:
            return body
        return body

    read_bodies_through(ctx, change)


def _exception_told(ctx: Context) -> None:
    async def sales(start: date, end: date, group_by: str) -> SalesReport:
        found: SalesReport = await original(start, end, group_by)
        try:
            sum(row.revenue_cents / (row.units - row.units) for row in [*found.rows, NOTHING_SOLD])
        except ZeroDivisionError as error:
            raise Problem.of_status(500, f"{type(error).__name__}: {error}") from error
        return found

    original = ctx.replace(ctx.parts.orders, "sales", sales)


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
        name="errors/one-without-handler",
        requirement="errors/problem-json",
        says='A missing order is {"detail": "Not Found"} as application/json: one exception never got its handler.',
        apply=_one_without_handler,
    ),
    Mutant(
        name="errors/status-copied",
        requirement="errors/members",
        says="The problem document of a missing order says status 400.",
        apply=_status_copied,
    ),
    Mutant(
        name="errors/title-with-detail",
        requirement="errors/stable-type",
        says="The problem document of a missing order has a title of its own, and the type about:blank.",
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
        apply=_empty_405,
    ),
    Mutant(
        name="errors/negotiation-alone",
        requirement="errors/refusals",
        says='Content negotiation is a layer with errors of its own: a 406 is {"error": …}.',
        apply=_negotiation_alone,
        also=("errors/problem-json",),
    ),
    Mutant(
        name="errors/nothing-is-an-object",
        requirement="errors/malformed-body",
        says="No body at all is taken for an empty object, so that a PATCH without one is answered 200.",
        apply=_nothing_is_an_object,
    ),
    Mutant(
        name="errors/exception-told",
        requirement="errors/internal",
        says="The sales report divides by zero, and its 500 repeats the exception.",
        apply=_exception_told,
        also=("http/server-error",),
    ),
    Mutant(
        name="errors/driver-speaks",
        requirement="errors/leak",
        says="The problem document of a missing order repeats the statement that found none.",
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
