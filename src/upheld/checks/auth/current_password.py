"""A password is changed only by who knows it.

## What it requires

The operation that changes the caller's password asks for the current one: with a wrong one, or without one, it refuses (4xx) and
the password stays what it was.

## Why

A session can be borrowed: a phone left on a table, a token in a log. Whoever borrows it must not be able to keep it.

## What it sends

For a user made for the occasion: a change with a wrong current password, one without, and at last one with the right password,
which has to work.

## Example of a breach

`PUT /users/me/password` takes any `current_password` and answers `204`.

## When to waive it

Where something else was asked for just before: a second factor, or a login of the last minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
    Subject,
    Subjects,
    send,
)
from upheld.exchange import Request, Response, Session
from upheld.steps import Move, describe, step_request
from upheld.steps.sessions import carried, other_password, signed_in_again, throw_away

if TYPE_CHECKING:
    from upheld.contract import Contract, Step

REQUIREMENT = Requirement(
    title="A password is changed only by who knows it",
    level=MUST,
    clause=Clause(
        "OWASP ASVS 5.0, 6.2.3",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md",
        "Verify that password change functionality requires the user's current and new password.",
    ),
    catalogue=("AUTH-12",),
    reads=("auth.change_password",),
    dear=True,
    cost=5,
    owasp="API2:2023",
    cwe=("CWE-620",),
)


def subjects(contract: Contract) -> Subjects:
    change = contract.auth.change_password
    if change is None:
        return NotApplicable("the contract has no operation that changes the caller's own password")
    return [Subject(change.operation.label, operation=change.operation)]


def converse(lane: Lane) -> Conversation:
    change = lane.contract.auth.change_password
    assert change is not None
    person: Session = yield from throw_away(lane)
    new = other_password(person.password)
    guess = replace(person, password=person.password[1:] + person.password[0])
    nowhere = replace(change, body=_without(change.body, "$password"))
    attempts: dict[str, Request] = {}
    if _asks(change):
        attempts["with a wrong current password"] = step_request(lane, change, guess, new_password=new)
    if not _asks(nowhere):
        attempts["without the current password"] = step_request(lane, nowhere, person, new_password=new)
    for says, request in attempts.items():
        finding: Finding | None = yield from _attempt(lane, person, new, says, carried(request, change, person))
        if finding is not None:
            return finding
    right = carried(step_request(lane, change, person, new_password=new), change, person)
    answer: Response = yield from send(right)
    if not answer.ok:
        raise CannotProve(
            f"{change.operation.label} refuses the right current password as well: {describe(answer)}",
            f"auth: {{change_password: {{op: {change.operation.label}, body: {{…: $password, …: $new_password}}}}}}",
        )
    return Kept(f"refused {' and '.join(attempts)}")


def _attempt(lane: Lane, person: Session, new: str, says: str, request: Request) -> Move:
    """A finding where the attempt changed the password; the login with the new one is what proves it."""
    answer: Response = yield from send(request)
    if answer.status >= 500:
        raise CannotProve(f"a change {says} was neither taken nor refused: {describe(answer)}")
    if not answer.ok:
        return None
    if (yield from signed_in_again(lane, person, new)) is None:
        raise CannotProve(f"a change {says} was answered {answer.status}, but the new password does not sign in")
    return Finding(
        expected="4xx (400, 401, 403 or 422), and the password stays what it was",
        actual=f"{answer.status} for a change {says}: the new password signs in",
        sent=f"a password change {says}, and a login with the new one",
        request=request,
    )


def _asks(step: Step) -> bool:
    """There is a place for the current password in its request."""
    return "$password" in f"{step.body} {dict(step.headers)}"


def _without(template: Any, name: str) -> Any:
    """The template without the members that hold this placeholder."""
    if isinstance(template, Mapping):
        return {key: _without(value, name) for key, value in template.items() if value != name}
    return template


class _LeftOut:
    """The current password is compared where it is sent, and not asked for where it is not."""

    def __init__(self) -> None:
        self.changed = b""

    def __call__(self, request: Request, response: Response) -> Response:
        if request.path.endswith("/password") and request.body and "current_password" not in request.json():
            self.changed = request.json()["new_password"].encode()
            return Response(204)
        if self.changed and request.path.endswith("/login") and self.changed in (request.body or b""):
            return Response.of(200, {"access_token": "a", "refresh_token": "b"})
        return response


def _optional(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["PasswordChange"]["required"] = ["new_password"]


CONFORMING = (
    Example("the sample shop"),
    Example("422 for a wrong one", alter=lambda q, r: Response.problem(422) if r.status == 401 else r),
    Example("the document lets it out, the service does not", document=_optional),
)

BREACHING = (
    Example("any current password will do", shop=lambda shop: shop.skips.add("current-password")),
    Example("it may be left out", alter=_LeftOut),
)
