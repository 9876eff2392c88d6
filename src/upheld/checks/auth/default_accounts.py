"""No account opens with a default password.

## What it requires

A login as `admin` with the password `admin`, and with the other pairs that everybody tries first, is refused.

## Why

Installers, seed scripts and tutorials leave such accounts behind, mostly administrators. Scanners find them within hours.

## What it sends

Five logins with pairs of the well-known kind: as names, or as addresses under `example.com` where users sign in with an
address. Where one is let in, a user whom nobody has registered tries as well: a service that lets in everybody is not accused
of this. Identities of the contract are not tried, so that none of them is locked.

## Example of a breach

`{"username": "admin", "password": "admin"}` is answered `200` with a token.

## When to waive it

Where the service under test is seeded with such an account on purpose, and production is not.
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
    Requirement,
    Subjects,
    sign_in,
)
from upheld.exchange import Response, Session
from upheld.steps import describe, step_request
from upheld.steps.accounts import LOGIN_LINE, elsewhere, let_in, log_in, login_subject, newcomer

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="No account opens with a default password",
    level=MUST,
    clause=Clause(
        "OWASP ASVS 5.0, 6.3.2",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md",
        'Verify that default user accounts (e.g., "root", "admin", or "sa") are not present in the application or are '
        "disabled.",
    ),
    catalogue=("AUTH-11",),
    reads=("auth.login", "identities"),
    dear=True,
    cost=6,
    owasp="API2:2023",
    cwe=("CWE-1392", "CWE-798"),
)

_PAIRS = (("admin", "admin"), ("admin", "password"), ("root", "root"), ("test", "test"), ("user", "password"))


def subjects(contract: Contract) -> Subjects:
    return login_subject(contract)


def converse(lane: Lane) -> Conversation:
    somebody: Session = yield from sign_in()
    if not somebody.user or not somebody.password:
        raise CannotProve(
            "nobody signs in with a user name and a password, so the login is not known to work", LOGIN_LINE
        )
    yield from elsewhere()
    declared = {identity.user for identity in lane.contract.policy.identities.values()}
    domain = "@example.com" if lane.contract.auth.user_kind == "email" else ""
    step = lane.contract.auth.login
    assert step is not None
    tried = []
    for name, password in _PAIRS:
        if name + domain in declared:
            continue
        person = newcomer(lane, password, name=name + domain)
        answer: Response = yield from log_in(lane, person)
        if let_in(lane, answer):
            stranger: Response = yield from log_in(lane, newcomer(lane, f"Quay-{lane.unique()}-Bison"))
            if let_in(lane, stranger):
                raise CannotProve(f"the login lets in a user whom nobody has registered: {describe(stranger)}")
            return Finding(
                expected="400, 401, 403 or 422",
                actual=f"{answer.status}: {person.user} is let in with the password '{password}'",
                sent="logins with well-known names and passwords",
                request=step_request(lane, step, person),
            )
        tried.append(f"{person.user} with '{password}'")
    if not tried:
        raise CannotProve("every well-known name is an identity of the contract")
    return Kept(f"refused: {', '.join(tried)}")


CONFORMING = (
    Example("the sample shop"),
    Example(
        "a login that says no with a 200",
        alter=lambda q, r: Response.of(200, {"error": "wrong"}) if r.status == 401 else r,
    ),
    Example(
        "users sign in with names", policy={"auth": {"login": {"body": {"email": "$user", "password": "$password"}}}}
    ),
)

BREACHING = (
    Example(
        "an account of the seed script",
        alter=lambda q, r: (
            Response.of(200, {"access_token": "a", "refresh_token": "b"}) if b'"admin@' in (q.body or b"") else r
        ),
    ),
    Example(
        "another one",
        alter=lambda q, r: (
            Response.of(200, {"access_token": "a", "refresh_token": "b"}) if b'"test@' in (q.body or b"") else r
        ),
    ),
)
