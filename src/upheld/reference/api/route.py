"""The route class of this API: access, negotiation and strict JSON, in this order, before FastAPI's own work."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from upheld.reference.core import json_body, media

from .access import Access


class JsonRequest(Request):
    async def json(self) -> Any:
        return json_body.parse(await self.body())


class ContractRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        access = access_of(self.dependant)
        takes_body = self.body_field is not None

        async def handle(request: Request) -> Response:
            if access is not None:
                await access.admit(request)
            media.require_acceptable(request.headers)
            if takes_body:
                media.require_json(request.headers)
            return await answer(JsonRequest(request.scope, request.receive))

        return handle


def access_of(dependant: Dependant) -> Access | None:
    """The access rule of an operation, found among its dependencies; None: open to everybody."""
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, Access):
            return dependency.call
    return None
