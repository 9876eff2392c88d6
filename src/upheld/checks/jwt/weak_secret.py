"""The signing secret of tokens cannot be guessed.

## What it requires

Tokens that are signed with HS256, HS384 or HS512 have a secret that stands on no list and is at least as long as the hash. A secret from
a tutorial, a framework's documentation, or the service's own name is none.

## Why

Whoever holds one token can try secrets at leisure, without sending a request. Who finds it signs in as anybody.

## What it sends

One login. Everything else happens here: some hundred well-known words, variants of the service's name and of the words under
`auth: {jwt: {guess_words: […]}}` are tried on the token's signature. Where `auth: {jwt: {key_env: …}}` names the key, its length is measured.

## Example of a breach

The token's signature fits the secret `your-256-bit-secret`.

## When to waive it

Where the environment under test has a well-known secret on purpose, and a start with it in production is refused.
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
    NotApplicable,
    Requirement,
    Subjects,
)
from upheld.steps import access_token, caller, guess, signing_key, token_subject
from upheld.steps.tokens import HMACS, Key

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="The signing secret of tokens cannot be guessed",
    level=MUST,
    clause=Clause(
        "RFC 8725 §3.5, RFC 7518 §3.2",
        "https://www.rfc-editor.org/rfc/rfc8725#section-3.5",
        'human-memorizable passwords MUST NOT be directly used as the key to a keyed-MAC algorithm such as "HS256".',
    ),
    catalogue=("JWT-03",),
    reads=("auth.jwt.guess_words", "auth.jwt.key_env", "identities"),
    cost=1,
    owasp="API2:2023",
    cwe=("CWE-1391", "CWE-798"),
)


def subjects(contract: Contract) -> Subjects:
    return token_subject(contract)


def converse(lane: Lane) -> Conversation:
    session = yield from caller(lane, lane.operation)
    token = access_token(session)
    if token is None:
        return NotApplicable("access tokens are opaque, not JSON Web Tokens")
    if token.alg not in HMACS:
        return NotApplicable(f"tokens are signed with {token.alg or 'no algorithm'}, which has no secret to guess")
    word = guess(token, lane.contract)
    if word is not None:
        secret = f"the secret {word!r}" if word else "an empty secret"
        return Finding(
            expected=f"a random secret of at least {_octets(token.alg)} octets",
            actual=f"the signature fits {secret}: whoever knows that signs tokens",
            sent=f"nothing: well-known secrets were tried offline on the {token.alg} signature of one access token",
        )
    try:
        key: Key | None = yield from signing_key(lane, token)
    except CannotProve:
        key = None  # the stated key is another one: the checks that sign with it say so
    if key is not None and len(key.value) < _octets(token.alg):
        return Finding(
            expected=f"a secret of at least {_octets(token.alg)} octets, the length of the hash (RFC 7518 §3.2)",
            actual=f"the secret in {lane.contract.policy.auth.jwt.key_env} has {len(key.value)} octets",
            sent=f"nothing: the secret that upheld.yaml names signs the {token.alg} tokens, and was measured",
        )
    return Kept("no well-known secret fits" + (f"; it has {len(key.value)} octets" if key else ""))


def _octets(alg: str) -> int:
    return int(alg[2:]) // 8


def _key(value: str) -> Any:
    def change(shop: Shop) -> None:
        shop.key = value

    return change


CONFORMING = (
    Example("the sample shop"),
    Example("a random secret that nobody states", policy={"auth": {}}),
    Example("another secret than the stated one", shop=_key("another secret, which is long enough and on no list")),
)

BREACHING = (
    Example("a secret from a tutorial", shop=_key("your-256-bit-secret")),
    Example("an empty secret", shop=_key("")),
    Example("the service's own name", shop=_key("sample-shop-secret")),
    Example(
        "a word that the contract suspects",
        shop=_key("acme123"),
        policy={"auth": {"jwt": {"guess_words": ["acme"]}}},
    ),
)
