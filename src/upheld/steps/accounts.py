"""Accounts that a dialogue makes for itself, with names and passwords of its choice, and may spoil."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from upheld.check import CannotProve, Lane, Subject, Subjects, Unproven, move, send
from upheld.exchange import NotJson, Response, Session
from upheld.steps.requests import Move, step_request
from upheld.steps.values import pointed

if TYPE_CHECKING:
    from upheld.contract import Contract

LOGIN_LINE = "auth: {login: {op: POST /auth/login, body: {…}}}"
REGISTER_LINE = "auth: {register: {op: POST /auth/register, body: {…}}}"


def login_subject(contract: Contract, *, registers: bool = False) -> Subjects:
    """The login as the one subject; unproven where there is none, or where ``registers`` and nobody can register."""
    login, register = contract.auth.login, contract.auth.register
    if login is None:
        return Unproven("no login operation is stated or recognised", LOGIN_LINE)
    if registers and register is None:
        return Unproven("no operation that registers a user is stated or recognised", REGISTER_LINE)
    return [Subject(login.operation.label, operation=login.operation)]


def elsewhere() -> Move:
    """Go on from another source address where addresses can be chosen, so that no limit of this one is used up."""
    try:
        yield from move()
    except CannotProve:
        return


def newcomer(lane: Lane, password: str, *, name: str = "") -> Session:
    """Somebody who has no account yet, with a user name of the form that the contract asks for."""
    domain = "@example.com" if lane.contract.auth.user_kind == "email" else ""
    return Session(lane.unique("p"), "user", name or lane.unique("n") + domain, password)


def register(lane: Lane, person: Session) -> Move:
    """``answer = yield from register(lane, person)``: from another address, since few may come from one."""
    step = lane.contract.auth.register
    assert step is not None
    yield from elsewhere()
    return (yield from send(step_request(lane, step, person)))


def log_in(lane: Lane, person: Session) -> Move:
    """``answer = yield from log_in(lane, person)``"""
    step = lane.contract.auth.login
    assert step is not None
    return (yield from send(step_request(lane, step, person)))


def let_in(lane: Lane, answer: Response) -> bool:
    """Whether the answer of a login lets somebody in: a 2xx with a token or a cookie, not one that says no in its body."""
    return answer.ok and (_token(lane, answer) is not None or "set-cookie" in answer.headers)


def signed_in(lane: Lane, person: Session, answer: Response) -> Session | None:
    """The person with the credential that a login's answer gave; None where it gave none that can be sent in a header."""
    token, scheme = _token(lane, answer), lane.contract.auth.scheme
    if not let_in(lane, answer):
        return None
    if token is None:
        pairs = "; ".join(value.split(";", 1)[0].strip() for value in answer.headers.all("set-cookie"))
        return replace(person, headers=(("Cookie", pairs),), answer=answer)
    if scheme.startswith("apiKey:header:"):
        return replace(person, access=token, headers=((scheme.rsplit(":", 1)[1], token),), answer=answer)
    if scheme != "bearer":
        return None
    return replace(person, access=token, headers=(("Authorization", f"Bearer {token}"),), answer=answer)


def leave(lane: Lane, person: Session | None) -> Move:
    """Delete the account where the contract has an operation for it. How it goes is not judged."""
    step = lane.contract.auth.delete_account
    if (
        step is None
        or person is None
        or any(lane.contract.matches(p, step.operation) for p in lane.contract.policy.never)
    ):
        return
    try:
        yield from send(step_request(lane, step, person).as_(person))
    except CannotProve:
        return


def _token(lane: Lane, answer: Response) -> str | None:
    from upheld.contract.sessions import tokens_in

    login = lane.contract.auth.login
    try:
        document = answer.json()
        value = pointed(document, (login.access if login else "") or tokens_in(document)[0] or "/")
    except (NotJson, LookupError):
        return None
    return value if isinstance(value, str) and value else None
