"""One address in another spelling is no way into the account.

## What it requires

An address that is taken, in capitals or with a space before it, is refused at registration (409, 422, 400); or it makes another
account, whose password does not open the first one.

## Why

Where registration compares addresses letter by letter and something behind it does not, a stranger registers
`ALICE@example.com` with a password of their own and is Alice.

## What it sends

A registration and a login of its own, then a registration of the same address in capitals, and one with a space before it. Only
where one of them succeeds, two logins with the new password, and who it is.

## Example of a breach

`ALICE@EXAMPLE.COM` is registered with 201, and its password logs in to the account of `alice@example.com`.

## When to waive it

Never for what it accuses of. Local parts that differ in case are different mailboxes by RFC 5321, and two accounts for them
keep this requirement.
"""

from __future__ import annotations

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
    Subjects,
    send,
)
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps import Move, canary, crashed, describe, pointed, step_request
from upheld.steps.accounts import leave, let_in, log_in, login_subject, newcomer, register, signed_in

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="One address in another spelling is no way into the account",
    level=MUST,
    clause=Clause(
        "CWE-178, OWASP API2:2023",
        "https://cwe.mitre.org/data/definitions/178.html",
        "The product does not properly account for differences in case sensitivity when accessing or determining the "
        "properties of a resource.",
    ),
    catalogue=("AUTH-11",),
    reads=("auth.register", "auth.login"),
    dear=True,
    cost=10,
    owasp="API2:2023",
    cwe=("CWE-178", "CWE-289"),
)

_IDS = ("/id", "/user_id", "/userId", "/uuid", "/_id", "/sub", "/user/id", "/data/id")
_ABOUT_ME = frozenset({"me", "self", "profile", "whoami", "current", "user", "account", "userinfo"})


def subjects(contract: Contract) -> Subjects:
    if contract.auth.user_kind != "email":
        return NotApplicable("users sign in with a name, which is no address")
    return login_subject(contract, registers=True)


def converse(lane: Lane) -> Conversation:
    alice = newcomer(lane, f"Quay-{lane.unique()}-Bison")
    made: Response = yield from register(lane, alice)
    entered: Response = yield from log_in(lane, alice)
    first = signed_in(lane, alice, entered)
    if not made.ok or first is None:
        refused = entered if made.ok else made
        raise CannotProve(f"a new account can't be registered and signed in: {describe(refused)}")
    mine = yield from _who(lane, first)
    seen = []
    for says, spelling in (("in capitals", alice.user.upper()), ("with a space before it", f" {alice.user}")):
        other = newcomer(lane, f"Velvet-{lane.unique()}-Moth", name=spelling)
        second: Response = yield from register(lane, other)
        if crashed(second):
            return _finding(lane, says, f"the registration is answered with {describe(second)}", other)
        if second.ok:
            fault: Finding | None = yield from _opened(lane, mine, alice, other, says)
            if fault is not None:
                return fault
        seen.append(f"{says}: {second.status}{', which does not open the first account' if second.ok else ''}")
    yield from leave(lane, first)
    return Kept("; ".join(seen))


def _opened(lane: Lane, mine: str | None, alice: Session, other: Session, says: str) -> Move:
    """A finding when the second password opens the first account, under either spelling. Raises `CannotProve`."""
    for name in (other.user, alice.user):
        attempt = replace(other, user=name)
        answer: Response = yield from log_in(lane, attempt)
        if not let_in(lane, answer):
            continue
        session = signed_in(lane, attempt, answer)
        theirs = yield from _who(lane, session)
        if mine is None or theirs is None:
            raise CannotProve(
                f"the address {says} is registered as well, and no operation about the caller shows an id that tells the two apart"
            )
        if theirs == mine:
            spelling = "the new" if name == other.user else "the first"
            found = (
                f"registered with 2xx, and under {spelling} spelling the second password logs in to the first account"
            )
            return _finding(lane, says, found, attempt)
        if name == other.user:
            yield from leave(lane, session)
    return None


def _finding(lane: Lane, says: str, actual: str, attempt: Session) -> Finding:
    step = lane.contract.auth.register
    assert step is not None
    return Finding(
        expected="400, 409 or 422, or another account whose password does not open the first one",
        actual=actual,
        sent=f"a registration, then one of the same address {says} with another password",
        origin=says,
        request=step_request(lane, step, attempt),
    )


def _who(lane: Lane, session: Session | None) -> Move:
    """The id that an operation about the caller shows; None where none does."""
    operation = canary(lane.contract)
    if session is None or operation is None or operation.path.rstrip("/").rsplit("/", 1)[-1].lower() not in _ABOUT_ME:
        return None
    answer: Response = yield from send(Request("GET", operation.path, session=session, operation=operation.label))
    for pointer in _IDS:
        try:
            value = pointed(answer.json(), pointer) if answer.ok else None
        except (NotJson, LookupError):
            continue
        if isinstance(value, str | int):
            return str(value)
    return None


class _NeverTaken(dict[str, Any]):
    """Users whom the registration does not find: it looks for the address as it was typed."""

    def __contains__(self, name: object) -> bool:
        return False


CONFORMING = (
    Example("the sample shop, where a space makes another account"),
    Example("malformed", alter=lambda q, r: Response.problem(422) if b'": " n' in (q.body or b"") else r),
    Example(
        "nobody can be told who is signed in, and nothing is registered twice",
        alter=lambda q, r: (
            Response.problem(400)
            if b'": " n' in (q.body or b"")
            else Response.of(200, {})
            if q.path.endswith("/me")
            else r
        ),
    ),
)

BREACHING = (
    Example(
        "another spelling overwrites the account",
        shop=lambda shop: setattr(shop, "users", _NeverTaken(shop.users)),
    ),
    Example(
        "the second insert fails in the database",
        alter=lambda q, r: Response.problem(500) if r.status == 409 else r,
    ),
)
