"""Everything lives under the version prefix.

## What it requires

Each path of the contract stands below `prefix:`, but for those that `public:` lists and for open GETs such as a health check. What stands there is not served a second time
without the prefix, without its version, or under a version that was never published.

## Why

A client that gets along without the version breaks on the day of the second one. And a service that answers any version with its newest tells
all clients that theirs still exists.

## What it sends

One GET that succeeds, then the same path without the prefix, without the version segment, and with the versions 0 and 99.

## Example of a breach

`GET /api/v99/items` is answered with the items of `/api/v1/items`.

## When to waive it

While old addresses without a version are being phased out: with the date of their end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    SERVICE,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import NotJson, Request, Response
from upheld.steps import caller, control, describe, plain_get, templates

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="Everything lives under the version prefix",
    level=MUST,
    clause=Clause(
        "OWASP API9:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa9-improper-inventory-management/",
        "Inventory all API hosts and document important aspects of each one of them, focusing on … the API version.",
    ),
    catalogue=("VER-01",),
    reads=("prefix", "public", "versioning"),
    cost=5,
    owasp="API9:2023",
    cwe=("CWE-1059",),
)

_VERSION = re.compile(r"(v?)\d+(?:\.\d+)*", re.IGNORECASE)


def subjects(contract: Contract) -> Subjects:
    if contract.policy.versioning in ("header", "none"):
        return NotApplicable(f"the contract says versioning: {contract.policy.versioning}")
    return [SERVICE] if contract.prefix.strip("/") else NotApplicable("the contract has no version prefix")


def converse(lane: Lane) -> Conversation:
    contract = lane.contract
    outside = [op.label for op in contract.operations if not _may_stand(contract, op)]
    if outside:
        return Finding(
            expected=f"paths below {contract.prefix}, or listed under public:",
            actual=f"{', '.join(outside[:5])}" + (f" and {len(outside) - 5} more" if len(outside) > 5 else ""),
            sent="nothing: the document was read",
        )
    operation = plain_get(contract)
    if operation is None or not operation.path.startswith(contract.prefix + "/"):
        return Unproven(
            "the paths of the document are right; no GET without parameters stands below the prefix to try others"
        )
    session = yield from caller(lane, operation)
    request, good = yield from control(lane, operation, session)
    tried = [path for path in _others(contract.prefix, operation.path) if not templates(contract, path)]
    for path in tried:
        probe = request.with_(path=path, operation=None)
        response = yield from send(probe)
        if response.ok and _same_kind(response, good):
            return Finding(
                expected="404",
                actual=describe(response)[:160],
                sent=f"GET {path}, in place of {request.path}",
                request=probe,
            )
    return Kept(f"{len(tried)} other addresses")


def _may_stand(contract: Contract, operation: Operation) -> bool:
    # /api/{version}/openapi.json is below /api/v1 when it is asked for so.
    parts = zip(operation.path.split("/"), contract.prefix.split("/"), strict=False)
    below = operation.path.count("/") > contract.prefix.count("/") and all("{" in a or a == b for a, b in parts)
    if below or (operation.method == "GET" and not operation.secured):
        return True
    return any(contract.matches(pattern, operation) for pattern in contract.policy.public)


def _others(prefix: str, path: str) -> list[str]:
    rest = path[len(prefix) :]
    parent, _, last = prefix.rpartition("/")
    others = [rest]
    version = _VERSION.fullmatch(last)
    if version is not None:
        others += [parent + rest] if parent else []
        others += [f"{parent}/{version[1]}{number}{rest}" for number in (0, 99)]
    return others


def _same_kind(response: Response, good: Response) -> bool:
    """Data of the API, not the start page that some servers answer with to whatever they don't know."""
    if response.media_type != good.media_type:
        return False
    if not good.is_json:
        return response.body == good.body
    try:
        mine, theirs = response.json(), good.json()
    except NotJson:
        return False
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return bool(mine.keys() & theirs.keys()) or mine == theirs
    return type(mine) is type(theirs)


def _also_at(says: str, pattern: str) -> Example:
    def alter(request: Request, response: Response) -> Response:
        if re.fullmatch(pattern, request.path):
            return Response.of(200, {"items": [], "status": "ok", "id": "u1", "email": "a@example.test"})
        return response

    return Example(says, alter=alter)


def _page(request: Request, response: Response) -> Response:
    if response.status == 404 and not request.path.startswith("/api/"):
        return Response(200, response.headers.with_("Content-Type", "text/html"), b"<!doctype html>")
    return response


CONFORMING = (
    Example("404 everywhere else"),
    Example("a web page at every address outside the API", alter=_page),
)

BREACHING = (
    _also_at("without the prefix", r"/(?!api)\w+(/\w+)?"),
    _also_at("without the version", r"/api/(?!v1)\w+(/\w+)?"),
    _also_at("any version", r"/api/v\d\d/.+"),
    Example("a path outside", document=lambda d: d["paths"].update({"/internal": d["paths"].pop("/api/v1/users/me")})),
)
