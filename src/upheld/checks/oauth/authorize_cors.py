"""No script can read the authorization endpoint.

## What it requires

The authorization endpoint answers without `Access-Control-Allow-Origin`, whatever origin asks.

## Why

A browser is sent there, it never fetches it. Where scripts may read the answer, a page can start an authorization in the background
and take the code out of it.

## What it sends

One authorization request of a signed-in user with `Origin` set to an allowed origin, or to a foreign one where none is stated.

## Example of a breach

`GET /oauth/authorize` with `Origin: https://app.example` is answered with `Access-Control-Allow-Origin: https://app.example`.

## When to waive it

Where a gateway adds the field to every answer and can't be told otherwise.
"""

from __future__ import annotations

from upheld.check import (
    MUST,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Requirement,
    send,
)
from upheld.exchange import Headers, Request, Response
from upheld.steps.oauth import (
    Client,
    authorization_request,
    authorizations,
    challenge_of,
    oauth_client,
    somebody,
    verifier_of,
)

REQUIREMENT = Requirement(
    title="No script can read the authorization endpoint",
    level=MUST,
    clause=Clause(
        "RFC 9700 §2.6",
        "https://www.rfc-editor.org/rfc/rfc9700#section-2.6",
        "CORS MUST NOT be supported at the authorization endpoint, as the client does not access this endpoint directly; "
        "instead, the client redirects the user agent to it.",
    ),
    catalogue=("OAU-03",),
    reads=("auth.oauth", "cors"),
    cost=1,
    owasp="API8:2023",
    cwe=("CWE-942",),
)


subjects = authorizations


def converse(lane: Lane) -> Conversation:
    origin = next(iter(lane.contract.policy.cors.origins), "https://upheld.example")
    try:
        client: Client = yield from oauth_client(lane, redirects=True)
    except CannotProve:
        client = Client("nobody", lane.unique("client"), "", "https://upheld.example/back", ())
    user = yield from somebody(lane)
    pkce = {"code_challenge": challenge_of(verifier_of(lane)), "code_challenge_method": "S256"}
    request: Request = authorization_request(lane, client, user, **pkce).with_headers(origin=origin)
    response = yield from send(request)
    allowed = response.headers.get("access-control-allow-origin")
    if allowed is not None:
        return Finding(
            expected="no Access-Control-Allow-Origin",
            actual=f"{response.status} with Access-Control-Allow-Origin: {allowed}",
            sent=f"an authorization request with Origin: {origin}",
            request=request,
        )
    return Kept(f"{response.status} without a CORS field for {origin}")


def _with_field(request: Request, response: Response) -> Response:
    if not request.path.endswith("/authorize"):
        return response
    return Response(
        response.status, Headers([*response.headers.pairs, ("Access-Control-Allow-Origin", "*")]), response.body
    )


CONFORMING = (Example("the sample shop"), Example("no client is stated", policy={"auth": {}}))

BREACHING = (
    Example("the same middleware for everything", shop=lambda shop: shop.skips.add("authorize-cors")),
    Example("everybody", alter=_with_field),
)
