"""No token comes by a grant that was retired.

## What it requires

The service declares neither the password grant nor the implicit grant, and its authorization endpoint gives no access token into
a redirect.

## Why

The password grant shows the user's password to every client; the implicit grant puts tokens into addresses, where histories, logs
and other pages find them. RFC 9700 ended both.

## What it sends

Nothing, where the document itself declares them. Else, with a stated client: one authorization request with
`response_type=token`, as a user who is signed in.

## Example of a breach

`GET /oauth/authorize?response_type=token` redirects to `…/back#access_token=…`.

## When to waive it

For first-party logins that FastAPI declares as a password flow (`OAuth2PasswordBearer`), once, with that reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
    SHOULD,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subject,
    Subjects,
    send,
)
from upheld.exchange import Request
from upheld.steps.oauth import Client, authorization_request, oauth_client, sent_back, somebody

if TYPE_CHECKING:
    from typing import Any

    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="No token comes by a grant that was retired",
    level=SHOULD,
    clause=Clause(
        "RFC 9700 §2.4, §2.1.2",
        "https://www.rfc-editor.org/rfc/rfc9700#section-2.4",
        "The resource owner password credentials grant [RFC6749] MUST NOT be used.",
    ),
    catalogue=("OAU-02",),
    reads=("auth.oauth",),
    cost=1,
    owasp="API2:2023",
)
_RETIRED = ("password", "implicit")


def subjects(contract: Contract) -> Subjects:
    return [Subject("service")] if contract.oauth.flows else NotApplicable("the contract declares no OAuth 2 flow")


def converse(lane: Lane) -> Conversation:
    server = lane.contract.oauth
    declared = [flow for flow in _RETIRED if flow in server.flows]
    if declared:
        return Finding(
            expected="flows authorizationCode and clientCredentials only",
            actual=f"the document declares the flow {' and '.join(declared)}",
            sent="nothing: the document itself says so",
            origin="declared flows",
        )
    if server.authorize is None:
        return Kept(f"declared are {', '.join(sorted(server.flows))}")
    try:
        client: Client = yield from oauth_client(lane, redirects=True)
        user = yield from somebody(lane)
    except CannotProve as cannot:
        return Kept(f"declared are {', '.join(sorted(server.flows))}; not tried ({cannot})")
    request: Request = authorization_request(lane, client, user, response_type="token")
    response = yield from send(request)
    if "access_token" in sent_back(response):
        return Finding(
            expected="error=unsupported_response_type, or a refusal",
            actual=f"{response.status} with an access token in the redirect",
            sent="an authorization request with response_type=token",
            request=request,
        )
    return Kept(f"declared are {', '.join(sorted(server.flows))}; response_type=token gave no token")


def _declare(flow: str) -> Any:
    def change(document: dict[str, Any]) -> None:
        flows = document["components"]["securitySchemes"]["oauth"]["flows"]
        flows[flow] = {"tokenUrl": "/api/v1/oauth/token", "authorizationUrl": "/x", "scopes": {}}

    return change


CONFORMING = (Example("the sample shop"), Example("no client is stated", policy={"auth": {}}))

BREACHING = (
    Example("the implicit grant works", shop=lambda shop: shop.skips.add("implicit")),
    Example("the password flow is declared", document=_declare("password")),
    Example("the implicit flow is declared", document=_declare("implicit")),
)
