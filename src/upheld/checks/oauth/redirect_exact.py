"""A code goes to the registered address and nowhere else.

## What it requires

An authorization request whose `redirect_uri` is not, character by character, the registered one is refused, and nobody is sent to
the address that it names.

## Why

Who can bend the address gets the code: a longer path, another port, or a name before an `@` is enough where addresses are compared
by their beginning.

## What it sends

As a signed-in user and a stated client: the request with the registered address, as the control; then with a longer path, with
another port, with the registered host as user information, with a second slash, with a query, and with another host.

## Example of a breach

`redirect_uri=https://app.example/back.evil.example` is answered `302` to that address, with a code.

## When to waive it

Where the redirect URI is a loopback address of a native app: its port may differ (RFC 8252 §7.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

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
    authorizations,
    challenge_of,
    oauth_client,
    sent_back,
    somebody,
    verifier_of,
)

REQUIREMENT = Requirement(
    title="A code goes to the registered address and nowhere else",
    level=MUST,
    clause=Clause(
        "RFC 9700 §2.1",
        "https://www.rfc-editor.org/rfc/rfc9700#section-2.1",
        "authorization servers MUST utilize exact string matching except for port numbers in localhost redirection URIs of "
        "native apps",
    ),
    catalogue=("OAU-03",),
    reads=("auth.oauth",),
    cost=7,
    owasp="API2:2023",
    cwe=("CWE-601",),
)


subjects = authorizations


def converse(lane: Lane) -> Conversation:
    client: Client = yield from oauth_client(lane, redirects=True)
    user = yield from somebody(lane)
    pkce = {"code_challenge": challenge_of(verifier_of(lane)), "code_challenge_method": "S256"}
    control: Response = yield from send(authorization_request(lane, client, user, **pkce))
    if "code" not in sent_back(control):
        raise CannotProve(f"no code comes for the registered address either: {describe(control)}")
    tried = 0
    request: Request
    for says, address in _bent(client.redirect_uri):
        tried += 1
        request = authorization_request(lane, client, user, redirect_uri=address, **pkce)
        response = yield from send(request)
        location = response.headers.get("location", "")
        if 300 <= response.status < 400 and location.startswith(address):
            return Finding(
                expected="a refusal without a redirect",
                actual=f"{response.status} to {location.split('?')[0]}"
                + (", with a code" if "code" in sent_back(response) else ""),
                sent=f"an authorization request with {says}: redirect_uri={address}",
                request=request,
            )
    return Kept(f"{tried} other addresses refused")


def _bent(registered: str) -> Iterator[tuple[str, str]]:
    """Addresses that are nearly the registered one. Nobody is ever contacted at them."""
    parts = urlsplit(registered)
    yield "a longer path", f"{registered}.upheld.example"
    yield "a path below", f"{registered}/../upheld"
    yield "a query of its own", f"{registered}?next=https://upheld.example"
    if parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        yield "another port", parts._replace(netloc=f"{parts.hostname}:8444").geturl()
    yield "the host as user information", parts._replace(netloc=f"{parts.netloc}@upheld.example").geturl()
    yield "another host", parts._replace(netloc="upheld.example").geturl()


CONFORMING = (Example("the sample shop"),)

BREACHING = (
    Example("addresses are compared by their beginning", shop=lambda shop: shop.skips.add("redirect-exact")),
    Example(
        "any address is told of an error",
        alter=lambda q, r: (
            Response.of(302, location=f"{dict(q.query)['redirect_uri']}?error=invalid_request")
            if r.status == 400 and q.path.endswith("/authorize")
            else r
        ),
    ),
)
