"""Tokens carry the claims that are promised, nothing secret, and are never the same twice.

## What it requires

An access token has every claim that `auth: {jwt: {claims: […]}}` lists and the algorithm that `alg` names. No claim holds a password, a hash or
a secret: what a JSON Web Token says is encoded, not encrypted. Two logins give different tokens. The key set at `jwks` shows public keys only.

## Why

Tokens end up in browsers, logs and proxies, and anybody reads them there. Tokens that are alike cannot be revoked one by one.

## What it sends

A login of somebody made for the occasion, and a second one of the same; where the contract names `jwks`, one request for it.

## Example of a breach

The payload reads `{"sub": "7", "password_hash": "$2b$12$…"}`.

## When to waive it

Where another system reads such a claim and cannot be changed yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from upheld.check import (
    SHOULD,
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
    Unproven,
    send,
    sign_in,
)
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps import Token, access_token, forged, pointed, read_token, step_request
from upheld.steps.public_keys import USUAL, key_set

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="Tokens carry the claims that are promised, nothing secret, and are never the same twice",
    level=SHOULD,
    clause=Clause(
        "RFC 7519 §12, §4.1.7; contract: auth.jwt",
        "https://www.rfc-editor.org/rfc/rfc7519#section-12",
        "A JWT may contain privacy-sensitive information. When this is the case, measures MUST be taken to prevent disclosure of "
        "this information to unintended parties.",
    ),
    catalogue=("JWT-10",),
    reads=("auth.jwt.claims", "auth.jwt.alg", "auth.jwt.jwks", "auth.login"),
    cost=4,
    owasp="API2:2023",
    cwe=("CWE-312", "CWE-200"),
)

_SECRETS = frozenset({"password", "passwd", "passphrase", "secret"})
_PASSWORDS = frozenset({"password", "passwd", "pass", "pwd"})
_DIGEST = re.compile(r"\$(2[abxy]|argon2(id?|d)|scrypt|5|6|pbkdf2[\w-]*)\$")
_WHEN = frozenset({"iat", "exp", "nbf", "auth_time"})
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def subjects(contract: Contract) -> Subjects:
    login = contract.auth.login
    if login is None:
        return NotApplicable("the contract has no login operation")
    return [Subject(login.operation.label, operation=login.operation)]


def converse(lane: Lane) -> Conversation:
    try:
        session: Session = yield from sign_in(fresh=True)
        again = True
    except CannotProve:
        session = yield from sign_in()
        again = False  # a second login could end the first session, which others use
    token = access_token(session)
    if token is None:
        return NotApplicable("access tokens are opaque, not JSON Web Tokens")
    faults = list(_faults(lane, token, session))
    second = (yield from _second_login(lane, session)) if again else None
    if second is not None and _same_in_a_second(token, second):
        faults.append("two logins in one second give the same token: its claims differ in whole seconds alone")
    shown, unproven = yield from _private_members(lane)
    faults += shown
    if faults:
        return Finding(
            expected="the promised claims and algorithm, no secrets, another token with each login",
            actual="; ".join(faults),
            sent=f"two logins of one user ({lane.operation.label})",
        )
    compared = "" if second else "; a second login to compare with could not be had"
    return unproven or Kept(", ".join(sorted(token.claims)) + compared)


def _faults(lane: Lane, token: Token, session: Session) -> Iterator[str]:
    promised = lane.contract.policy.auth.jwt
    missing = [name for name in promised.claims if name not in token.claims]
    if missing:
        yield f"the access token has no {', '.join(missing)}"
    if promised.alg is not None and token.alg != promised.alg:
        yield f"its alg is {token.alg or 'missing'}, the contract says {promised.alg}"
    for name, value in token.claims.items():
        if isinstance(value, str) and value and (holds := _secret(name, value, session)):
            yield f"the claim {name} {holds}"


def _secret(name: str, value: str, session: Session) -> str:
    # The last word decides: password_hash is one, password_changed_at and at_hash (OpenID Connect) are none.
    *before, last = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().replace("-", "_").split("_")
    if value == session.password:
        return "holds the user's password"
    if _DIGEST.match(value):
        return "holds the digest of a password"
    named = last in _SECRETS or (last in ("hash", "salt", "digest") and _PASSWORDS & set(before))
    return "holds, as its name says, a secret" if named else ""


def _second_login(lane: Lane, session: Session) -> Any:
    step = lane.contract.auth.login
    if step is None or not session.password:
        return None
    answer: Response = yield from send(step_request(lane, step, session))
    try:
        found = pointed(answer.json(), step.access) if answer.ok and step.access else None
    except (LookupError, NotJson):
        return None
    return read_token(found) if isinstance(found, str) else None


def _same_in_a_second(first: Token, second: Token) -> bool:
    def apart_from_time(token: Token) -> dict[str, Any]:
        return {name: value for name, value in token.claims.items() if not (name in _WHEN and isinstance(value, int))}

    # A signature with a random part (ES256, PS256) makes each token another one, whatever it says.
    always_alike = first.alg.startswith(("HS", "RS", "Ed"))
    return first.text == second.text or (always_alike and apart_from_time(first) == apart_from_time(second))


def _private_members(lane: Lane) -> Any:
    """(faults, None or what could not be proven) of the key set that the contract names."""
    path = lane.contract.policy.auth.jwt.jwks
    if path is None:
        return [], None
    answer: Response = yield from send(Request("GET", path))
    keys = key_set(answer)
    if keys is None:
        return [], Unproven(f"{path} gives no JSON Web Key Set ({answer.status})", f"auth: {{jwt: {{jwks: {USUAL}}}}}")
    names = sorted({name for key in keys for name in _PRIVATE & set(key)})
    return ([f"{path} shows private members of its keys: {', '.join(names)}"] if names else []), None


def _carrying(without: tuple[str, ...] = (), **claims: Any) -> Any:
    """A shop whose access tokens have other claims."""

    def change(shop: Shop) -> None:
        made = shop._tokens

        def tokens(user: str, family: str) -> Response:
            answer = made(user, family).json()
            token = read_token(answer["access_token"])
            assert token is not None
            said = {name: value for name, value in {**token.claims, **claims}.items() if name not in without}
            return Response.of(200, {**answer, "access_token": forged(token.header, said, shop.key.encode())})

        shop._tokens = tokens  # type: ignore[method-assign]

    return change


def _key_set(**key: str) -> Any:
    answer = Response.of(200, {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "eHh4", **key}]})
    return lambda q, r: answer if q.path == "/jwks.json" else r


_NAMED: dict[str, Any] = {"auth": {"jwt": {"jwks": "/jwks.json"}}}

CONFORMING = (
    Example("the sample shop"),
    Example(
        "the words of OpenID Connect, and no secrets", shop=_carrying(at_hash="x", password_changed_at="2026-01-01")
    ),
    Example("flags and times about passwords", shop=_carrying(reset_password=True, pwd_exp=1_795_348_800)),
    Example("a key set of public keys", alter=_key_set(), policy=_NAMED),
)

BREACHING = (
    Example("the hash of the password", shop=_carrying(password_hash="0f1e2d")),
    Example("a digest under another name", shop=_carrying(pw="$2b$12$abcdefghijklmnopqrstuv")),
    Example("a promised claim is missing", shop=_carrying(without=("sub",))),
    Example("nothing but the time differs", shop=_carrying(without=("jti", "sid"))),
    Example("another algorithm", policy={"auth": {"jwt": {"alg": "RS256"}}}),
    Example("private keys in the key set", alter=_key_set(d="eHh4"), policy=_NAMED),
)
