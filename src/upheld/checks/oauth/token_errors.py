"""The token endpoint refuses in OAuth's own words.

## What it requires

A refused token request is answered 400 with a JSON object whose `error` is one of the registered codes; a client that cannot
prove who it is gets 401 `invalid_client`, with a `WWW-Authenticate: Basic` challenge when it tried Basic.

## Why

Client libraries decide by `error` what to do next: ask the user again, refresh, give up. A framework's validation error or a
problem document in its place leaves them guessing.

## What it sends

A grant type that does not exist, no grant type, a code and a refresh token that nobody issued, a client that nobody registered.
With a stated client the first four are sent in its name.

## Example of a breach

`POST /oauth/token` without `grant_type` is answered `422 {"detail": [...]}`.

## When to waive it

Where the endpoint is a login that only looks like OAuth. Better: take the `oauth2` scheme out of the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
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
from upheld.exchange import NotJson, Request, Response
from upheld.steps import describe
from upheld.steps.oauth import Client, basic, oauth_client, token_request

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="The token endpoint refuses in OAuth's own words",
    level=MUST,
    clause=Clause(
        "RFC 6749 §5.2",
        "https://www.rfc-editor.org/rfc/rfc6749#section-5.2",
        "The authorization server responds with an HTTP 400 (Bad Request) status code (unless specified otherwise) and "
        "includes the following parameters with the response: error REQUIRED.",
    ),
    catalogue=("OAU-01",),
    reads=("auth.oauth",),
    cost=5,
    owasp="API2:2023",
)

# RFC 6749 §5.2, RFC 8628 §3.5, RFC 8707 §2, RFC 9449 §5, RFC 9396 §5.
_CODES = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
     "authorization_pending", "slow_down", "access_denied", "expired_token", "invalid_target", "invalid_dpop_proof",
     "use_dpop_nonce", "invalid_authorization_details"}
)  # fmt: skip


def subjects(contract: Contract) -> Subjects:
    token = contract.oauth.token
    if token is None or not contract.oauth.speaks_oauth:
        return NotApplicable("the contract declares no OAuth 2 flow with a token endpoint of its own")
    return [Subject(token.label, operation=token)]


def converse(lane: Lane) -> Conversation:
    try:
        client: Client | None = yield from oauth_client(lane, confidential=True)
    except CannotProve:
        client = None
    request: Request
    for says, form in _FORMS:
        request = token_request(lane, form, client)
        response = yield from send(request)
        fault = _fault(response, tried_basic=bool(client and client.secret))
        if fault:
            return _finding(says, fault, response, request)
    request = token_request(lane, {"grant_type": "client_credentials"})
    request = request.with_headers(authorization=basic(lane.unique("client"), "wrong"))
    response = yield from send(request)
    fault = _fault(response, tried_basic=True)
    if fault:
        return _finding("a client that nobody registered", fault, response, request)
    return Kept(f"{len(_FORMS) + 1} refusals, each with an error code")


_FORMS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("a grant type that does not exist", {"grant_type": "upheld:nothing"}),
    ("no grant type", {"scope": "upheld"}),
    (
        "a code that nobody issued",
        {"grant_type": "authorization_code", "code": "upheld", "redirect_uri": "https://x.example"},
    ),
    ("a refresh token that nobody issued", {"grant_type": "refresh_token", "refresh_token": "upheld"}),
)


def _fault(response: Response, *, tried_basic: bool) -> str:
    """What the refusal lacks, in few words; empty when it is as the RFC says."""
    if response.ok:
        return "it was answered with success"
    if response.status not in (400, 401):
        return f"the status is {response.status}"
    try:
        document = response.json()
    except NotJson:
        return "it is no JSON"
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, str):
        return "it has no error member"
    if error not in _CODES:
        return f"its error is {error[:40]!r}, which is not registered"
    if response.status == 401 and error != "invalid_client":
        return f"401 with the error {error}"
    challenged = "basic" in response.headers.get("www-authenticate", "").lower()
    if response.status == 401 and tried_basic and not challenged:
        return "the client tried Basic, and there is no WWW-Authenticate: Basic"
    return ""


def _finding(says: str, fault: str, response: Response, request: Request) -> Finding:
    return Finding(
        expected='400 {"error": …} with a registered code; 401 {"error": "invalid_client"} where the client is not proven',
        actual=f"{fault}: {describe(response)}",
        sent=f"a token request with {says}",
        origin=fault,
        request=request,
    )


def _is_token(request: Request) -> bool:
    return request.path.endswith("/oauth/token")


CONFORMING = (
    Example("the sample shop"),
    Example("no client is stated", policy={"auth": {}}),
    Example(
        "everything is a matter of the client",
        alter=lambda q, r: (
            Response.of(401, {"error": "invalid_client"}, www_authenticate="Basic realm=x") if _is_token(q) else r
        ),
    ),
)

BREACHING = (
    Example("problem documents", shop=lambda shop: shop.skips.add("oauth-errors")),
    Example(
        "the framework's validation",
        alter=lambda q, r: (
            Response.of(422, {"detail": []}) if _is_token(q) and b"grant_type" not in (q.body or b"") else r
        ),
    ),
    Example(
        "no challenge for Basic",
        alter=lambda q, r: Response.of(401, {"error": "invalid_client"}) if r.status == 401 and _is_token(q) else r,
    ),
    Example(
        "a code of its own",
        alter=lambda q, r: Response.of(400, {"error": "bad_request"}) if r.status == 400 and _is_token(q) else r,
    ),
)
