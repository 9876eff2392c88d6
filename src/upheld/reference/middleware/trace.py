"""A request id on every answer, and one structured line a request in the log."""

from __future__ import annotations

import json
import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("upheld.reference.requests")

# A client's id is kept only if it cannot break a log line or a header (CWE-117).
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Trace:
    def __init__(self, app: ASGIApp, *, log_requests: bool) -> None:
        self.app = app
        self.log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        offered = Headers(scope=scope).get("x-request-id", "")
        request_id = offered if _ACCEPTABLE_ID.fullmatch(offered) else str(uuid4())
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status, begun = 0, time.perf_counter()

        async def send_traced(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_traced)
        finally:
            if self.log_requests:
                # No query, no headers, no body: that is where secrets are.
                line = {
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round((time.perf_counter() - begun) * 1000, 1),
                    "request_id": request_id,
                    "client": (scope.get("client") or ("",))[0],
                    "subject": state.get("subject"),
                }
                log.info("%s", json.dumps(line))
