"""A code is of no use to whoever does not have its verifier.

## What it requires

A code that was asked for with a code challenge is refused without the verifier and with another one; a verifier for a code that was
asked for without a challenge is refused too, so that nobody can leave the challenge out on the way.

## Why

Codes travel through the browser, where other apps, extensions and logs see them. PKCE makes a stolen code worthless, but only
if leaving the verifier out is not an easy way around it.

## What it sends

As a signed-in user and a stated client: a code per case, redeemed without a verifier, with a wrong one, and last with the
right one, which has to succeed.

## Example of a breach

A code that was asked for with `code_challenge` is redeemed without `code_verifier`, and tokens come back.

## When to waive it

Never; without PKCE the authorization endpoint says `invalid_request` where it is missing.
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
from upheld.exchange import Request, Response
from upheld.steps import describe
from upheld.steps.oauth import (
    Client,
    authorization_request,
    code_grants,
    new_code,
    oauth_client,
    redeem,
    sent_back,
    somebody,
    verifier_of,
)

REQUIREMENT = Requirement(
    title="A code is of no use to whoever does not have its verifier",
    level=MUST,
    clause=Clause(
        "RFC 9700 §2.1.1",
        "https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1",
        "Authorization servers MUST mitigate PKCE downgrade attacks by ensuring that a token request containing a "
        "code_verifier parameter is accepted only if a code_challenge parameter was present in the authorization request.",
    ),
    catalogue=("OAU-02",),
    reads=("auth.oauth",),
    cost=8,
    owasp="API2:2023",
    cwe=("CWE-287",),
)


subjects = code_grants


def converse(lane: Lane) -> Conversation:
    client: Client = yield from oauth_client(lane, redirects=True)
    user = yield from somebody(lane)
    request: Request
    for says, shown in (("without its verifier", None), ("with another verifier", verifier_of(lane))):
        code = yield from new_code(lane, client, user, verifier_of(lane))
        request = redeem(lane, client, code, shown)
        response = yield from send(request)
        if response.ok:
            return _finding(f"a code that was asked for with a challenge, {says}", response, request)
    code = yield from new_code(lane, client, user, verifier := verifier_of(lane))
    control: Response = yield from send(redeem(lane, client, code, verifier))
    if not control.ok:
        raise CannotProve(f"a code with its verifier is refused as well: {describe(control)}")
    plain = authorization_request(lane, client, user)
    given = sent_back((yield from send(plain))).get("code")
    if given is None:
        return Kept("refused without the verifier and with a wrong one; without a challenge there is no code")
    request = redeem(lane, client, given, verifier_of(lane))
    response = yield from send(request)
    if response.ok:
        return _finding("a verifier for a code that was asked for without a challenge", response, request)
    return Kept("refused without the verifier, with a wrong one, and with one that nobody asked for")


def _finding(says: str, response: Response, request: Request) -> Finding:
    return Finding(
        expected='400 {"error": "invalid_grant"}', actual=f"{response.status} with tokens", sent=says, request=request
    )


CONFORMING = (Example("the sample shop"),)

BREACHING = (
    Example("verifiers are not looked at", shop=lambda shop: shop.skips.add("pkce")),
    Example("a challenge can be left out on the way", shop=lambda shop: shop.skips.add("downgrade")),
)
