"""The OAuth 2 authorization server."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from upheld.reference.api.access import User
from upheld.reference.api.deps import Services, errors
from upheld.reference.api.route import ContractRoute
from upheld.reference.core import form, media
from upheld.reference.core.oauth_errors import OAuthError
from upheld.reference.core.problems import UNKNOWN_CLIENT, Problem
from upheld.reference.schemas.oauth import AccessToken, TokenRequest

router = APIRouter(prefix="/oauth", tags=["oauth"], route_class=ContractRoute)


async def token_request(request: Request) -> TokenRequest:
    # Read here and not by FastAPI: what is wrong with it is told in OAuth's words and not in a 422.
    media.require_form(request.headers)
    try:
        parameters = form.pairs(await request.body())
        if form.repeated(parameters):
            raise OAuthError("invalid_request", "A parameter is repeated.")
        return TokenRequest.model_validate(dict(parameters))
    except form.MalformedForm:
        raise OAuthError("invalid_request", "The body is not a form in UTF-8.") from None
    except ValidationError:
        raise OAuthError("invalid_request", "There is no grant_type, or a parameter is too long.") from None


@router.post("/token", operation_id="token", response_model_exclude_none=True, responses=errors(401))
async def token(
    request: Request, asked: Annotated[TokenRequest, Depends(token_request)], services: Services
) -> AccessToken:
    """Trade a code, a refresh token or the client's own credentials for an access token.

    A confidential client authenticates with Basic or with client_secret in the form, a public one only names itself.
    Using a code or a refresh token a second time ends all tokens that came of it.
    """
    authorization = request.headers.getlist("authorization")
    client = services.clients.authenticate(authorization, asked.client_id, asked.client_secret)
    return await services.oauth.grant(client, asked)


@router.get(
    "/authorize", operation_id="authorize", status_code=303, response_class=RedirectResponse, responses=errors(400)
)
async def authorize(request: Request, caller: User, services: Services) -> Response:
    """Let a client act for the user, and send the user back to it with a code.

    There is no page to sign in and to consent on: the user is whoever the access token of the login names, and asking is
    consenting. The answer is a redirect also where something is wrong, with ``error`` in place of ``code``; not so
    where the client or its redirect_uri is not known.
    """
    try:
        parameters = form.pairs(request.scope["query_string"])
    except form.MalformedForm:
        raise Problem(UNKNOWN_CLIENT, "The query is not a form in UTF-8.") from None
    # RFC 9700 §4.12: 303, with which no browser repeats a body.
    return RedirectResponse(await services.oauth.authorize(caller, parameters), 303)
