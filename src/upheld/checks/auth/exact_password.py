"""A password is checked exactly as it was given.

## What it requires

Every octet of a password counts: behind the 72nd and behind a NUL, upper and lower case, spaces at both ends. A password that
the service can't take in full it refuses with a 4xx when it is set.

## Why

bcrypt reads 72 octets and stops, or at a NUL; frameworks trim strings; old systems fold case. Each makes other passwords open
the account than the one that was chosen, and nobody notices, since the right one works.

## What it sends

Up to four accounts of its own: one with capitals and spaces in its password, one with 73 octets in fewer characters, one with
73 octets in 73 characters where the former was refused, one with a NUL. Into each it logs in as registered, as the control, and
then with a password that differs in that one respect.

## Example of a breach

Registered with 73 octets, an account is opened by the same 72 and another last one.

## When to waive it

Only while passwords are verified by a directory that is not yours to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
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
)
from upheld.exchange import Response, Session
from upheld.steps import Move, crashed, describe, step_request
from upheld.steps.accounts import leave, let_in, log_in, login_subject, newcomer, register, signed_in

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="A password is checked exactly as it was given",
    level=MUST,
    clause=Clause(
        "OWASP ASVS 5.0, 6.2.8",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md",
        "Verify that the application verifies the user's password exactly as received from the user, without any "
        "modifications such as truncation or case transformation.",
    ),
    catalogue=("AUTH-09",),
    reads=("auth.register", "auth.login", "auth.password"),
    dear=True,
    cost=10,
    owasp="API2:2023",
    cwe=("CWE-521",),
)


def subjects(contract: Contract) -> Subjects:
    return login_subject(contract, registers=True)


def converse(lane: Lane) -> Conversation:
    seen: list[str] = []
    password = f"Quay-{lane.unique()}-Bison"
    fault: Finding | None = yield from _spaced(lane, password, seen)
    if fault is None:
        room = 72 - len(password)
        wide = password + "語" * (room // 3) + "z" * (room % 3)
        for says, base in (("73 octets of UTF-8", wide), ("73 characters", (password + "-Lantern47" * 7)[:72])):
            beyond = {"another last octet": base + "y", "its first 72 octets": base}
            fault = yield from _tried(lane, says, base + "x", beyond, seen)
            if fault is not None or seen[-1].endswith("checked in full"):
                break
    if fault is None:
        tail = {"another end behind the NUL": f"{password}\0ef", "what stands before the NUL": password}
        fault = yield from _tried(lane, "a NUL within", f"{password}\0cd", tail, seen)
    return fault or Kept("; ".join(seen))


def _spaced(lane: Lane, password: str, seen: list[str]) -> Move:
    """Case and spaces, on one account; without the spaces where they are refused. Raises `CannotProve` without an account."""
    others = {"its letters in the other case": f" {password.swapcase()} ", "no spaces at its ends": password}
    fault = yield from _tried(lane, "capitals and spaces", f" {password} ", others, seen)
    if fault is None and not seen[-1].endswith("checked in full"):
        others = {"its letters in the other case": password.swapcase()}
        fault = yield from _tried(lane, "capitals", password, others, seen)
    if fault is None and not seen[-1].endswith("checked in full"):
        raise CannotProve(f"an account of its own can't be used: {seen[-1]}", "auth: {register: {…, body: {…}}}")
    return fault


def _tried(lane: Lane, says: str, password: str, others: Mapping[str, str], seen: list[str]) -> Move:
    """A finding, or None; what was seen is added to ``seen`` in words."""
    person: Session = newcomer(lane, password)
    made: Response = yield from register(lane, person)
    if crashed(made):
        return _finding(lane, f"a registration with {says}", "a 2xx, or 400 or 422", describe(made), None)
    if made.status >= 500:
        raise CannotProve(f"a registration with {says} was answered with {describe(made)}")
    if not made.ok:
        seen.append(f"{says}: refused with {made.status}")
        return None
    control: Response = yield from log_in(lane, person)
    right = let_in(lane, control)
    for difference, other in others.items():
        attempt = replace(person, password=other)
        answer: Response = yield from log_in(lane, attempt)
        if let_in(lane, answer):
            yield from leave(lane, signed_in(lane, person, answer))
            instead = "" if right else f", and the password as registered does not ({control.status})"
            sent = f"a registration with {says} in the password, then a login that differs: {difference}"
            opens = f"{answer.status}: a password with {difference} opens the account{instead}"
            return _finding(lane, sent, "400, 401 or 422", opens, attempt)
    yield from leave(lane, signed_in(lane, person, control))
    seen.append(f"{says}: checked in full" if right else f"{says}: registered, then refused with {control.status}")
    return None


def _finding(lane: Lane, sent: str, expected: str, actual: str, attempt: Session | None) -> Finding:
    step = lane.contract.auth.login
    request = step_request(lane, step, attempt) if attempt is not None and step is not None else None
    return Finding(expected=expected, actual=actual, sent=sent, request=request)


def _comparing(same: Callable[[str, str], bool]) -> Callable[[Shop], None]:
    """A shop that compares passwords like this."""
    return lambda shop: setattr(shop, "_same", same)


CONFORMING = (
    Example("the sample shop"),
    Example(
        "spaces at the ends are refused",
        alter=lambda q, r: Response.problem(422) if "register" in q.path and b'" Quay' in (q.body or b"") else r,
    ),
    Example(
        "long passwords are refused",
        alter=lambda q, r: Response.problem(422) if "register" in q.path and b"47-Lx" in (q.body or b"") else r,
    ),
)

BREACHING = (
    Example(
        "what is behind 72 octets does not count",
        shop=_comparing(lambda stored, given: stored.encode()[:72] == given.encode()[:72]),
    ),
    Example("case does not count", shop=_comparing(lambda stored, given: stored.lower() == given.lower())),
    Example(
        "spaces are trimmed when it is checked", shop=_comparing(lambda stored, given: stored.strip() == given.strip())
    ),
    Example("spaces are trimmed when it is set", shop=_comparing(lambda stored, given: stored.strip() == given)),
    Example(
        "a NUL is a crash",
        alter=lambda q, r: Response.problem(500) if "register" in q.path and r.status == 422 else r,
    ),
)
