"""Defects of the OAuth 2 authorization server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from upheld.reference.core.clients import Client
from upheld.reference.core.scopes import parse
from upheld.reference.schemas.oauth import AccessToken, TokenRequest
from upheld.reference.services.oauth import digest
from upheld.reference.services.principal import Principal

from . import Answer, Context, Mutant

TOKEN, AUTHORIZE = "/api/v1/oauth/token", "/api/v1/oauth/authorize"


def _own_words(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        if scope["path"] != TOKEN or answer.status != 400 or b"invalid_grant" not in answer.body:
            return answer
        return answer.with_body(json.dumps({"error": "code_expired"}).encode())

    ctx.alter(change)


def _implicit(ctx: Context) -> None:
    authorize = ctx.parts.oauth.authorize

    async def with_implicit(principal: Principal, parameters: Sequence[tuple[str, str]]) -> str:
        location: str = await authorize(principal, parameters)
        if dict(parameters).get("response_type") != "token" or "error=" not in location:
            return location
        assert principal.session_id is not None
        token = ctx.parts.tokens.issue("access", principal.user_id, principal.session_id)
        return f"{location.partition('?')[0]}#access_token={token}&token_type=Bearer"

    ctx.replace(ctx.parts.oauth, "authorize", with_implicit)


def _verifier_not_asked_for(ctx: Context) -> None:
    ctx.replace(ctx.parts.oauth, "proves", lambda code, verifier: True)


def _code_not_spent(ctx: Context) -> None:
    oauth = ctx.parts.oauth
    grant = oauth.grant

    async def forgetful(client: Client, asked: TokenRequest) -> AccessToken:
        answer: AccessToken = await grant(client, asked)
        if asked.code is not None:
            async with oauth.units.writing() as uow:
                code = await uow.codes.claim(digest(asked.code))
                assert code is not None
                code.family_id = None
                await uow.commit()
        return answer

    ctx.replace(oauth, "grant", forgetful)


def _tokens_live_on(ctx: Context) -> None:
    async def nothing(*_: Any) -> None:
        return None

    ctx.replace(ctx.parts.oauth, "end_family", nothing)


def _beginning_is_enough(ctx: Context) -> None:
    def begins(client: Client, redirect_uri: str | None) -> bool:
        return redirect_uri is not None and redirect_uri.startswith(client.redirect_uri)

    ctx.replace(ctx.parts.oauth, "redirects_to", begins)


def _scope_as_asked(ctx: Context) -> None:
    def widened(asked: str | None, granted: frozenset[str]) -> frozenset[str]:
        return granted if asked is None else parse(asked)

    ctx.replace(ctx.parts.oauth, "narrowed", widened)


def _readable_authorization(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        if scope["path"] != AUTHORIZE or not any(name == b"origin" for name, _ in scope["headers"]):
            return answer
        return answer.with_header("access-control-allow-origin", "https://app.example.test").with_header(
            "vary", "Origin"
        )

    ctx.alter(change)


MUTANTS = (
    Mutant(
        name="oauth/own-words",
        requirement="oauth/token-errors",
        says="A code that is not good is refused with the error code_expired, which no client library knows.",
        apply=_own_words,
        # The document lists the codes.
        also=("body/response-schema",),
    ),
    Mutant(
        name="oauth/implicit",
        requirement="oauth/retired-grants",
        says="The authorization endpoint still gives tokens into the redirect for response_type=token.",
        apply=_implicit,
    ),
    Mutant(
        name="oauth/verifier-not-asked-for",
        requirement="oauth/pkce",
        says="The code challenge is stored, and the verifier is never compared with it.",
        apply=_verifier_not_asked_for,
    ),
    Mutant(
        name="oauth/code-not-spent",
        requirement="oauth/code-once",
        says="A code is not marked as used when it is redeemed.",
        apply=_code_not_spent,
    ),
    Mutant(
        name="oauth/tokens-live-on",
        requirement="oauth/code-reuse",
        says="A code that comes back is refused, but the tokens that it gave go on working.",
        apply=_tokens_live_on,
    ),
    Mutant(
        name="oauth/beginning-is-enough",
        requirement="oauth/redirect-exact",
        says="The redirect_uri has to begin with the registered one.",
        apply=_beginning_is_enough,
    ),
    Mutant(
        name="oauth/scope-as-asked",
        requirement="oauth/scope-growth",
        says="A refresh gives whatever scope it asks for.",
        apply=_scope_as_asked,
    ),
    Mutant(
        name="oauth/readable-authorization",
        requirement="oauth/authorize-cors",
        says="The CORS middleware answers for the authorization endpoint as for any other.",
        apply=_readable_authorization,
        also=("cors/exposed-fields",),
    ),
)
