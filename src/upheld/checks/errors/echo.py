"""Refused credentials are not repeated, and markup is never served as a page.

## What it requires
When a login or registration is refused because of its form, the answer repeats the password neither in its content nor in its header
fields. A name with markup in it never comes back unescaped in an answer of the type `text/html`.

## Why
Validators that quote the input (`"input": {"password": "…"}`) put passwords into logs, error trackers and screenshots (CWE-532). A page
that repeats markup runs it (CWE-79).

## What it sends
To the login and the registration: a password without a user name, a password in a list, and a name with markup in it. The password is
random, so a hit is no coincidence.

## Example of a breach
FastAPI's default 422 for a missing user name: `{"detail": [{"loc": ["body", "username"], "input": {"password": "hunter2"}}]}`.

## When to waive it
Never for passwords.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

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
from upheld.exchange import Request, Response
from upheld.steps import describe, step_request, with_body

if TYPE_CHECKING:
    from upheld.contract import Contract, Step

REQUIREMENT = Requirement(
    title="refused credentials are not repeated",
    level=MUST,
    clause=Clause(
        "OWASP ASVS 5.0 §16.5.1",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x25-V16-Security-Logging-and-Error-Handling.md",
        "ensuring no exposure of sensitive internal system data such as stack traces, queries, secret keys, and tokens",
    ),
    catalogue=("ERR-11",),
    cost=3,
    owasp="API8:2023",
    cwe=("CWE-209", "CWE-532", "CWE-79"),
)


def _steps(contract: Contract) -> list[Step]:
    return [step for step in (contract.auth.login, contract.auth.register) if step is not None]


def subjects(contract: Contract) -> Subjects:
    found = [Subject(step.operation.label, operation=step.operation) for step in _steps(contract)]
    return found or NotApplicable("the contract has no login and no registration")


def converse(lane: Lane) -> Conversation:
    step = next(step for step in _steps(lane.contract) if step.operation == lane.operation)
    secret = f"Zq7-{lane.unique('canary')}"
    markup = f"<script>{lane.unique('canary')}</script>"
    refused = 0
    for words, request in _probes(lane, step, secret, markup):
        answer: Response = yield from send(request)
        refused += 400 <= answer.status < 500
        fields = [name for name, value in answer.headers.pairs if secret in value]
        if secret in answer.text or fields:
            place = f"the field {fields[0]}" if fields else "its content"
            return Finding(
                sent=f"{lane.operation.label} with {words}",
                expected="an answer without the password",
                actual=f"{answer.status} with the password in {place}: {describe(answer)}",
                origin=f"input is repeated in {place}",
                request=request,
            )
        if answer.media_type == "text/html" and markup in answer.text:
            return Finding(
                sent=f"{lane.operation.label} with {words}",
                expected="no page, or the markup escaped",
                actual=describe(answer),
                origin="markup is repeated in pages",
                request=request,
            )
    if not refused:
        raise CannotProve("none of the wrong credentials was refused with 4xx")
    return Kept()


def _probes(lane: Lane, step: Step, secret: str, markup: str) -> Iterator[tuple[str, Request]]:
    """(what is wrong, request): made from the step's own template, whatever its members are called."""
    request = step_request(lane, step, None)
    fields: Mapping[str, Any] = step.body if isinstance(step.body, Mapping) else {}
    user = next((name for name, value in fields.items() if value == "$user"), None)
    password = next((name for name, value in fields.items() if value == "$password"), None)
    form = step.media_type == "application/x-www-form-urlencoded"
    body = dict(parse_qsl((request.body or b"").decode())) if form else json.loads(request.body or b"{}")
    if password is None or not isinstance(body, dict):
        raise CannotProve(f"the template of {step.operation.label} has no member that is the password")
    if user is not None:
        alone = {name: value for name, value in body.items() if name != user}
        yield f"{password} but no {user}", with_body(request, {**alone, password: secret}, step.media_type)
    if not form:
        yield f"{password} in a list", with_body(request, {**body, password: [secret]}, step.media_type)
    if user is not None:
        yield f"markup as {user}", with_body(request, {**body, user: markup, password: secret}, step.media_type)


def _quoting(request: Request, response: Response) -> Response:
    if response.status != 422:
        return response
    return Response.of(422, {"detail": [{"loc": ["body", "email"], "input": request.json()}]})


def _page(request: Request, response: Response) -> Response:
    if response.status < 400:
        return response
    email = request.json().get("email", "")
    page = Response.of(400, content_type="text/html")
    return Response(400, page.headers, f"<p>{email} is no address</p>".encode())


def _in_a_field(request: Request, response: Response) -> Response:
    shown = str(request.json().get("password"))
    return Response(response.status, response.headers.with_("X-Invalid", shown), response.body)


def _escaped(request: Request, response: Response) -> Response:
    email = request.json().get("email", "").replace("<", "&lt;")
    page = Response.of(400, content_type="text/html")
    return Response(400, page.headers, f"<p>{email} is no address</p>".encode())


def _name_in_a_problem(request: Request, response: Response) -> Response:
    if response.status < 400:
        return response
    members = {"type": "about:blank", "title": "Invalid", "status": 422, "detail": request.json().get("email", "")}
    return Response.of(422, members, content_type="application/problem+json")


CONFORMING = (
    Example("the login says only where", subject="POST /api/v1/auth/login"),
    Example("so does the registration", subject="POST /api/v1/auth/register"),
    Example("a name in a problem document is no page", alter=_name_in_a_problem),
    Example("a page that escapes", alter=_escaped),
)
BREACHING = (
    Example("a validator that quotes its input", subject="POST /api/v1/auth/register", alter=_quoting),
    Example("a field that quotes it", alter=_in_a_field),
    Example("a page that does not escape", alter=_page),
)
