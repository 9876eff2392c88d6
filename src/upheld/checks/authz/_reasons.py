"""Why a request was refused with 403: who asked, or what was asked for."""

from __future__ import annotations

from upheld.check import Lane, send
from upheld.exchange import Request, Response
from upheld.steps import Move, family_at, tidy

PAST_THE_ROLE = frozenset({400, 409, 410, 412, 415, 422, 428})
"""Answers to what a request says. Where another role's same request is refused with 403, whoever gets one is past that."""


def about_what_it_says(lane: Lane, request: Request) -> Move:
    """``about = yield from about_what_it_says(lane, request)``: what of a refused request may be why; empty where only the caller is left.

    "A request might be forbidden for reasons unrelated to the credentials" (RFC 9110 §15.5.4): some services say 403 of whatever does
    not exist, so as not to tell. An empty body that gets further shows that it was not the caller.
    """
    operation = lane.operation
    for parameter in operation.path_parameters:
        if family_at(lane.contract, operation, parameter.name) is None:
            return f"{{{parameter.name}}}, for which no existing value is known"
    if operation.body is None or not request.body:
        return ""
    response: Response = yield from send(request.with_json({}))
    yield from tidy(lane, operation, response, request.session)
    return (
        f"what the body says: an empty one gets {response.status}"
        if response.status in PAST_THE_ROLE or response.ok
        else ""
    )
