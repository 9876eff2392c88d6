"""An API key works as a whole, in its field, until it is revoked.

## What it requires

A key that was made is accepted in the header that the document declares. A key that differs from it in one character or in case,
a part of it, and the key in the query instead of the header are refused. Once revoked, it is refused.

## Why

Keys live long and are copied around. One that is compared loosely can be guessed piece by piece, one in a URL stands in every
log on the way, and one that can't be revoked has leaked for good.

## What it sends

It makes a key, uses it once as the control, then variations of it, revokes it and uses it again.

## Example of a breach

The lookup compares with a collation that ignores case, so the key works in lower case.

## When to waive it

Where a gateway remembers keys for some seconds after their revocation, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

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
    Subject,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import NotJson, Request, Response
from upheld.steps import caller, control, describe, pointed, with_valid_body

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.contract.model import ApiKeys

REQUIREMENT = Requirement(
    title="An API key works as a whole, in its field, until it is revoked",
    level=MUST,
    clause=Clause(
        "OWASP API2:2023 and, for keys in the URL, ASVS 5.0, 14.2.1",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x23-V14-Data-Protection.md",
        "Verify that sensitive data is only sent to the server in the HTTP message body or header fields, and that the URL "
        "and query string do not contain sensitive information, such as an API key or session token.",
    ),
    catalogue=("AUTH-06",),
    reads=("auth.api_keys",),
    cost=10,
    owasp="API2:2023",
    cwe=("CWE-287", "CWE-598"),
)


def subjects(contract: Contract) -> Subjects:
    keys = contract.auth.api_keys
    if keys is None:
        return NotApplicable("the contract has no operation that makes API keys")
    operation = _taker(contract, keys)
    if operation is None:
        return Unproven(f"no GET without parameters takes {keys.header}, so there is nothing to show a key to")
    return [Subject(operation.label, operation=operation)]


def converse(lane: Lane) -> Conversation:
    keys, operation = lane.contract.auth.api_keys, lane.operation
    assert keys is not None
    person = yield from caller(lane, keys.create)
    made: Request
    answer: Response
    made, answer = yield from control(lane, keys.create, person)
    key = _text(answer, keys.key)
    if key is None:
        raise CannotProve(
            f"{keys.create.label} shows no key at {keys.key}: {describe(answer)}", "auth: {api_keys: {key: /…}}"
        )
    bare = Request("GET", operation.path, operation=operation.label)
    right = _shown(bare, keys, key)
    good: Response = yield from send(right)
    if not good.ok:
        raise CannotProve(f"{operation.label} with the key that was just made was answered with {describe(good)}")
    variations = dict(_variations(lane.contract, keys, operation, bare, key))
    accepted: dict[str, Request] = {}
    for says, request in variations.items():
        response: Response = yield from send(request)
        if response.ok and says == _NOTHING:
            raise CannotProve(f"{operation.label} lets in who shows no key at all, so it tells nothing of keys")
        if response.ok:
            accepted[f"{response.status} for {says}"] = request
    revoke = _revoke_request(lane, keys, made, answer)
    revoked: Response | None = (yield from send(revoke)) if revoke is not None else None
    if accepted:
        return Finding(
            expected="a refusal (4xx, such as 401) of all but the key itself in its field",
            actual="; ".join(accepted),
            sent=f"a key that was just made, and variations of it, to {operation.label}",
            request=_nameless(next(iter(accepted.values())), keys),
        )
    if revoke is None or revoked is None:
        return Kept(f"{len(variations)} variations refused; none was revoked, no operation for it is known")
    if not revoked.ok:
        raise CannotProve(
            f"{len(variations)} variations are refused; the key can't be revoked: {revoke.operation} was answered with "
            + describe(revoked)
        )
    after: Response = yield from send(right)
    if after.ok:
        return Finding(
            expected="a refusal (4xx, such as 401) of a key that was revoked",
            actual=f"{revoke.operation} was answered {revoked.status}, then the key was still answered {after.status}",
            sent=f"a key that works, its revocation, the key again, to {operation.label}",
            request=_nameless(right, keys),
        )
    return Kept(f"{len(variations)} variations and the revoked key are refused")


_NOTHING = "no key"


def _taker(contract: Contract, keys: ApiKeys) -> Operation | None:
    """A GET that needs nothing but a key, by the shortest path."""
    schemes = {
        name
        for name, scheme in contract.security_schemes.items()
        if scheme.get("type") == "apiKey" and str(scheme.get("name", "")).lower() == keys.header.lower()
    }
    found = [
        op
        for op in contract.operations
        if op.method == "GET"
        and not contract.is_public(op)
        and any(alternative <= schemes for alternative in op.security)
        and not any(parameter.required for parameter in op.parameters)
        and op.label not in contract.dangerous
        and contract.roles(op) is None
    ]
    return min(found, key=lambda op: (len(op.path), op.path), default=None)


def _variations(
    contract: Contract, keys: ApiKeys, operation: Operation, bare: Request, key: str
) -> Iterator[tuple[str, Request]]:
    yield _NOTHING, bare
    middle = len(key) // 2
    other = "x" if key[middle] != "x" else "y"
    yield "a key that differs in one character", _shown(bare, keys, key[:middle] + other + key[middle + 1 :])
    yield "the first half of the key", _shown(bare, keys, key[:middle])
    if flipped := _flipped(key):
        yield "the key with upper and lower case exchanged", _shown(bare, keys, flipped)
    offered = (contract.security_schemes.get(name, {}) for names in operation.security for name in names)
    if not any(scheme.get("in") == "query" for scheme in offered):
        yield f"the key in the query (?{keys.header}=…)", bare.with_(query=((keys.header, key),))


def _shown(bare: Request, keys: ApiKeys, key: str) -> Request:
    return bare.with_(headers=bare.headers.with_(keys.header, key))


def _nameless(request: Request, keys: ApiKeys) -> Request:
    """The request with a placeholder for the key: it may be in a field that nobody knows to hold secrets."""
    if keys.header in request.headers:
        return _shown(request, keys, "$API_KEY")
    return request.with_(query=tuple((name, "$API_KEY") for name, _ in request.query))


def _flipped(key: str) -> str:
    """The key with the case of its longest part exchanged; empty for hexadecimal and the like, where case may mean nothing."""
    longest = max(re.findall(r"[A-Za-z0-9]+", key), key=len, default="")
    matters = longest.upper() != longest and longest.lower() != longest
    return key.replace(longest, longest.swapcase()) if matters else ""


def _revoke_request(lane: Lane, keys: ApiKeys, made: Request, answer: Response) -> Request | None:
    """The request that revokes the key which ``answer`` shows; None where no operation for it is known."""
    identifier = _text(answer, keys.id_pointer)
    if keys.revoke is None or identifier is None:
        return None
    collection = keys.create.path.rstrip("/")
    below = keys.revoke.path.startswith(collection + "/")
    # What the collection's own path names, a user or a project, is in the path that made the key.
    path = made.path.rstrip("/") + keys.revoke.path.removeprefix(collection) if below else keys.revoke.path
    path = re.sub(r"\{[^{}]+\}", lambda _: quote(identifier, safe=""), path, count=1)
    request = Request(keys.revoke.method, path, session=made.session, operation=keys.revoke.label)
    return None if "{" in path else with_valid_body(lane, request, keys.revoke)


def _text(answer: Response, pointer: str) -> str | None:
    try:
        value = pointed(answer.json(), pointer) if pointer else None
    except (NotJson, LookupError):
        return None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


_ME = Response.of(200, {"id": "1", "email": "a@example.test", "role": "user"})


class _Prefix:
    """The first characters of a key are enough."""

    def __init__(self) -> None:
        self.key = ""

    def __call__(self, request: Request, response: Response) -> Response:
        if request.path.endswith("/api-keys") and response.ok:
            self.key = response.json()["key"]
        given = request.headers.get("x-api-key", "")
        return _ME if given and len(given) >= 8 and self.key.startswith(given) and response.status == 401 else response


CONFORMING = (
    Example("the sample shop"),
    Example("403 for what is no key", alter=lambda q, r: Response.problem(403) if r.status == 401 else r),
)

BREACHING = (
    Example("case does not count", shop=lambda shop: shop.skips.add("exact-key")),
    Example("a revoked key goes on working", shop=lambda shop: shop.skips.add("revoked-key")),
    Example("a part of the key will do", alter=_Prefix),
    Example("the key in the query", alter=lambda q, r: _ME if dict(q.query).get("X-API-Key") else r),
)
