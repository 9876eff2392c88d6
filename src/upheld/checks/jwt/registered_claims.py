"""A token for later, from another issuer or for another audience is refused.

## What it requires

A token is refused before its `nbf`. Where the contract names the issuer, a token with another `iss`, or none, is refused; where it names the
audience, one with another `aud`, or none. An `iat` in the future is not judged: no clause forbids it.

## Why

Services that share a key or an identity provider are told apart by these claims alone. Without them a token for the newsletter opens
the shop.

## What it sends

The good token, signed again with the known key and unchanged, as the control; then up to five others, signed alike, with one claim
changed. The key comes from `auth: {jwt: {key_env: …}}`, or was guessed.

## Example of a breach

A properly signed token with `"aud": "https://other.example"` is answered `200`.

## When to waive it

Never.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    Clause,
    Conversation,
    Example,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
)
from upheld.steps import Key, good_token, issued_at, proven_key, resigned, show, token_subject
from upheld.steps.showing import Good

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A token for later, from another issuer or for another audience is refused",
    level=MUST,
    clause=Clause(
        "RFC 8725 §3.8–3.9, RFC 7519 §4.1.5",
        "https://www.rfc-editor.org/rfc/rfc8725#section-3.9",
        "the relying party or application MUST validate the audience value, and if the audience value is not present or not "
        "associated with the recipient, it MUST reject the JWT.",
    ),
    catalogue=("JWT-07",),
    reads=("auth.jwt.key_env", "auth.jwt.iss", "auth.jwt.aud", "identities"),
    cost=8,
    owasp="API2:2023",
    cwe=("CWE-345",),
)

_STRANGER = "https://other.example.test"


def subjects(contract: Contract) -> Subjects:
    return token_subject(contract)


def converse(lane: Lane) -> Conversation:
    good = yield from good_token(lane)
    if isinstance(good, NotApplicable):
        return good
    key: Key = yield from proven_key(lane, good)
    promised = lane.contract.policy.auth.jwt
    unnamed = [name for name in ("iss", "aud") if getattr(promised, name) is None]
    kept = f"; {' and '.join(unnamed)} not judged, upheld.yaml does not name them" if unnamed else ""
    return (yield from show(good, _others(good, key, unnamed), kept=kept))


def _others(good: Good, key: Key, unnamed: list[str]) -> Iterator[tuple[str, str]]:
    token = good.token
    later = issued_at(token, good.session.answer) + 3600
    yield "an nbf in an hour", resigned(token, key, nbf=later)
    for name, called in (("iss", "issuer"), ("aud", "audience")):
        if name not in unnamed:
            yield f"another {called} ({name})", resigned(token, key, **{name: _STRANGER})
            yield f"no {called} ({name})", resigned(token, key, without=(name,))


_UNNAMED = {"auth": {"jwt": {"key_env": "SHOP_JWT_KEY"}}}

CONFORMING = (
    Example("the sample shop"),
    Example(
        "neither is promised",
        shop=lambda shop: shop.skips.update({"iss", "aud"}),
        policy=_UNNAMED,
    ),
)

BREACHING = (
    Example("nbf is not looked at", shop=lambda shop: shop.skips.add("nbf")),
    Example("any issuer will do", shop=lambda shop: shop.skips.add("iss")),
    Example("any audience will do", shop=lambda shop: shop.skips.add("aud")),
)
