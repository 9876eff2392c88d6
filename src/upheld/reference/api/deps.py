"""What endpoints are given: the services, and parameters that several of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Header, Query, Request, Response

from upheld.reference.components import Components
from upheld.reference.core import conditions
from upheld.reference.core.problems import MEDIA_TYPE
from upheld.reference.schemas.base import TextInteger
from upheld.reference.services.products import Representation


async def components(request: Request) -> Components:
    found: Components = request.app.state.components
    return found


Services = Annotated[Components, Depends(components)]

Limit = Annotated[int, Query(ge=1, le=100, description="At most so many items."), TextInteger]
Offset = Annotated[int, Query(ge=0, le=100_000, description="Items to leave out."), TextInteger]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match", max_length=1000, description="Entity tags that the client has; 304 if one is current."
    ),
]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that are particular to an operation; those that all share are added with the document."""
    return {status: {"content": {MEDIA_TYPE: {}}} for status in statuses}


def link(request: Request, response: Response, **relations: Mapping[str, object] | None) -> None:
    """RFC 8288 links to other pages: the request's own query with some parameters changed. Path only: no Host in it, and not
    ``request.url``, which is made from the Host field."""
    links = [
        f'<{request.scope["path"]}?{urlencode({**request.query_params, **changes})}>; rel="{relation}"'
        for relation, changes in relations.items()
        if changes is not None
    ]
    if links:
        response.headers["Link"] = ", ".join(links)


def conditional(request: Request, answer: Representation, cache_control: str, headers: Mapping[str, str]) -> Response:
    """200, or 304 when the client has this representation already (RFC 9110 §15.4.5 names the fields it keeps)."""
    fields = {"ETag": answer.etag, "Cache-Control": cache_control, **headers}
    field = ", ".join(request.headers.getlist("if-none-match")) or None
    if not conditions.none_match(field, answer.etag):
        return Response(status_code=304, headers=fields)
    return Response(answer.body, media_type="application/json", headers=fields)
