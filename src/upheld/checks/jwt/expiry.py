"""An expired token is refused, and so is one that never expires.

## What it requires

A token whose `exp` has passed is refused, and so is one whose `exp` is text. Where the contract states the life of an access token, one
without `exp`, or with an `exp` that no clock reaches, is refused as well: it would outlive what is promised.

## Why

The end of its life is all that limits a stolen access token. Libraries check `exp` where it stands; whether it has to stand there is
the service's decision.

## What it sends

The good token, signed again with the known key and unchanged, as the control; then four others, signed alike: expired an hour
before it was issued, by the service's own clock; without `exp`; with text; with 1e308. The key comes from
`auth: {jwt: {key_env: …}}`, or was guessed.

## Example of a breach

A properly signed token without `exp` is answered `200`.

## When to waive it

Never for expired tokens. For tokens without an end, where only the service itself has the key and it gives every token one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Outcome,
    Requirement,
    Subjects,
)
from upheld.steps import Key, Token, good_token, issued_at, proven_key, resigned, show, token_subject

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="An expired token is refused, and so is one that never expires",
    level=MUST,
    clause=Clause(
        "RFC 7519 §4.1.4",
        "https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4",
        'The processing of the "exp" claim requires that the current date/time MUST be before the expiration date/time listed '
        'in the "exp" claim. […] Its value MUST be a number containing a NumericDate value.',
    ),
    catalogue=("JWT-06",),
    reads=("auth.jwt.key_env", "auth.jwt.access_ttl", "identities"),
    cost=6,
    owasp="API2:2023",
    cwe=("CWE-613",),
)

_HOUR = 3600


def subjects(contract: Contract) -> Subjects:
    return token_subject(contract)


def converse(lane: Lane) -> Conversation:
    good = yield from good_token(lane)
    if isinstance(good, NotApplicable):
        return good
    key: Key = yield from proven_key(lane, good)
    issued = issued_at(good.token, good.session.answer)
    shown: Outcome = yield from show(good, _ended(good.token, key, issued))
    if not isinstance(shown, Kept) or lane.contract.policy.auth.jwt.access_ttl is None:
        return shown
    endless: Outcome = yield from show(good, _endless(good.token, key))
    if not isinstance(endless, Finding):
        return Kept("4 wrong tokens refused")
    # RFC 7519 leaves exp to the service: that every token has an end is what the contract says.
    return replace(
        endless, required="auth: {jwt: {access_ttl: …}}: every access token ends, so one without an end is none"
    )


def _ended(token: Token, key: Key, issued: int) -> Iterator[tuple[str, str]]:
    # An hour is more than any leeway for clocks that differ ("usually no more than a few minutes").
    earlier: dict[str, Any] = {name: issued - 2 * _HOUR for name in ("iat", "nbf", "auth_time") if name in token.claims}
    yield (
        "a token that expired an hour before the good one was issued",
        resigned(token, key, exp=issued - _HOUR, **earlier),
    )
    yield "an exp that is text", resigned(token, key, exp=str(issued + _HOUR))


def _endless(token: Token, key: Key) -> Iterator[tuple[str, str]]:
    yield "a token without exp", resigned(token, key, without=("exp",))
    yield "an exp of 1e308, which no clock reaches", resigned(token, key, exp=1e308)


def _careless(shop: Shop) -> None:
    shop.skips.add("exp")
    shop.key = "secret"


_NO_LIFE = {"auth": {"jwt": {"key_env": "SHOP_JWT_KEY"}}}

CONFORMING = (
    Example("the sample shop"),
    Example("its key was guessed", shop=lambda shop: setattr(shop, "key", "changeme"), policy={"auth": {}}),
    Example("no life is promised", policy=_NO_LIFE),
)

BREACHING = (
    Example("exp is not looked at", shop=lambda shop: shop.skips.add("exp")),
    Example(
        "exp is not looked at, and anybody has the key",
        shop=_careless,
        policy={"auth": {}},
    ),
)
