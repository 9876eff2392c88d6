"""The ways to be wrong on purpose, one defect each: what the checks are proven on.

A module of this package (``http.py``, ``auth.py``, …) has a tuple ``MUTANTS``; nothing else has to be told. ``apply`` is given a
``Context`` and changes ONE thing, before the application starts. Four kinds:

- change a setting or a field of a part::

      def apply(ctx): ctx.parts.cors.origins = frozenset({"https://app.example.test", "null"})

- replace a method of a part (``ctx.replace`` refuses a name that is not there, so that mutants cannot go stale)::

      def apply(ctx): ctx.replace(ctx.parts.tokens, "check_kind", lambda payload, kind: None)

- alter what is sent, whatever sent it: a pure function of the request's scope and the answer::

      def apply(ctx): ctx.alter(lambda scope, answer: answer.without("retry-after") if answer.status == 429 else answer)

- replace what a route does (the rest of the stack stays)::

      def apply(ctx): ctx.route("DELETE", "/api/v1/orders/{order_id}", endpoint)

The parts are the fields of ``upheld.reference.components.Components``.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from upheld.reference.components import Components
    from upheld.reference.core.settings import Settings


@dataclass(frozen=True)
class Mutant:
    """One defect. ``requirement`` is the check that has to see it, ``also`` those that may see it too."""

    name: str
    requirement: str
    says: str
    """What is wrong, in one sentence, for the published matrix."""
    apply: Callable[[Context], None]
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A whole response. Header names are lower case; repeated fields stay apart."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def without(self, *names: str) -> Answer:
        return replace(self, headers=tuple(item for item in self.headers if item[0] not in names))

    def with_header(self, name: str, value: str) -> Answer:
        return replace(self, headers=(*self.without(name).headers, (name, value)))

    def with_body(self, body: bytes, content_type: str | None = None) -> Answer:
        changed = replace(self, body=body)
        if self.get("content-length") is not None:
            changed = changed.with_header("content-length", str(len(body)))
        return changed if content_type is None else changed.with_header("content-type", content_type)


Alteration = Callable[[Mapping[str, Any], Answer], Answer]


@dataclass
class Context:
    """What a mutant may touch."""

    app: FastAPI
    settings: Settings
    parts: Components
    wrappers: list[Middleware] = field(default_factory=list)
    """Outermost ASGI layers, the first one outside. ``alter`` adds one; a mutant may add a class of its own."""

    def replace(self, part: object, method: str, by: Callable[..., Any]) -> Callable[..., Any]:
        """Put ``by`` in the place of a bound method, and give back the method that was there."""
        original: Callable[..., Any] = getattr(part, method)
        if not callable(original):
            raise TypeError(f"{type(part).__name__}.{method} is not a method")
        setattr(part, method, by)
        return original

    def alter(self, change: Alteration) -> None:
        """Pass every answer through ``change`` before it is sent."""
        self.wrappers.append(Middleware(_Alter, change=change))

    def route(self, method: str, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Answer this operation with another endpoint. Options are those of ``FastAPI.add_api_route``."""
        from upheld.reference.api.route import ContractRoute

        options = {"response_model": None, "include_in_schema": False, **options}
        self.app.router.add_api_route(path, endpoint, methods=[method], route_class_override=ContractRoute, **options)
        self.app.router.routes.insert(0, self.app.router.routes.pop())


class _Alter:
    def __init__(self, app: ASGIApp, *, change: Alteration) -> None:
        self.app = app
        self.change = change

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def send_altered(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            headers = tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in start["headers"]
            )
            answer = self.change(scope, Answer(start["status"], headers, bytes(body)))
            raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
            await send({**start, "status": answer.status, "headers": raw})
            await send({"type": "http.response.body", "body": answer.body})

        await self.app(scope, receive, send_altered)


class UnknownMutantError(LookupError):
    """There is no mutant of this name; the message lists near ones."""


@cache
def registry() -> Mapping[str, Mutant]:
    """All mutants by name."""
    found: dict[str, Mutant] = {}
    for module_info in pkgutil.iter_modules(__path__):
        if module_info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for mutant in module.MUTANTS:
            if mutant.name in found:
                raise ValueError(f"two mutants are called {mutant.name}")
            found[mutant.name] = mutant
    return found


def find(name: str) -> Mutant:
    """:raises UnknownMutantError: with the names that are near."""
    known = registry()
    if name in known:
        return known[name]
    folder = name.partition("/")[0]
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5) or [key for key in known if key.startswith(folder)]
    raise UnknownMutantError(f"no mutant is called {name!r}; near: {', '.join(near or sorted(known)) or 'none'}")
