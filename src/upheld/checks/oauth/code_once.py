"""An authorization code works once.

## What it requires

The second use of a code is refused.

## Why

A code that works twice is a password with a short life: whoever reads it in a log or a history signs in beside the user.

## What it sends

As a signed-in user and a stated client: a code, redeemed twice.

## Example of a breach

The second `POST /oauth/token` with the same `code` is answered `200` with tokens.

## When to waive it

Never.
"""

from __future__ import annotations

from upheld.check import (
    MUST,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Requirement,
)
from upheld.steps.oauth import Client, code_grants, oauth_client, redeemed_twice

REQUIREMENT = Requirement(
    title="An authorization code works once",
    level=MUST,
    clause=Clause(
        "RFC 6749 §4.1.2",
        "https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2",
        "The client MUST NOT use the authorization code more than once. If an authorization code is used more than once, the "
        "authorization server MUST deny the request",
    ),
    catalogue=("OAU-03",),
    reads=("auth.oauth",),
    cost=3,
    owasp="API2:2023",
    cwe=("CWE-294",),
)


subjects = code_grants


def converse(lane: Lane) -> Conversation:
    client: Client = yield from oauth_client(lane, redirects=True)
    request, _, second = yield from redeemed_twice(lane, client)
    if second.ok:
        return Finding(
            expected='400 {"error": "invalid_grant"} for the second use',
            actual=f"{second.status} with tokens, both times",
            sent="the same code twice",
            request=request,
        )
    return Kept(f"the second use was refused ({second.status})")


CONFORMING = (Example("the sample shop"),)

BREACHING = (Example("codes work again", shop=lambda shop: shop.skips.add("code-once")),)
