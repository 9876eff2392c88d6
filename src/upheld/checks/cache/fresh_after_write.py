"""A read after a write shows the write.

## What it requires

After a member was changed, reading it shows the change, on every connection; after it was deleted, it is gone. Both at once, or
within `caching.stale_after_write`.

## Why

A cache that is not told of a write shows yesterday's price. It works in every test that reads only once.

## What it sends

It makes a member, reads it until every cache is warm, changes one field, and reads it on new connections, which may meet other
processes. Then it deletes the member and reads again.

## Example of a breach

`PUT /products/1` with a new name is answered `200`, and `GET /products/1` still shows the old one.

## When to waive it

Where reads are eventually consistent by design: say how stale with `caching: {stale_after_write: 2s}`.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    Requirement,
    Subjects,
    send,
    wait,
)
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps import caller, describe, make, member_path, resources, with_valid_body

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource

REQUIREMENT = Requirement(
    title="A read after a write shows the write",
    level=MUST,
    clause=Clause(
        "RFC 9111 §4.4 and the contract's caching",
        "https://www.rfc-editor.org/rfc/rfc9111#section-4.4",
        "Because unsafe request methods such as PUT, POST, or DELETE have the potential for changing state on the origin "
        "server, intervening caches are required to invalidate stored responses to keep their contents up to date.",
    ),
    catalogue=("CACHE-07",),
    reads=("caching.routes", "caching.stale_after_write", "volatile", "normalised"),
    cost=12,
)

_WARM = 2
_AGAIN = 3
"""Reads before and after a write; those after it are on new connections, to meet all workers."""


def subjects(contract: Contract) -> Subjects:
    def changes(family: Resource) -> bool:
        writes = (family.replace, family.update, family.delete)
        return bool(family.create and family.read and any(writes)) and "{" not in family.collection

    return resources(contract, changes, "the contract has no members that can be made, read and changed")


def converse(lane: Lane) -> Conversation:
    family = lane.subject.resource
    assert family is not None
    assert family.create is not None
    assert family.read is not None
    author: Session | None = yield from caller(lane, family.create)
    identifier: str
    identifier, _ = yield from make(lane, family, author)
    path = member_path(family, identifier)
    read = Request("GET", path, session=author if family.read.secured else None, operation=family.read.label)
    before: Response | None = None
    for _ in range(_WARM):
        before = yield from send(read)
    assert before is not None
    if not before.ok:
        raise CannotProve(f"what was made can't be read: {family.read.label} was answered with {describe(before)}")
    held = []
    write = family.replace or family.update
    if write is not None and write.label not in lane.contract.dangerous:
        field, request = _change(lane, write, path, author, before)
        if field:
            answer: Response = yield from send(_conditional(request, before))
            if answer.ok:
                value = request.json()[field]
                for response in (yield from _look(lane, read)):
                    if response.ok and _field(response, field) == _field(before, field) != value:
                        return Finding(
                            expected=f"{field}: {value!r}, as {write.label} said",
                            actual=f"{field}: {_field(response, field)!r}, as before the write",
                            sent=f"{family.create.label}, {_WARM} × {family.read.label}, {write.label}, {family.read.label}",
                            request=read,
                        )
                    before = response if response.ok else before
                held.append("a change")
    if family.delete is not None and family.delete.label not in lane.contract.dangerous:
        remover = author
        if (allowed := lane.contract.roles(family.delete)) and (author is None or author.role not in allowed):
            remover = yield from caller(lane, family.delete)
        gone: Response = yield from send(Request("DELETE", path, session=remover, operation=family.delete.label))
        if gone.ok:
            for response in (yield from _look(lane, read)):
                if response.ok and response.body == before.body:
                    return Finding(
                        expected="404 or 410 after the DELETE",
                        actual=f"{response.status} with what stood there before",
                        sent=f"{family.create.label}, {_WARM} × {family.read.label}, {family.delete.label}, {family.read.label}",
                        request=read,
                    )
            held.append("a deletion")
    if not held:
        raise CannotProve(f"no write to {family.member} succeeded, so there was nothing to be stale")
    return Kept(f"{' and '.join(held)} shown on {_AGAIN} new connections")


def _look(lane: Lane, read: Request) -> Any:
    stale = lane.contract.policy.caching.stale_after_write
    if stale:
        yield from wait(stale)
    answers = []
    for _ in range(_AGAIN):
        answers.append((yield from send(read, new_connection=True)))
    return answers


def _change(lane: Lane, write: Operation, path: str, author: Session | None, before: Response) -> tuple[str, Request]:
    """A write that changes one field that the representation shows, and that field; no field when there is none to change."""
    request = Request(write.method, path, session=author, operation=write.label)
    request = with_valid_body(lane, request, write)
    try:
        body, shown = request.json(), before.json()
    except NotJson:
        return "", request
    if not isinstance(body, dict) or not isinstance(shown, dict):
        return "", request
    skipped = {*lane.contract.policy.volatile, *lane.contract.policy.normalised}
    properties = _properties(lane, write)
    for name, value in {**{n: shown[n] for n in properties if n in shown}, **body}.items():
        new = _other(value, properties.get(name), lane)
        if name in shown and name not in skipped and new is not None and new != shown[name]:
            # A PATCH names the one field; a PUT is the whole representation.
            changed = {name: new} if write.method == "PATCH" else {**body, name: new}
            schema = write.body.json_schema if write.body else None
            if schema is None or lane.contract.validator(schema, "request").is_valid(changed):
                return name, request.with_json(changed).with_headers(content_type=request.headers["content-type"])
    return "", request


def _properties(lane: Lane, write: Operation) -> Mapping[str, Any]:
    from upheld.contract.shapes import properties

    schema = write.body.json_schema if write.body else None
    return properties(lane.contract.schemas, schema) if schema is not None else {}


def _other(value: Any, schema: Any, lane: Lane) -> Any:
    """Another value of the same kind; None when we can't tell one."""
    rule = schema if isinstance(schema, Mapping) else {}
    if isinstance(value, str) and not {"format", "pattern", "enum", "const"} & rule.keys():
        return lane.unique("changed")[: int(rule.get("maxLength", 60))]
    if isinstance(value, int) and not isinstance(value, bool) and not {"enum", "const"} & rule.keys():
        return value + 1 if value + 1 <= rule.get("maximum", value + 1) else value - 1
    return None


def _conditional(request: Request, before: Response) -> Request:
    """With If-Match where the service gives ETags: one that insists on it would refuse the write."""
    tag = before.headers.get("etag", "")
    return request.with_headers(if_match=tag) if tag and not tag.startswith("W/") else request


def _field(response: Response, name: str) -> Any:
    try:
        document = response.json()
    except NotJson:
        return None
    return document.get(name) if isinstance(document, dict) else None


class _NeverForgets:
    """An item cache that writes do not reach."""

    def __init__(self) -> None:
        self.kept: dict[str, Response] = {}

    def __call__(self, request: Request, response: Response) -> Response:
        if request.method != "GET" or not request.path.startswith("/api/v1/items/"):
            return response
        return self.kept.setdefault(request.path, response)


class _ForgetsChangesOnly(_NeverForgets):
    """An item cache that changes reach and deletions do not."""

    def __call__(self, request: Request, response: Response) -> Response:
        if request.method == "PUT":
            self.kept.clear()
        return super().__call__(request, response)


CONFORMING = (
    Example("the sample shop's items", subject="/api/v1/items"),
    Example("orders, which can only be deleted", subject="/api/v1/orders"),
)

BREACHING = (
    Example("a change is not seen", subject="/api/v1/items", alter=_NeverForgets),
    Example("a deletion is not seen", subject="/api/v1/items", alter=_ForgetsChangesOnly),
)
