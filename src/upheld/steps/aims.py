"""What a request is aimed at: made for the occasion, read before and after, so that a refusal can be held to its word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from upheld.check import CannotProve, Lane, send
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps.requests import Move, discard, id_of, remover, valid_request
from upheld.steps.subjects import MYSELF

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource

State = Mapping[str, Any]
"""A member's properties, without those that are volatile."""
GONE: State = {"it is gone": True}
LISTED: State = {"it is listed": True}


@dataclass(frozen=True, slots=True)
class Aim:
    """A valid request, and how to see whether it was carried out."""

    request: Request
    """As whoever made what it names would send it."""
    family: Resource | None = None
    """Of the member that its path names, or that it creates."""
    read: Request | None = None
    """Shows that member; for a request that creates, the collection. None where nobody at hand may read it."""
    marks: tuple[str, ...] = ()
    """For a request that creates: texts that only what it makes can have."""

    @property
    def is_ours(self) -> bool:
        """What its path names, if anything, was made for the occasion."""
        return self.family is None or self.family.create is not None


def personal(contract: Contract, operation: Operation) -> bool:
    """Who it is about decides whether it can be carried out: the caller's account, or things that belong to who made them."""
    from upheld.contract.links import body_links

    families = [*_families(contract, operation), *body_links(contract, operation).values()]
    return changes_its_caller(operation) or any(family.owned for family in families)


def changes_its_caller(operation: Operation) -> bool:
    """``PATCH /users/me``"""
    return not operation.safe and operation.path.rstrip("/").rsplit("/", 1)[-1] in MYSELF


def stands_alone(contract: Contract, operation: Operation) -> bool:
    """``PUT /settings``: what it changes was there before the run, and nobody can make another one."""
    read = contract.operation(f"GET {operation.path}")
    alone = operation.method in ("PUT", "PATCH") and "{" not in operation.path and read is not None
    return alone and all(read not in (family.list, family.create) for family in contract.resources)


def unchanging(lane: Lane, operation: Operation, request: Request) -> Move:
    """The request, saying what is there already where it `stands_alone` and would change something.

    Raises `CannotProve` where what is there is not shown.
    """
    if not stands_alone(lane.contract, operation) or request.body in (None, b"", b"{}"):
        return request
    return (yield from _putting_back(lane, operation, request, "what is there for everybody"))


def aim(lane: Lane, operation: Operation, maker: Session) -> Move:
    """``one = yield from aim(lane, op, maker)``: what it needs is made by ``maker``, or by somebody at hand who may make it.

    A request about the caller's own account puts back what is there. Raises `CannotProve` where a valid one can't be had.
    """
    contract = lane.contract
    for name in _owned_names(contract):
        lane.known.pop(name, None)
    request: Request = yield from valid_request(lane, operation, maker)
    if changes_its_caller(operation):
        return Aim((yield from _putting_back(lane, operation, request, "the account of whoever calls it")))
    if stands_alone(contract, operation):
        return Aim((yield from unchanging(lane, operation, request)))
    request = _marked(lane, operation, request)
    made = next((family for family in contract.resources if family.create == operation), None)
    if made is not None:
        marks = _marks(lane, request)
        return Aim(request, made, _as_reader(lane, made.list if marks else None, request.path, maker), marks)
    families = _families(contract, operation)
    if not families:
        return Aim(request)
    path = "/".join(request.path.split("/")[: families[-1].member.rstrip("/").count("/") + 1])
    return Aim(request, families[-1], _as_reader(lane, families[-1].read, path, maker))


def look(lane: Lane, one: Aim) -> Move:
    """``state = yield from look(lane, one)``: how it is now; None where that can't be seen."""
    if one.read is None:
        return None
    response: Response = yield from send(one.read)
    if one.marks:
        found = any(mark in response.text for mark in one.marks)
        unseen = not response.ok or (response.truncated and not found)
        return None if unseen else LISTED if found else {}
    if response.status in (404, 410):
        return GONE
    if not response.ok:
        return None
    try:
        value = response.json()
    except NotJson:
        return {"content": response.text}
    volatile = lane.contract.policy.volatile
    if not isinstance(value, dict):
        return {"content": value}
    return {name: json.dumps(member, sort_keys=True) for name, member in value.items() if name not in volatile}


def carried_out(lane: Lane, operation: Operation, one: Aim, before: State | None, maker: Session) -> Move:
    """``what = yield from carried_out(…)``: what shows that the request was carried out, though it was refused.

    A change tells nothing where it would have come without the request too: that is tried on another one of its kind.
    Raises `CannotProve` where it can't be seen any more.
    """
    after = yield from look(lane, one)
    if before is not None and after is None and one.read is not None:
        raise CannotProve(
            f"{one.read.operation} does not show any more whether the refused {operation.label} was carried out"
        )
    names = _difference(before, after)
    if operation.method in ("PUT", "PATCH"):
        names &= _sent(one.request) | GONE.keys() | {"content"}
    if names:
        other = yield from aim(lane, operation, maker)
        undisturbed = yield from look(lane, other)
        names -= _difference(undisturbed, (yield from look(lane, other)))
        yield from drop(lane, operation, other)
    return frozenset(names)


def drop(lane: Lane, operation: Operation, one: Aim, response: Response | None = None) -> Move:
    """Delete what it was aimed at, or what ``response`` says it made. How it goes is not judged."""
    family = one.family
    gone = operation.method == "DELETE" and response is not None and response.ok
    # What is only read may have been there before.
    if gone or operation.safe or family is None or family.create is None:
        return
    removing = remover(lane.contract, family)
    if removing is None or removing.delete is None:
        return
    if family.create == operation:
        identifier = id_of(family, response) if response is not None and response.ok else None
    else:
        identifier = unquote(one.request.path.split("/")[family.member.rstrip("/").count("/")])
    deleter = _permitted(lane, removing.delete, one.request.session)
    if identifier is not None and deleter is not None:
        yield from discard(lane, family, identifier, deleter)


def _families(contract: Contract, operation: Operation) -> list[Resource]:
    """The families whose members its path names, the outermost first."""
    path = operation.path.rstrip("/") + "/"
    named = [family for family in contract.resources if path.startswith(family.member.rstrip("/") + "/")]
    return sorted(named, key=lambda family: family.member.count("/"))


def _owned_names(contract: Contract) -> set[str]:
    """Fields that name things which belong to who made them: another caller needs others there."""
    from upheld.contract.links import body_links

    creates = (family.create for family in contract.resources if family.create is not None)
    return {name for create in creates for name, family in body_links(contract, create).items() if family.owned}


def _permitted(lane: Lane, operation: Operation, first: Session | None) -> Session | None:
    """Somebody at hand whom the contract lets call it, ``first`` if possible."""
    allowed = lane.contract.roles(operation)
    people = [person for person in (first, *lane.at_hand.values()) if person is not None]
    return next((person for person in people if allowed is None or person.role in allowed), None)


def _as_reader(lane: Lane, read: Operation | None, path: str, maker: Session) -> Request | None:
    reader = _permitted(lane, read, maker) if read is not None else None
    return Request("GET", path, session=reader, operation=read.label) if read is not None and reader else None


FREE_TEXT = (
    "name",
    "title",
    "label",
    "subject",
    "description",
    "summary",
    "note",
    "notes",
    "comment",
    "text",
    "content",
)
"""Properties that take any words, where the schema says no more of them."""


def _marked(lane: Lane, operation: Operation, request: Request) -> Request:
    """The request with words of its own in one property, so that what it makes can be found and what it changes shows."""
    schema = operation.body.json_schema if operation.body is not None else None
    try:
        body = request.json()
    except NotJson:
        return request
    if schema is None or not isinstance(body, dict) or _marks(lane, request):
        return request
    for name in (name for name in FREE_TEXT if isinstance(body.get(name), str)):
        other = {**body, name: lane.unique()}
        if lane.contract.validator(schema, "request").is_valid(other):
            return request.with_(body=json.dumps(other).encode())
    return request


def _marks(lane: Lane, request: Request) -> tuple[str, ...]:
    """Values of the body that were made up for this request alone."""
    known = {str(value) for value in lane.known.values()}

    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return [text for member in value for text in texts(member)]
        return [value] if isinstance(value, str) and lane.token in value and value not in known else []

    try:
        return tuple(texts(request.json()))
    except NotJson:
        return ()


def _sent(request: Request) -> frozenset[str]:
    try:
        value = request.json()
    except NotJson:
        return frozenset()
    return frozenset(value) if isinstance(value, dict) else frozenset()


def _difference(before: State | None, after: State | None) -> set[str]:
    if before is None or after is None or before == GONE:
        return set()
    if after == GONE:
        return set(GONE)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _putting_back(lane: Lane, operation: Operation, request: Request, what: str) -> Move:
    """The request with what is read now in its body, so that nothing is changed by it."""
    from upheld.contract import shapes

    read = lane.contract.operation(f"GET {operation.path}")
    schema = operation.body.json_schema if operation.body is not None else None
    if read is not None and schema is not None and operation.method in ("PUT", "PATCH"):
        response: Response = yield from send(
            Request("GET", request.path, session=request.session, operation=read.label)
        )
        try:
            now = response.json() if response.ok else None
        except NotJson:
            now = None
        names = shapes.properties(lane.contract.schemas, schema)
        body = {name: now[name] for name in names if name in now} if isinstance(now, dict) else {}
        if body and lane.contract.validator(schema, "request").is_valid(body):
            return request.with_(body=json.dumps(body).encode())
    raise CannotProve(f"{operation.label} changes {what}, and what to put back is not shown")
