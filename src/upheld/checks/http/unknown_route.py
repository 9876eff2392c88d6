"""A path that does not exist is answered with 404.

## What it requires

Paths below the version prefix that no contract knows are answered with 404, or with what `unknown_route:` says. Before a caller has
signed in, 401 and 403 are as good.

## Why

A catch-all that answers 200 with a start page or an empty object hides every misspelt address: clients parse HTML as data, and monitors
see a healthy service. A 5xx there shows a router that can be tripped.

## What it sends

A GET to two paths with a random name below the prefix and a POST to one, signed in where an operation of the contract lets somebody in.

## Example of a breach

`GET /api/v1/u7f3a1x1` is answered `200 text/html`: the single-page application's index.

## When to waive it

Where a gateway answers unknown paths for all services behind it; say what it answers under `unknown_route:` instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    SERVICE,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import caller, canary, describe, templates

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A path that does not exist is answered with 404",
    level=MUST,
    clause=Clause(
        "RFC 9110 §15.5.5",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.5",
        "the origin server did not find a current representation for the target resource or is not willing to disclose "
        "that one exists",
    ),
    catalogue=("HTTP-07",),
    reads=("prefix", "unknown_route"),
    cost=3,
    owasp="API9:2023",
)


def subjects(contract: Contract) -> Subjects:
    return [SERVICE]


def converse(lane: Lane) -> Conversation:
    contract = lane.contract
    door = canary(contract)
    try:
        session = (yield from caller(lane, door)) if door else None
    except CannotProve:
        session = None
    allowed = {404, contract.policy.unknown_route} | (set() if session else {401, 403})
    first, second = (f"{contract.prefix}/{lane.unique()}" for _ in range(2))
    tried = [Request("GET", first), Request("GET", f"{first}/{lane.unique()}"), Request("POST", second).with_json({})]
    judged = 0
    for request in (r.as_(session) for r in tried if not templates(contract, r.path)):
        response = yield from send(request)
        if response.status not in allowed:
            return Finding(
                expected=" or ".join(str(status) for status in sorted(allowed)) + _hint(response.status),
                actual=describe(response),
                sent=f"{request.method} {request.path}, a path that no contract knows",
                origin=f"{response.status} on unknown paths",
                request=request,
            )
        judged += 1
    return (
        Kept(f"{judged} unknown paths")
        if judged
        else Unproven("every path below the prefix fits a template of the contract")
    )


def _hint(status: int) -> str:
    return f" (if {status} is meant, the contract says unknown_route: {status})" if status in (401, 403) else ""


def _answer(says: str, made: Response, **policy: object) -> Example:
    def alter(_: Request, response: Response) -> Response:
        return made if response.status == 404 else response

    return Example(says, alter=alter, policy=policy)


CONFORMING = (
    Example("404"),
    _answer("a gateway that says 403, as the contract does", Response.problem(403), unknown_route=403),
)

BREACHING = (
    _answer("the start page", Response.of(200, content_type="text/html")),
    _answer("nothing, with success", Response.of(200, {})),
    _answer("a failure", Response.problem(500)),
    _answer("403 to somebody who is signed in", Response.problem(403)),
)
