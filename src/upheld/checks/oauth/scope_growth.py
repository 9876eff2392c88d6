"""A refresh never gives more than was granted.

## What it requires

A refresh that asks for a scope which the grant did not have is refused with `invalid_scope`, or answered without that scope.

## Why

The user said yes to some scopes. A refresh happens without the user: if it could widen them, the consent would mean nothing.

## What it sends

As a signed-in user and a stated client: a code for the client's scopes, redeemed; then a refresh that asks for these scopes and one
more that the document knows.

## Example of a breach

A grant for `orders:read` is refreshed with `scope=orders:read orders:write`, and the answer says `"scope": "orders:read orders:write"`.

## When to waive it

Never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    Unproven,
    send,
)
from upheld.exchange import NotJson, Request, Response
from upheld.steps import describe, read_token
from upheld.steps.oauth import (
    CLIENT_LINE,
    Client,
    code_grants,
    new_code,
    oauth_client,
    redeem,
    somebody,
    token_request,
    tokens_of,
    verifier_of,
)

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A refresh never gives more than was granted",
    level=MUST,
    clause=Clause(
        "RFC 6749 §6",
        "https://www.rfc-editor.org/rfc/rfc6749#section-6",
        "The requested scope MUST NOT include any scope not originally granted by the resource owner",
    ),
    catalogue=("OAU-03",),
    reads=("auth.oauth",),
    cost=3,
    owasp="API2:2023",
    cwe=("CWE-285",),
)


subjects = code_grants


def converse(lane: Lane) -> Conversation:
    client: Client = yield from oauth_client(lane, redirects=True)
    granted = client.scopes[:1]
    more = next((scope for scope in _known(lane.contract) if scope not in granted), "")
    if not granted or not more:
        return Unproven("it takes a client with a scope, and a document with one scope more", CLIENT_LINE)
    user = yield from somebody(lane)
    verifier = verifier_of(lane)
    code = yield from new_code(lane, client, user, verifier, scope=granted[0])
    answer: Response = yield from send(redeem(lane, client, code, verifier))
    _, refresh = tokens_of(answer)
    if not answer.ok:
        raise CannotProve(f"a fresh code is refused: {describe(answer)}")
    if not refresh:
        return Unproven("a code of this client gives no refresh token")
    form = {"grant_type": "refresh_token", "refresh_token": refresh, "scope": f"{granted[0]} {more}"}
    request: Request = token_request(lane, form, client)
    wider = yield from send(request)
    if wider.ok and more in _scopes(wider):
        return Finding(
            expected=f'400 {{"error": "invalid_scope"}}, or tokens for {granted[0]} alone',
            actual=f"{wider.status} with the scope {' '.join(sorted(_scopes(wider)))}",
            sent=f"a grant for {granted[0]}, refreshed with scope={granted[0]} {more}",
            request=request,
        )
    return Kept(f"{wider.status} for {more} beside {granted[0]}")


def _known(contract: Contract) -> list[str]:
    """Every scope that the document's OAuth 2 schemes and the stated clients know."""
    flows: list[Any] = [
        flow
        for scheme in contract.security_schemes.values()
        if scheme.get("type") == "oauth2"
        for flow in dict(scheme.get("flows") or {}).values()
    ]
    declared = [str(scope) for flow in flows if isinstance(flow, dict) for scope in flow.get("scopes") or {}]
    stated = [scope for client in contract.policy.auth.oauth.clients.values() for scope in client.scopes]
    return list(dict.fromkeys([*stated, *declared]))


def _scopes(response: Response) -> set[str]:
    """What the answer says that the new token may do: its scope member, else the token's own claim."""
    try:
        document = response.json()
    except NotJson:
        return set()
    said = document.get("scope") if isinstance(document, dict) else None
    token = read_token(tokens_of(response)[0])
    claim = token.claims.get("scope") if token else None
    return set(str(said if isinstance(said, str) else claim or "").split())


CONFORMING = (
    Example("the sample shop"),
    Example(
        "the wider scope is left out",
        alter=lambda q, r: (
            Response.of(200, {"access_token": "a", "scope": "orders:read"})
            if b"orders%3Aread+orders%3Awrite" in (q.body or b"")
            else r
        ),
    ),
)

BREACHING = (Example("whoever asks is given", shop=lambda shop: shop.skips.add("scope")),)
