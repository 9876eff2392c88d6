"""Somebody else's thing is answered like one that does not exist.

## What it requires

Where the contract hides foreign things (`ownership: {foreign: 404}`), the answer for an id that belongs to somebody else has the same status
and the same body as the answer for an id that nobody has.

## Why

A different sentence, or a field that is there only when something was found, tells a stranger which ids exist: orders can be counted,
invitations guessed, competitors watched.

## What it sends

One identity makes a member and reads it. Another of the same role asks for it, and for two ids of the same form that name nothing. What
differs between the answers to those two (request ids, times, the path itself) is left out of the comparison.

## Example of a breach

`404 {"detail": "This order belongs to another account"}` for a foreign order, `404 {"detail": "No such order"}` for a missing one.

## When to waive it

Where ids are counted upwards, whoever wants to know how many there are needs no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

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
    Subjects,
    send,
)
from upheld.checks.authz._owners import Belonging, belonging, document, owned, pair, stranger
from upheld.exchange import Request, Response
from upheld.steps import describe, discard, member_path, resources

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Somebody else's thing is answered like one that does not exist",
    level=SHOULD,
    clause=Clause(
        "RFC 9110 §15.5.5",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.5",
        "The 404 (Not Found) status code indicates that the origin server did not find a current representation for the "
        "target resource or is not willing to disclose that one exists.",
    ),
    catalogue=("AUTHZ-05",),
    reads=("identities", "ownership.foreign"),
    cost=7,
    owasp="API1:2023",
    cwe=("CWE-204",),
)


def subjects(contract: Contract) -> Subjects:
    foreign = contract.policy.ownership.foreign
    if foreign != 404:
        says = "says that it exists (403)" if foreign == 403 else "is left open (ownership: {foreign: 404} hides it)"
        return NotApplicable(f"how somebody else's thing is refused {says}")
    families = owned(contract)
    return resources(
        contract, lambda family: family in families, "the contract has no members that belong to whoever made them"
    )


def converse(lane: Lane) -> Conversation:
    family = lane.subject.resource
    assert family is not None
    assert family.read is not None
    owner, other = yield from pair(lane, family)
    thing: Belonging = yield from belonging(lane, family, owner, other)
    request = thing.read.as_(other)
    foreign: Response = yield from send(request)
    ids = [stranger(lane, thing.identifier) for _ in range(2)]
    missing: list[Response] = []
    for identifier in ids:
        answer: Response = yield from send(request.with_(path=member_path(family, identifier, family.read.path)))
        missing.append(answer)
    yield from discard(lane, family, thing.identifier, owner)
    if foreign.ok:
        raise CannotProve(f"{other.name} may read what {owner.name} made, which is authz/foreign-read's to tell")
    if missing[0].status != missing[1].status or missing[0].ok or missing[0].status >= 500:
        raise CannotProve(f"ids that name nothing are answered with {describe(missing[0])}, {describe(missing[1])}")
    sent = f"{family.read.label} as {other.name}, of {owner.name}'s id and of ids that nobody has"
    if foreign.status != missing[0].status:
        return Finding(
            expected=f"one answer for both: {missing[0].status}",
            actual=f"{foreign.status} for what belongs to {owner.name}, {missing[0].status} for what nobody has",
            sent=sent,
            request=request,
        )
    first, second = _features(missing[0], ids[0]), _features(missing[1], ids[1])
    same = {name: value for name, value in first.items() if second.get(name) == value}
    noise = (first.keys() | second.keys()) - same.keys()
    seen = {name: value for name, value in _features(foreign, thing.identifier).items() if name not in noise}
    different = sorted(name for name in same.keys() | seen.keys() if same.get(name) != seen.get(name))
    if different:
        name = different[0]
        return Finding(
            expected=f"the answer for what nobody has: {name} {_said(same, name)}",
            actual=f"{foreign.status} for what belongs to {owner.name}, with {name} {_said(seen, name)}",
            sent=sent,
            request=request,
        )
    return Kept(f"{foreign.status} and the same body for both")


_TELLING = ("etag", "last-modified", "content-type", "www-authenticate", "cache-control", "location", "allow")


def _features(response: Response, identifier: str) -> dict[str, str]:
    """Everything of the answer that could tell, by where it stands, with the id itself left out."""
    forms = sorted({identifier, quote(identifier, safe="")}, key=len, reverse=True)
    pattern = re.compile("|".join(rf"(?<![0-9A-Za-z]){re.escape(form)}(?![0-9A-Za-z])" for form in forms))
    found = {name: response.headers[name] for name in _TELLING if name in response.headers}
    body = document(response)
    found |= {"the body": response.text} if body is None else dict(_leaves(body, ""))
    return {name: pattern.sub("{id}", value) for name, value in found.items()}


def _leaves(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{pointer}/{name}")
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{pointer}/{index}")
    else:
        yield pointer or "the body", str(value)


def _said(features: dict[str, str], name: str) -> str:
    return repr(features[name][:100]) if name in features else "absent"


_ORDER = "/api/v1/orders/"


def _foreign(detail: str, *, header: bool = False, status: int = 404) -> Any:
    """Tells foreign orders from missing ones: the sample's ids of orders that exist begin with ``o`` and are short."""

    class Telling:
        def __init__(self) -> None:
            self.made: set[str] = set()

        def __call__(self, request: Request, response: Response) -> Response:
            if request.path == "/api/v1/orders" and response.status == 201:
                self.made.add(response.json()["id"])
            if response.status != 404 or request.path.removeprefix(_ORDER) not in self.made:
                return response
            if header:
                return Response(response.status, response.headers.with_("ETag", '"7"'), response.body)
            return Response.problem(status, detail)

    return Telling


def _with_ids(request: Request, response: Response) -> Response:
    if response.status != 404 or not request.path.startswith(_ORDER):
        return response
    body = {"title": f"No order {request.path.removeprefix(_ORDER)}", "instance": request.path, "at": response.at}
    return Response.of(404, body)


class _Numbered:
    def __init__(self) -> None:
        self.number = 0

    def __call__(self, request: Request, response: Response) -> Response:
        self.number += 1
        return Response.of(404, {"trace": f"t{self.number}"}) if response.status == 404 else response


CONFORMING = (
    Example("the sample shop"),
    Example("the id is repeated", alter=_with_ids),
    Example("every answer has a number of its own", alter=_Numbered),
)

BREACHING = (
    Example("another sentence", alter=_foreign("It belongs to another account")),
    Example("an entity tag", alter=_foreign("", header=True)),
    Example("another status", alter=_foreign("", status=403)),
)
