"""Passwords may be long and of any composition, but not short, not the commonest, not the user's name.

## What it requires

A registration with a password of fewer characters than `auth.password.min` (8 where it is not stated) is refused, and so are
the first passwords on every list and the user's own name. One of 64 characters is taken (or of `auth.password.max_bytes`, where
that is less), and so is a long phrase of lower-case letters alone.

## Why

Length is what makes a password hard to guess. Rules about digits and capitals make people write `Password1!`, and a limit of 20
characters shuts out password managers.

## What it sends

Up to eight registrations of unique users, each from another source address: an ordinary strong password as the control, then
one for each rule. A password that the document itself refuses (`maxLength`, `pattern`) is not tried.

## Example of a breach

`qwertyuiop` is registered; a phrase of 29 lower-case letters is refused with "needs a digit".

## When to waive it

Where a stricter policy is imposed from outside, by a regulation or a customer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
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
    Requirement,
    Subject,
    Subjects,
    Unproven,
)
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps import describe, step_request
from upheld.steps.accounts import REGISTER_LINE, newcomer, register

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Passwords may be long and of any composition, but not short, not the commonest, not the user's name",
    level=SHOULD,
    clause=Clause(
        "OWASP ASVS 5.0, 6.2.1, 6.2.4, 6.2.5, 6.2.9",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md",
        "Verify that user set passwords are at least 8 characters in length; that passwords of at least 64 characters are "
        "permitted.",
    ),
    catalogue=("AUTH-10",),
    reads=("auth.register", "auth.password"),
    dear=True,
    cost=8,
    owasp="API2:2023",
    cwe=("CWE-521",),
)

_COMMON = ("password", "12345678", "qwertyuiop")


def subjects(contract: Contract) -> Subjects:
    step = contract.auth.register
    if step is None:
        return Unproven("no operation that registers a user is stated or recognised", REGISTER_LINE)
    return [Subject(step.operation.label, operation=step.operation)]


def converse(lane: Lane) -> Conversation:
    stated = lane.contract.policy.auth.password
    least, most = stated.min or 8, min(64, stated.max_bytes or 64)
    control: Response = yield from register(lane, newcomer(lane, _strong(lane, min(most, max(least, 18)))))
    if not control.ok:
        raise CannotProve(
            f"{lane.operation.label} with a strong password was answered with {describe(control)}", REGISTER_LINE
        )
    faults: list[tuple[str, Request]] = []
    judged, untried = [], []
    for says, person, wanted in _probes(lane, least, most):
        request = _request(lane, person)
        if wanted and not _documented(lane, request):
            untried.append(f"{says} (the document refuses it)")
            continue
        answer: Response = yield from register(lane, person)
        if answer.status >= 500 and not wanted:
            untried.append(f"{says} ({answer.status})")
            continue
        judged.append(says)
        if answer.ok != wanted:
            shown = f"refused with {describe(answer)}" if wanted else f"taken with {answer.status}"
            faults.append((f"{says}: {shown}", request))
    if faults:
        return Finding(
            expected=f"a 4xx for fewer than {least} characters, the commonest passwords and the user's own name; a 2xx for "
            f"{most} characters and for a phrase of lower-case letters",
            actual="; ".join(shown for shown, _ in faults),
            sent=f"registrations with {', '.join(judged)} as the password",
            request=faults[0][1],
        )
    return Kept(f"right for {', '.join(judged)}" + (f"; not judged: {', '.join(untried)}" if untried else ""))


def _probes(lane: Lane, least: int, most: int) -> Iterator[tuple[str, Session, bool]]:
    """(in words, who registers, whether the password is to be taken)"""
    if least > 1:
        yield f"{least - 1} characters", newcomer(lane, _strong(lane, least - 1)), False
    for word in _COMMON:
        if least <= len(word) <= most:
            yield f"{word} itself", newcomer(lane, word), False
    namesake = newcomer(lane, "")
    if least <= len(namesake.user) <= most:
        yield "the user's own name", replace(namesake, password=namesake.user), False
    yield f"{most} characters", newcomer(lane, _strong(lane, most)), True
    phrase = "quietlantern" + "".join(letter for letter in lane.unique("bison") if letter.isalpha()) + "harbour"
    if least <= len(phrase) <= most:
        yield f"{len(phrase)} lower-case letters", newcomer(lane, phrase), True


def _strong(lane: Lane, length: int) -> str:
    text = f"Qv7#{lane.unique()}-Bison"
    return (text * (length // len(text) + 1))[:length]


def _request(lane: Lane, person: Session) -> Request:
    step = lane.contract.auth.register
    assert step is not None
    return step_request(lane, step, person)


def _documented(lane: Lane, request: Request) -> bool:
    """Whether the document takes this body; where it can't be told, it is tried."""
    body = lane.operation.body
    schema = body.json_schema if body is not None else None
    try:
        return schema is None or lane.contract.validator(schema, "request").is_valid(request.json())
    except NotJson:
        return True


def _says(request: Request, text: str) -> bool:
    return request.path.endswith("/register") and f'"password": "{text}' in (request.body or b"").decode()


def _shorter(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Credentials"]["properties"]["password"]["maxLength"] = 20


def _any_length(request: Request, response: Response) -> Response:
    return Response.of(201, {"id": "1"}) if response.status == 422 and "register" in request.path else response


CONFORMING = (
    Example("the sample shop"),
    Example("the document has a limit of its own", document=_shorter),
    Example(
        "common passwords are a conflict with the policy",
        alter=lambda q, r: Response.problem(400) if r.status == 422 else r,
    ),
)

BREACHING = (
    Example("nothing is refused", alter=_any_length),
    Example("no list of common passwords", shop=lambda shop: shop.skips.add("password-policy")),
    Example(
        "a digit is wanted",
        alter=lambda q, r: Response.problem(422) if r.ok and _says(q, "quiet") else r,
    ),
    Example(
        "more than 20 characters are too many",
        alter=lambda q, r: Response.problem(422) if r.ok and len(q.body or b"") > 100 else r,
    ),
)
