"""Puts another limiter, and the fields that tell of it, into the sample shop: for examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upheld.checks.ratelimit._limiters import Limiter, Make, TokenBucket
from upheld.exchange import Request, Response

if TYPE_CHECKING:
    from upheld.sample import Shop

LOGIN = "POST /auth/login 10/60s"
QUOTA, WINDOW = 10, 60.0


@dataclass(frozen=True, slots=True)
class State:
    """What a limiter knows after a request."""

    left: int
    """Requests that it would still admit."""
    seconds: int
    """Whole seconds until it admits the next."""
    admitted: bool
    now: int
    """Seconds since 1970."""


Tell = Callable[[State], Mapping[str, str]]
"""The header fields of an answer."""


def refusals_say(state: State) -> Mapping[str, str]:
    """Retry-After, and nothing else."""
    return {} if state.admitted else {"Retry-After": str(max(1, state.seconds))}


def draft_10(state: State) -> Mapping[str, str]:
    """RateLimit-Policy and RateLimit as draft-ietf-httpapi-ratelimit-headers-10 writes them."""
    told = {
        "RateLimit-Policy": f'"login";q={QUOTA};w={WINDOW:.0f}',
        "RateLimit": f'"login";r={state.left};t={state.seconds}',
    }
    return {**told, **refusals_say(state)}


def limited(make: Make = TokenBucket, tell: Tell = refusals_say, begins: float = 0.0) -> Callable[[Shop], None]:
    """The sample shop with this limiter before its login, for each address."""

    def change(shop: Shop) -> None:
        limiters: dict[str, Limiter] = {}
        answer, elsewhere = shop._answer, shop._limited
        told: Mapping[str, str] = {}

        def check(request: Request) -> Response | None:
            nonlocal told
            if not request.path.endswith("/auth/login"):
                told = {}
                return elsewhere(request)
            limiter = limiters.setdefault(shop.address, make(QUOTA, WINDOW, begins))
            admitted = limiter.room(shop.now) >= 1 - 1e-9
            limiter.note(shop.now, admitted)
            left = max(0, math.floor(limiter.room(shop.now) + 1e-9))
            told = tell(State(left, math.ceil(limiter.wait(shop.now) - 1e-9), admitted, shop.time))
            return None if admitted else _with(Response.problem(429), told)

        setattr(shop, "_limited", check)  # noqa: B010 - a method, on purpose
        setattr(shop, "_answer", lambda request: _with(answer(request), told))  # noqa: B010

    return change


def _with(response: Response, fields: Mapping[str, str]) -> Response:
    headers = response.headers
    for name, value in fields.items():
        headers = headers.with_(name, value)
    return Response(response.status, headers, response.body)
