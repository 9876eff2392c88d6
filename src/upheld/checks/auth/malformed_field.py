"""A malformed Authorization field is refused, not believed and not a crash.

## What it requires

Whatever stands in Authorization and is no credential is answered with 400, 401, 403 or, for its size, 431; or the connection is
closed. That is: nothing, a scheme without a token, 16 KiB, octets outside ASCII, too many parts, two fields, a list, a NUL, JSON.

## Why

This field is parsed before anybody is known, so everybody can send it anything. Code that splits it and takes the second part
fails on the first client that sends one part.

## What it sends

To one harmless operation, as raw octets since client libraries refuse some of them: ten malformed fields, each on a connection
of its own. A good credential and none at all come first, as controls.

## Example of a breach

`Authorization: Bearer` is answered `500 Internal Server Error`.

## When to waive it

Never. Where a proxy answers for the service, run against the proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    RawAnswer,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    raw,
    send,
)
from upheld.exchange import Headers, Request, Response, Session
from upheld.steps import caller, canary, control, crashed, describe, octets

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A malformed Authorization field is refused, not believed and not a crash",
    level=MUST,
    clause=Clause(
        "RFC 9110 §11.4",
        "https://www.rfc-editor.org/rfc/rfc9110#section-11.4",
        "Upon receipt of a request for a protected resource that omits credentials, contains invalid credentials […] an "
        "origin server SHOULD send a 401 (Unauthorized) response.",
    ),
    catalogue=("AUTH-04",),
    reads=("identities", "auth.scheme"),
    cost=13,
    owasp="API2:2023",
    cwe=("CWE-20", "CWE-755"),
)

_FIELDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("nothing in it", ("",)),
    ("the scheme alone", ("Bearer",)),
    ("the scheme and spaces", ("Bearer  ",)),
    ("a token of 16 KiB", ("Bearer " + "a" * 16384,)),
    ("octets outside ASCII", ("Bearer \xe4\xf6\xfc\xff",)),
    ("three parts", ("Bearer a b",)),
    ("two fields", ("Bearer a", "Bearer b")),
    ("a list", ("Bearer a, Bearer b",)),
    ("a NUL", ("Bearer a\x00b",)),
    ("JSON", ('{"token": "a"}',)),
)


def subjects(contract: Contract) -> Subjects:
    operation = canary(contract)
    if contract.auth.scheme != "bearer":
        return NotApplicable("access tokens are not sent in Authorization")
    if operation is None:
        return Unproven("no secured GET without parameters is there to send it to")
    return [Subject(operation.label, operation=operation)]


def converse(lane: Lane) -> Conversation:
    session: Session = yield from caller(lane, lane.operation)
    request: Request
    request, _ = yield from control(lane, lane.operation, session)
    bare = request.as_(None)
    nobody: Response = yield from send(bare)
    if nobody.ok:
        raise CannotProve(f"{lane.operation.label} answers {nobody.status} without any credentials")
    faults: list[tuple[str, Response, Request]] = []
    refused, closed = 0, 0
    for says, values in _FIELDS:
        fields = tuple(("Authorization", value) for value in values)
        probe = bare.with_(headers=Headers((*bare.headers.pairs, *fields)))
        # A NUL makes it no HTTP (RFC 9110 §5.5): how that is answered is not for the observers to judge.
        observed = None if "\x00" in values[0] else probe
        answer: RawAnswer = yield from raw(octets(bare, *fields), request=observed)
        last = answer.responses[-1] if answer.responses else None
        if last is not None and (last.ok or crashed(last)):
            faults.append((says, last, probe))
        refused += last is not None and 400 <= last.status < 500 and last.status != 429
        closed += last is None and answer.closed
    if faults:
        _, last, probe = faults[0]
        return Finding(
            expected="400, 401, 403 or 431, or a closed connection",
            actual="; ".join(f"{response.status} for {says}" for says, response, _ in faults)
            + f" (the first: {describe(last)})",
            sent=f"{len(_FIELDS)} malformed Authorization fields to {lane.operation.label}, one at a time",
            request=probe,
        )
    if not refused:
        raise CannotProve("none of the malformed fields was answered as HTTP")
    return Kept(f"{refused} of {len(_FIELDS)} refused" + (f", {closed} by closing the connection" if closed else ""))


def _field(request: Request) -> str:
    return request.headers.get("authorization", "-")


CONFORMING = (
    Example("the sample shop"),
    Example(
        "a server in front refuses with a 400 of its own",
        alter=lambda q, r: (
            Response(400, body=b"Bad Request") if "a" * 99 in _field(q) or not _field(q).isascii() else r
        ),
    ),
    Example("403 for everybody who is not known", alter=lambda q, r: Response.problem(403) if r.status == 401 else r),
)

BREACHING = (
    Example(
        "the second part is taken, and there is none",
        alter=lambda q, r: Response.problem(500) if _field(q) == "Bearer" else r,
    ),
    Example("octets that are not decoded", alter=lambda q, r: r if _field(q).isascii() else Response.problem(500)),
    Example(
        "an empty field is an internal caller",
        alter=lambda q, r: Response.of(200, {"id": "1"}) if _field(q) == "" else r,
    ),
)
