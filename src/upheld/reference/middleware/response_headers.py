"""Security, CORS, caching and rate limit fields, on every answer: errors, refusals and crashes too."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upheld.reference.core.cors import CorsPolicy
from upheld.reference.core.headers import HeaderPolicy


class ResponseHeaders:
    def __init__(self, app: ASGIApp, *, cors: CorsPolicy, policy: HeaderPolicy, without_cors: str) -> None:
        self.app = app
        self.cors = cors
        self.policy = policy
        self.without_cors = without_cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        origin = Headers(scope=scope).get("origin")
        # Its end, because here the target of a request may still be in absolute form.
        shared = not scope["path"].endswith(self.without_cors)

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                cross_origin = self.cors.response_headers(origin) if shared else {}
                if shared:
                    headers.add_vary_header(cross_origin.pop("Vary", "Origin"))
                decision = scope["state"].get("decision")
                headers.update(cross_origin | self.policy.always() | (decision.headers() if decision else {}))
                for name, value in self.policy.unless_set().items():
                    headers.setdefault(name, value)
                if message["status"] == 204:
                    del headers["content-type"]  # of nothing (RFC 9110 §15.3.5)
            await send(message)

        await self.app(scope, receive, send_completed)
