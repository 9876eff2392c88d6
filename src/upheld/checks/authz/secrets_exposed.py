"""Answers hold no password, no hash of one and no other secret.

## What it requires

No 2xx answer shows the password that its caller signed in with, a password hash, a private key, a secret of a second factor, a stored
token, or a property that the document marks as `writeOnly`. What a login, a token endpoint or the making of a key answers is exempt:
there, handing out a secret is what they are for; so is the hash that an operation named for hashing makes of what it was sent.

## Why

A handler that returns the database's row returns all of its columns. The page shows three of them, so nobody looks at the others.

## What it sends

Nothing. It reads every 2xx answer of the whole run. A name alone accuses nobody (`reset_token_expires`, `token_count`): the value has to
look like a secret too. What is masked (`****`, `sk_live_…`) is none, nor is what the request itself contained, nor the
first password that a POST makes for somebody.

## Example of a breach

`GET /users/me` is answered with `"password_hash": "$2b$12$…"`.

## When to waive it

When something only looks like a secret, list it by its value or by its place: `leak: {allow: ["^/wifi/password:"]}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from upheld.check import MUST, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.contract import shapes
from upheld.contract.words import key, words
from upheld.exchange import Exchange, NotJson, Response, Session

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.contract.model import JsonSchema

REQUIREMENT = Requirement(
    title="Answers hold no password, no hash of one and no other secret",
    level=MUST,
    clause=Clause(
        "OWASP API3:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa3-broken-object-property-level-authorization/",
        "When exposing an object using an API endpoint, always make sure that the user should have access to the object's "
        "properties you expose.",
    ),
    catalogue=("AUTHZ-09",),
    scope="service",
    reads=("leak.allow",),
    owasp="API3:2023",
    cwe=("CWE-200", "CWE-213", "CWE-312"),
)

_KEPT = Kept()
_BOUND = 262_144
_NODES = 5000
_SHORTEST_PASSWORD = 8

# Values that are secrets whatever they are called.
_HASH = re.compile(
    r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|\$argon2(?:id|i|d)\$v=\S+|(?:\$pbkdf2-sha\d+\$|pbkdf2_sha\d+\$|pbkdf2:sha\d+:)\S+"
    r"|\$(?:scrypt\$ln=|[56]\$)\S+|scrypt:\d+:\d+:\d+\$\S+|\{(?:bcrypt|argon2|pbkdf2|scrypt|SSHA)\}\S+"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_JWT = re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}")

# Names that say it is one, if the value does not speak against it. The second kind may be shown once, when it is made.
_PASSWORD = re.compile(
    r"(?:\w+_)?(?:password|passwd|pwd|passphrase)(?:_(?:hash|digest|hashed|encrypted|salt))?|(?:\w+_)?salt"
)
_INITIAL = re.compile(r"(?:\w+_)?(?:password|passwd|pwd|passphrase)(?:_(?:repeat|confirmation|confirm))?")
_DIGEST = re.compile(r"(?:[0-9a-fA-F]{2}){16,}")
_SECRET = re.compile(
    r"secret|(?:client|totp|otp|mfa|two_factor|webhook|signing|shared|jwt|app|api)_secret|(?:secret|private)_key"
    r"|(?:totp|otp|mfa)_(?:seed|key)|(?:reset|refresh|access|remember|session|verification|confirmation)_token|cvv|cvc|ssn"
)
_MASKED = re.compile(r"[*•…]|x{4,}|\.\.\.|redacted|hidden|masked|filtered|removed", re.IGNORECASE)
_PLAIN = re.compile(
    r"https?://\S*|\d{4}-\d\d-\d\d.*|\S+@\S+\.\S+|true|false|null|none|[a-z]+(?:[-_ ][a-z]+)*", re.IGNORECASE
)
_LEAST = 8
_CURSORS = frozenset({"cursor", "next", "previous", "prev", "after", "before", "page", "continuation"})
_OF_SESSIONS = frozenset({"auth", "login", "signin", "token", "tokens", "oauth", "session", "sessions", "sso"})
_GIVES = _OF_SESSIONS | frozenset({"refresh", "invite", "invites",
                    "invitation", "invitations", "key", "keys", "register", "signup", "credentials", "share", "presign"})  # fmt: skip

# A service for hashing answers with the hash of what its caller gave it; a read that is called so shows a stored one.
_HASHING = frozenset({"hash", "hashes", "digest", "bcrypt", "argon2", "htpasswd"})


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    response = exchange.response
    if not response.ok or not response.is_json or not response.body or len(response.body) > _BOUND:
        return None
    operation = contract.operation(exchange.operation)
    password = _password(exchange.request.session)
    hidden = _hidden(contract, operation)
    text = response.text
    if not (hidden or _WORDS.search(text) or (password and password in text)):
        return _KEPT
    try:
        document = response.json()
    except NotJson:
        return None
    sent = (exchange.request.body or b"").decode("utf-8", "replace") + exchange.request.target
    allowed = _compiled(contract.policy.leak.allow)
    gives = operation is None or _gives(contract, operation)
    hashes = operation is not None and not operation.safe and not _HASHING.isdisjoint(_said(operation))
    for pointer, value in _leaves(document):
        what = _what(pointer, value, password, hidden, gives=gives, hashes=hashes, method=exchange.request.method)
        if not what or (value in sent and what != "the password of its caller"):
            continue
        if any(pattern.search(value) or pattern.search(f"{pointer}: {value}") for pattern in allowed):
            continue
        place = re.sub(r"/\d+(?=/|$)", "/*", pointer)
        return Finding(
            expected="no secret in the answer",
            actual=f"{response.status} with {what} in {place or 'the body'}: {len(value)} characters, not shown here",
            sent=f"{exchange.request.method} {exchange.request.path}",
            origin=f"{what} in {place}",
            request=exchange.request,
        )
    return _KEPT


def _what(
    pointer: str,
    value: str,
    password: str,
    hidden: frozenset[str],
    *,
    gives: bool,
    hashes: bool,
    method: str,
) -> str:
    """What kind of secret this is, in words; empty when it is none."""
    name, shows = _name(pointer), method in ("GET", "HEAD")
    if password and value == password:
        return "the password of its caller"
    if _HASH.fullmatch(value) and not hashes:
        return "a password hash"
    if _PRIVATE_KEY.search(value):
        return "a private key"
    if pointer.rsplit("/", 1)[-1] in hidden:
        return "a writeOnly property"
    if gives:
        return ""
    if shows and _JWT.fullmatch(value) and not _CURSORS & set(words(name)):
        return "a JSON Web Token"
    if method == "POST" and _INITIAL.fullmatch(name) and not _DIGEST.fullmatch(value):
        return ""  # whoever makes an account without one is told the one that was made for it
    named = _PASSWORD.fullmatch(name) or (shows and _SECRET.fullmatch(name))
    looks = len(value) >= _LEAST and " " not in value and not _MASKED.search(value) and not _PLAIN.fullmatch(value)
    return f"what looks like a {name}" if named and looks else ""


@lru_cache(maxsize=4096)
def _name(pointer: str) -> str:
    """The last name of the place that is no number, as `upheld.contract.words.key` writes it."""
    return next((key(part) for part in reversed(pointer.split("/")) if part and not part.isdecimal()), "")


# Without one of these nothing can be found, and the body need not be parsed.
_WORDS = re.compile(
    r"\$2[abxy]\$|\$argon2|pbkdf2|scrypt|\$[56]\$|\{SSHA\}|\{bcrypt\}|PRIVATE KEY|eyJ"
    r"|passw|pwd|passphrase|salt|secret|_?seed|private|otp|mfa|token|cvv|cvc|ssn",
    re.IGNORECASE,
)


def _password(session: Session | None) -> str:
    return session.password if session is not None and len(session.password) >= _SHORTEST_PASSWORD else ""


def _leaves(document: Any) -> Iterator[tuple[str, str]]:
    """(JSON Pointer, text) of every string, the first few thousand nodes."""
    level: list[tuple[str, Any]] = [("", document)]
    for _ in range(_NODES):
        if not level:
            return
        pointer, value = level.pop()
        if isinstance(value, str):
            yield pointer, value
        elif isinstance(value, dict):
            level += [(f"{pointer}/{name}", inner) for name, inner in value.items()]
        elif isinstance(value, list):
            level += [(f"{pointer}/{index}", inner) for index, inner in enumerate(value)]


def _gives(contract: Contract, operation: Operation) -> bool:
    """Handing out a credential is what it is for."""
    auth = contract.auth
    steps = (auth.register, auth.login, auth.refresh, auth.logout, auth.change_password)
    if any(step is not None and step.operation == operation for step in steps):
        return True
    if auth.api_keys is not None and auth.api_keys.create == operation:
        return True
    return bool(_said(operation) & (_OF_SESSIONS if operation.safe else _GIVES))


def _said(operation: Operation) -> set[str]:
    return {word for segment in operation.path.split("/") for word in words(segment)}


@lru_cache(maxsize=4096)
def _hidden(contract: Contract, operation: Operation | None) -> frozenset[str]:
    """Names that the documented answer marks as writeOnly, at its top and in the members of a list."""
    schema = shapes.success_schema(operation) if operation is not None else None
    if schema is None:
        return frozenset()

    def marked(_: str, inner: JsonSchema) -> bool:
        return any(branch.get("writeOnly") is True for branch in shapes.branches(contract.schemas, inner))

    within = (schema, *shapes.properties(contract.schemas, schema).values())
    nodes = [schema, *(inner for node in within if (inner := shapes.items(contract.schemas, node)) is not None)]
    found = (pointer for node in nodes for pointer, _ in shapes.find(contract.schemas, node, marked))
    return frozenset(pointer.rsplit("/", 1)[-1] for pointer in found)


@lru_cache(maxsize=64)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


_ME, _LOGIN, _KEYS = "/api/v1/users/me", "/api/v1/auth/login", "/api/v1/api-keys"
_BCRYPT = "$2b$12$" + "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJlLW9mLXRoaXM"
_PEM = "-----BEGIN PRIVATE KEY-----\nMIIB"
_BOB = Session("bob", "user", "bob@example.test", "correct horse")


def _shown(**properties: Any) -> Exchange:
    return seen("GET", _ME, Response.of(200, {"id": "u1", **properties}), session=_BOB)


def _write_only_hint(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["User"]["properties"]["pin"] = {"type": "string", "writeOnly": True}


def _hashing(document: dict[str, Any]) -> None:
    document["paths"]["/api/v1/items/hash"] = {"post": {"responses": {"200": {"description": "Hashed."}}}}


CONFORMING = (
    Example("a profile", _shown(email="bob@example.test")),
    Example("times and numbers of secrets", _shown(reset_token_expires="2026-11-22T10:00:00Z", token_count=3)),
    Example("whether there is one", _shown(password="set", totp_secret=None, has_password=True)),
    Example("a masked one", _shown(client_secret="sk_live_****abcd", password="********")),
    Example("a page's cursor that is a token", _shown(next_cursor=_TOKEN)),
    Example("a login", seen("POST", _LOGIN, Response.of(200, {"access_token": _TOKEN, "secret": "s3cretS3cret"}))),
    Example("a key that is made", seen("POST", _KEYS, Response.of(201, {"key": "sk_1234567890abcdef"}))),
    Example(
        "the password that was made for a new account",
        seen("POST", "/api/v1/items", Response.of(201, {"id": "i1", "password": "ZGt5VkBWdzLiCoh3"})),
    ),
    Example(
        "a hash that was sent as a text",
        seen(
            "POST", "/api/v1/items", Response.of(201, {"name": _BCRYPT}), body=b'{"name": "' + _BCRYPT.encode() + b'"}'
        ),
    ),
    Example(
        "a hash made of the caller's text is what was asked for",
        seen("POST", "/api/v1/items/hash", Response.of(200, {"data": _BCRYPT}), body=b'{"string": "sample"}'),
        document=_hashing,
    ),
    Example(
        "allowed by the contract", _shown(wifi_password="k9Xw77Qp"), policy={"leak": {"allow": ["^/wifi_password:"]}}
    ),
)

BREACHING = (
    Example("a hash under any name", _shown(credentials={"value": _BCRYPT})),
    Example("a hash of an own kind", _shown(password_hash="5f4dcc3b5aa765d61d8327deb882cf99")),
    Example(
        "a stored digest, when it is made",
        seen("POST", "/api/v1/items", Response.of(201, {"password": "5f4dcc3b5aa765d61d8327deb882cf99"})),
    ),
    Example("a salt", _shown(passwordSalt="9f86d081884c7d65")),
    Example("the password itself", _shown(note="correct horse")),
    Example("a second factor's secret", _shown(totp_secret="JBSWY3DPEHPK3PXP")),
    Example("a private key", _shown(key=_PEM)),
    Example("a stored token", _shown(last=_TOKEN)),
    Example("a hash in a list", seen("GET", "/api/v1/items", Response.of(200, {"items": [{"hash": _BCRYPT}]}))),
    Example(
        "a hash where one may not be asked for", seen("POST", "/api/v1/items", Response.of(201, {"hash": _BCRYPT}))
    ),
    Example("a writeOnly property", _shown(pin="1234"), document=_write_only_hint),
)
