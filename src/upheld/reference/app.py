"""The application: every layer and handler is wired here and nowhere else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import email_validator
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from .api import health
from .api.v1.routes import admin, api_keys, auth, debug, oauth, orders, products, reports, users
from .components import HEALTH, PREFIX, Components, assemble
from .core.database import create_engine, create_tables
from .core.oauth_errors import OAuthError
from .core.problems import VALIDATION, Problem, pointer
from .core.settings import Settings
from .middleware.admission import Admission
from .middleware.boundary import Boundary
from .middleware.bounds import BodyBounds, HeadBounds
from .middleware.dispatch import Dispatch, Preflight, RouteTable
from .middleware.response_headers import ResponseHeaders
from .middleware.trace import Trace
from .mutants import Context, find
from .openapi import document

MAX_REPORTED = 20
VERSION = "1.0.0"


def create_app(settings: Settings | None = None) -> FastAPI:
    """The whole backend. Opens nothing before it is started; ``app.state.components`` holds the parts."""
    settings = settings or Settings()
    # Its documented switch: addresses under .test, .invalid and the like are addresses, and the contract's
    # "format: email" does not exclude them.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    components = assemble(settings)
    app = FastAPI(
        title="Upheld reference shop",
        summary="A small shop API that keeps the house standard.",
        version=VERSION,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.components = components
    app.openapi = lambda: document(app)  # type: ignore[method-assign]

    app.include_router(health.router)
    routers = [auth, oauth, users, api_keys, products, orders, reports, admin]
    if settings.fault_route:
        routers.append(debug)
    for module in routers:
        app.include_router(module.router, prefix=PREFIX)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(OAuthError, _on_oauth_error)

    context = Context(app, settings, components)
    if settings.mutant is not None:
        find(settings.mutant).apply(context)
    app.user_middleware[:] = [*context.wrappers, *_layers(app, components)]
    return app


def _layers(app: FastAPI, parts: Components) -> list[Middleware]:
    """From the outside in. A layer's errors are rendered by the boundary above it."""
    table = RouteTable(lambda: app.router.routes)
    # RFC 9700 §2.6: the authorization endpoint is for a browser to go to, not for scripts of other origins to fetch.
    navigated = f"{PREFIX}/oauth/authorize"
    always_on = frozenset({HEALTH, f"{PREFIX}/admin/maintenance", f"{PREFIX}/auth/login"})
    return [
        Middleware(Trace, log_requests=parts.settings.log_requests),
        Middleware(ResponseHeaders, cors=parts.cors, policy=parts.headers, without_cors=navigated),
        Middleware(Boundary, renderer=parts.renderer),
        Middleware(HeadBounds, settings=parts.settings),
        Middleware(Preflight, cors=parts.cors, table=table, without_cors=navigated),
        Middleware(Admission, reader=parts.credentials, limiter=parts.limiter),
        Middleware(Dispatch, table=table, maintenance=parts.maintenance, always_on=always_on),
        Middleware(BodyBounds, settings=parts.settings),
    ]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Components = app.state.components
    settings = parts.settings
    folder = None if settings.database_url else Path(tempfile.mkdtemp(prefix="upheld-reference-"))
    url = settings.database_url or f"sqlite+aiosqlite:///{folder}/shop.db"
    engine = create_engine(url)
    try:
        parts.database.configure(bind=engine)
        if settings.create_tables:
            await create_tables(engine)
        await parts.accounts.seed_admin(settings.admin_email, settings.admin_password.get_secret_value())
        yield
    finally:
        await engine.dispose()
        if parts.redis is not None:
            await parts.redis.aclose()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = error if isinstance(error, Problem) else Problem.of_status(error.status_code, headers=error.headers)
    return _render(request, problem)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    """Where and why, never what: the input may be a password (CWE-209)."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    reported = [{"pointer": pointer(item["loc"]), "detail": item["msg"]} for item in found[:MAX_REPORTED]]
    parts = f"{len(found)} part{'s' if len(found) > 1 else ''} of the request"
    return _render(request, Problem(VALIDATION, f"{parts} did not match the schema.", extensions={"errors": reported}))


async def _on_oauth_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OAuthError)
    return error.response()


def _render(request: Request, problem: Problem) -> Response:
    parts: Components = request.app.state.components
    return parts.renderer.render(problem, request.state.request_id)
