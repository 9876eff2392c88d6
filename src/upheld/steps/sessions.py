"""The life of a session, move by move: refreshed, begun once more, asked whether it still stands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from upheld.check import CannotProve, Lane, send, sign_in, wait
from upheld.contract.sessions import tokens_in
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps.requests import Move, step_request
from upheld.steps.subjects import canary
from upheld.steps.values import describe, pointed

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Step

REGISTER_LINE = "auth: {register: {op: POST /auth/register, body: {email: $user, password: $password}}}"
REFRESH_LINE = "auth: {login: {refresh: /…}}"


def throw_away(lane: Lane) -> Move:
    """``person = yield from throw_away(lane)``: somebody registered for this dialogue alone, whose account may be broken.

    Never one whom upheld.yaml declares. Raises `CannotProve` where nobody can be registered.
    """
    if lane.contract.auth.register is None:
        raise CannotProve("it breaks an account, and nobody can be registered to have one for it", REGISTER_LINE)
    person: Session = yield from sign_in(fresh=True)
    if not person.user or not person.password:
        raise CannotProve("who registers does not sign in with a user name and a password", REGISTER_LINE)
    return person


def carried(request: Request, step: Step, session: Session) -> Request:
    """The request with the session's credentials, where the step's operation asks for them."""
    return request.as_(session) if step.operation.security else request


def with_tokens(contract: Contract, step: Step, answer: Response, session: Session) -> Session | None:
    """The session with the tokens of this answer, its own refresh token where none came; None where no access token came."""
    try:
        document = answer.json() if answer.ok else None
    except NotJson:
        document = None
    in_access, in_refresh = (step.access, step.refresh) if step.access else tokens_in(document)
    access = text_at(document, in_access)
    if access is None:
        return None
    login = contract.auth.login
    refresh = text_at(document, in_refresh or (login.refresh if login else "")) or text_at(
        document, tokens_in(document)[1]
    )
    headers = tuple((name, value.replace(session.access or "\0", access)) for name, value in session.headers)
    return replace(session, access=access, refresh=refresh or session.refresh, headers=headers, answer=answer)


def refresh_request(lane: Lane, session: Session) -> Request:
    """A refresh with the session's own refresh token."""
    step = lane.contract.auth.refresh
    assert step is not None
    return carried(step_request(lane, step, session), step, session)


def refreshed(lane: Lane, session: Session) -> Move:
    """``session = yield from refreshed(lane, session)``: the control, a refresh that worked. Raises `CannotProve`."""
    step = lane.contract.auth.refresh
    if step is None:
        raise CannotProve(
            "no refresh operation is stated or recognised", "auth: {refresh: {op: POST /auth/refresh, …}}"
        )
    if session.refresh is None:
        raise CannotProve("the login gives no refresh token where the contract looks for it", REFRESH_LINE)
    answer: Response = yield from send(refresh_request(lane, session))
    following = with_tokens(lane.contract, step, answer, session)
    if following is None:
        raise CannotProve(f"{step.operation.label} with a token that is in force was answered with {describe(answer)}")
    return following


def refresh_works(lane: Lane, session: Session) -> Move:
    """``answer = yield from refresh_works(lane, session)``: the answer that gave new tokens, or None for a refusal."""
    step = lane.contract.auth.refresh
    assert step is not None
    answer: Response = yield from send(refresh_request(lane, session))
    _not_a_crash(step.operation, answer)
    return answer if with_tokens(lane.contract, step, answer, session) is not None else None


def access_works(lane: Lane, session: Session, operation: Operation | None = None) -> Move:
    """``answer = yield from access_works(lane, session)``: the canary's 2xx, or None for a refusal.

    Raises `CannotProve` where it lets in who shows nothing as well, so that a 2xx tells nothing of the session.
    """
    operation = operation or canary(lane.contract)
    if operation is None:
        raise CannotProve("no secured GET without parameters is there to show tokens to")
    request = Request(operation.method, operation.path, operation=operation.label)
    answer: Response = yield from send(request.as_(session))
    _not_a_crash(operation, answer)
    if not answer.ok:
        return None
    anonymous: Response = yield from send(request)
    if anonymous.ok:
        raise CannotProve(f"{operation.label} lets in who shows no credentials too, so it tells nothing of a session")
    return answer


def signed_in_again(lane: Lane, person: Session, password: str = "") -> Move:
    """``other = yield from signed_in_again(lane, person)``: another session of the same person, or None for a refusal."""
    step = lane.contract.auth.login
    if step is None:
        raise CannotProve(
            "no login operation is stated or recognised", "auth: {login: {op: POST /auth/login, body: {…}}}"
        )
    answer: Response = yield from send(step_request(lane, step, replace(person, password=password or person.password)))
    _not_a_crash(step.operation, answer)
    return with_tokens(lane.contract, step, answer, person)


def past_the_second() -> Move:
    """``yield from past_the_second()``: before a session is ended.

    Services that revoke by time compare whole seconds (iat, RFC 7519 §4.1.6): what was issued in this one would pass for newer.
    """
    yield from wait(1.1)


def other_password(password: str) -> str:
    """One as long and of the same characters, so that every rule of composition that took the first takes it."""
    return password[::-1] if password[::-1] != password else password[1:] + "x"


def text_at(document: Any, pointer: str) -> str | None:
    """The text that the pointer names, or None."""
    try:
        value = pointed(document, pointer) if pointer else None
    except LookupError:
        return None
    return value if isinstance(value, str) and value else None


def _not_a_crash(operation: Operation, answer: Response) -> None:
    """What crashes has neither let in nor refused; robust/* and http/server-error tell it."""
    if answer.status >= 500:
        raise CannotProve(f"{operation.label} neither took it nor refused it: {describe(answer)}")
