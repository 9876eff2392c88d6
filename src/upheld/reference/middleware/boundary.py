"""Where every error becomes a problem document, whoever raised it."""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upheld.reference.core.problems import QUOTA_EXCEEDED, Problem, ProblemRenderer
from upheld.reference.core.rate_limit import QuotaExceededError

log = logging.getLogger("upheld.reference")


class Boundary:
    def __init__(self, app: ASGIApp, *, renderer: ProblemRenderer) -> None:
        self.app = app
        self.renderer = renderer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def send_watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_watched)
        except Exception as error:
            if begun:
                raise  # half an answer is out: all that is left is to close the connection
            problem = self._problem(error, scope)
            await self.renderer.render(problem, scope["state"]["request_id"])(scope, receive, send)

    def _problem(self, error: Exception, scope: Scope) -> Problem:
        if isinstance(error, Problem):
            return error
        if isinstance(error, QuotaExceededError):
            scope["state"]["decision"] = error.decision
            return Problem(
                QUOTA_EXCEEDED,
                f"Try again in {error.decision.retry_after} s.",
                extensions={"violated-policies": [error.decision.rule.name]},
            )
        # What went wrong is for us: the client gets an id to quote (RFC 9457 §5, CWE-209).
        log.error("request %s failed", scope["state"]["request_id"], exc_info=error)
        return Problem.of_status(500)
