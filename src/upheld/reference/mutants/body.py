"""Defects of what is in answers, and of which requests are taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Response
from pydantic import StringConstraints

from upheld.reference.api.access import User
from upheld.reference.api.deps import Services
from upheld.reference.core.problems import VALIDATION, Problem
from upheld.reference.schemas.accounts import ApiKeyIn, NewApiKey
from upheld.reference.schemas.base import LINE, Closed
from upheld.reference.services.principal import Principal

from . import Answer, Context, Mutant

REGISTER = "/api/v1/auth/register"


def _of_new_user(ctx: Context, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the document that registration answers."""

    def altered(scope: Mapping[str, Any], answer: Answer) -> Answer:
        if (scope["path"], answer.status) != (REGISTER, 201):
            return answer
        document = json.loads(answer.body)
        change(document)
        return answer.with_body(json.dumps(document).encode())

    ctx.alter(altered)


def _instant_without_zone(ctx: Context) -> None:
    _of_new_user(ctx, lambda user: user.update(created_at=user["created_at"].removesuffix("Z")))


def _row_instead_of_model(ctx: Context) -> None:
    _of_new_user(ctx, lambda user: user.update(login_count=3))


def _list_labelled_as_page(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        listed = (scope["path"], answer.status) == ("/api/v1/api-keys", 200)
        return answer.with_header("content-type", "text/html; charset=utf-8") if listed else answer

    ctx.alter(change)


def _no_id_without_content(ctx: Context) -> None:
    ctx.alter(lambda scope, answer: answer.without("x-request-id") if answer.status == 204 else answer)


class LaxApiKeyIn(Closed):
    name: Annotated[str, StringConstraints(max_length=100, pattern=LINE.replace("+$", "*$"))]


async def lax_create(given: LaxApiKeyIn, caller: User, services: Services, response: Response) -> NewApiKey:
    key = await services.api_keys.create(caller, ApiKeyIn.model_construct(name=given.name))
    response.headers["Location"] = f"/api/v1/api-keys/{key.id}"
    return key


def _empty_name_accepted(ctx: Context) -> None:
    ctx.route("POST", "/api/v1/api-keys", lax_create, status_code=201)


def _off_by_one(ctx: Context) -> None:
    async def create(principal: Principal, given: ApiKeyIn) -> NewApiKey:
        if len(given.name) >= 100:
            raise Problem(VALIDATION, "The name has to be shorter than 100 characters.")
        made: NewApiKey = await original(principal, given)
        return made

    original = ctx.replace(ctx.parts.api_keys, "create", create)


MUTANTS = (
    Mutant(
        name="body/instant-without-zone",
        requirement="body/response-schema",
        says="Registration sends a time without its zone, where the document says date-time.",
        apply=_instant_without_zone,
    ),
    Mutant(
        name="body/list-labelled-as-page",
        requirement="body/content-type",
        says="The list of API keys is JSON but says that it is text/html.",
        apply=_list_labelled_as_page,
    ),
    Mutant(
        name="body/no-id-without-content",
        requirement="body/response-headers",
        says="A 204 lacks the X-Request-ID that the document requires.",
        apply=_no_id_without_content,
    ),
    Mutant(
        name="body/row-instead-of-model",
        requirement="body/undeclared-property",
        says="Registration sends the database row: it has a member that the document does not declare.",
        apply=_row_instead_of_model,
        # The reference's schemas are closed, so the same member breaks them too.
        also=("body/response-schema",),
    ),
    Mutant(
        name="body/empty-name-accepted",
        requirement="body/invalid-input",
        says="The name of an API key may be empty, where the document says minLength: 1.",
        apply=_empty_name_accepted,
    ),
    Mutant(
        name="body/off-by-one",
        requirement="body/valid-input",
        says="The name of an API key may have 99 characters, where the document says maxLength: 100.",
        apply=_off_by_one,
    ),
)
