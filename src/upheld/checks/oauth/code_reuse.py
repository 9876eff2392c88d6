"""A code that comes back ends the tokens that it gave.

## What it requires

When a code is used a second time, the tokens that the first use gave are revoked: one of the two who used it was not meant to
have it, and nobody can tell which.

## Why

If the thief was quicker, refusing the owner's try leaves the thief signed in. The second use is the only sign there will be.

## What it sends

As a signed-in user and a stated client: a code, redeemed twice; then a refresh with what the first use gave.

## Example of a breach

The code's second use is refused, and the refresh token of the first use goes on working.

## When to waive it

Where the tokens of a code are very short-lived and no refresh token is given with them.
"""

from __future__ import annotations

from upheld.check import (
    SHOULD,
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
from upheld.exchange import Response
from upheld.steps import describe
from upheld.steps.oauth import Client, code_grants, oauth_client, redeemed_twice, token_request, tokens_of

REQUIREMENT = Requirement(
    title="A code that comes back ends the tokens that it gave",
    level=SHOULD,
    clause=Clause(
        "RFC 6749 §4.1.2",
        "https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2",
        "The client MUST NOT use the authorization code more than once. If an authorization code is used more than once, the "
        "authorization server MUST deny the request and SHOULD revoke (when possible) all tokens previously issued based on "
        "that authorization code.",
    ),
    catalogue=("OAU-03",),
    reads=("auth.oauth",),
    cost=5,
    owasp="API2:2023",
    cwe=("CWE-294",),
)


subjects = code_grants


def converse(lane: Lane) -> Conversation:
    client: Client = yield from oauth_client(lane, redirects=True)
    _, first, second = yield from redeemed_twice(lane, client)
    _, refresh = tokens_of(first)
    if second.ok:
        raise CannotProve(f"the second use was not refused: {describe(second)}")
    if not refresh:
        raise CannotProve("the code gave no refresh token, and access tokens may live on until they expire")
    renewal = token_request(lane, {"grant_type": "refresh_token", "refresh_token": refresh}, client)
    after: Response = yield from send(renewal)
    if after.ok:
        return Finding(
            expected='400 {"error": "invalid_grant"}: the tokens of a code that was used twice are revoked',
            actual=f"{after.status}: the refresh token of the first use still works",
            sent="the same code twice, then the refresh token that the first use gave",
            request=renewal,
        )
    return Kept(f"the second use was refused ({second.status}), and the tokens of the first are revoked")


CONFORMING = (Example("the sample shop"),)

BREACHING = (Example("the first tokens live on", shop=lambda shop: shop.skips.add("code-revokes")),)
