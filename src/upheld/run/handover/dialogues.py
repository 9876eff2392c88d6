"""What is asked because a report claims it and no requirement of the catalogue would ask: strange endpoints, open ones, commands."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from upheld.check import (
    MUST,
    CannotProve,
    Check,
    Clause,
    Conversation,
    Finding,
    Kept,
    Lane,
    Outcome,
    Requirement,
    Subject,
    Unproven,
    send,
    sign_in,
)
from upheld.exchange import Request, Response, Session
from upheld.run.handover.claims import EXISTS, OPEN, RUNS
from upheld.run.handover.commands import NotACommand, read_command
from upheld.steps import Move, caller, describe, step_request, tidy, unchanging, valid_request

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Step
    from upheld.contract.implementation import Endpoint
    from upheld.run.handover.claims import Claims

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
WRITES = "--allow-writes"
_NAMES, _PASSWORD = ("email", "user", "username", "login"), "password"
CLAUSE = Clause("the implementation report", "https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1")


@dataclass(frozen=True)
class Asking:
    """What is asked of a report, and how far that may go."""

    claims: Claims
    commands: dict[str, str]
    """Pointer → the line."""
    base_url: str
    also_at: tuple[str, ...] = ()
    """Other addresses by which commands may name the target."""
    writes: bool = False

    def checks(self, wanted: frozenset[tuple[str, str]]) -> list[Check]:
        """The dialogues that prove ``wanted``, which holds (id, pointer)."""
        kinds = (
            (EXISTS, "The endpoint that the report claims is there", self._endpoint),
            (OPEN, "The endpoint asks for credentials as the report claims", self._auth),
            (RUNS, "The command of the report is answered with 2xx", self._command),
        )
        return [
            _check(id_, title, converse, sorted(pointer for own, pointer in wanted if own == id_))
            for id_, title, converse in kinds
            if any(own == id_ for own, _ in wanted)
        ]

    def _of(self, lane: Lane) -> tuple[Endpoint, Operation | None]:
        endpoint, operation = self.claims.endpoints[lane.subject.label]
        if operation is not None and (why := lane.contract.dangerous.get(operation.label)) is not None:
            raise CannotProve(f"{operation.label} is never sent on its own: {why}")
        return endpoint, operation

    # -- endpoints that the contract does not have -----------------------------------------------------------------------

    def _endpoint(self, lane: Lane) -> Conversation:
        endpoint, _ = self._of(lane)
        request = Request(endpoint.method, _concrete(lane, endpoint.path))
        if endpoint.method not in SAFE and not self.writes:
            told: Outcome = yield from _told_by_allow(endpoint, request)
            return told
        response: Response = yield from send(request)
        if response.status in (405, 501):
            allow = response.headers.get("allow")
            actual = describe(response)[:120] + (f", Allow: {allow}" if allow else "")
            return Finding(expected="any answer of the endpoint", actual=actual, request=request)
        if response.status in (429, 503):
            return Unproven(f"{endpoint.label} was answered with {describe(response)[:120]}")
        nowhere: Response = yield from send(request.with_(path=f"{request.path.rstrip('/')}-{lane.unique()}"))
        alike = (response.status, response.media_type) == (nowhere.status, nowhere.media_type)
        if response.status not in (404, 410):
            if alike:
                return Unproven(f"answered with {response.status}, as a path is that does not exist")
            return Kept(f"answered with {response.status}")
        if _parameters(endpoint.path) or not alike:
            return Unproven(
                f"answered with {describe(response)[:120]}, which may speak of something else than the path"
            )
        return Finding(
            expected="any answer of the endpoint",
            actual=f"{describe(response)[:120]}, as for a path that is not there",
            request=request,
        )

    # -- credentials -----------------------------------------------------------------------------------------------------

    def _auth(self, lane: Lane) -> Conversation:
        endpoint, operation = self._of(lane)
        step = _session_step(lane.contract, operation)
        session: Session | None = None
        if operation is None:
            if endpoint.method not in SAFE and not self.writes:
                return Unproven(f"{endpoint.label} may change something, and the contract does not have it", WRITES)
            request = Request(endpoint.method, _concrete(lane, endpoint.path))
        elif step is not None:
            session = yield from sign_in(fresh=True)
            own = step is not lane.contract.auth.register
            request = step_request(lane, step, session if own else None).as_(None)
        else:
            session = yield from caller(lane, operation)
            request = yield from valid_request(lane, operation, session)
            request = yield from unchanging(lane, operation, request)
            request = request.as_(None)
        response: Response = yield from send(request)
        if operation is not None:
            yield from tidy(lane, operation, response, session)
        refused = response.status in (401, 403)
        if endpoint.needs_credentials and response.ok:
            return Finding(expected="401", actual=f"{response.status} without credentials", request=request)
        if not endpoint.needs_credentials and refused and step is None:
            return Finding(expected="an answer without credentials", actual=describe(response)[:120], request=request)
        if endpoint.needs_credentials and refused and operation is None:
            # Where everything is refused, this says nothing of the endpoint.
            nowhere: Response = yield from send(request.with_(path=f"{request.path.rstrip('/')}-{lane.unique()}"))
            if nowhere.status == response.status:
                return Unproven(f"without credentials {response.status}, as a path is that does not exist")
        if (refused if endpoint.needs_credentials else response.ok) and (step is None or response.ok):
            return Kept(f"{response.status} without credentials")
        return Unproven(f"without credentials it was answered with {describe(response)[:120]}")

    # -- commands --------------------------------------------------------------------------------------------------------

    def _read(self, lane: Lane, line: str) -> Move:
        """The command of a line. A login gets the name and the password of somebody made for it, and nothing else does."""
        try:
            return read_command(line, self.base_url, self.also_at)
        except NotACommand:
            login = lane.contract.auth.login
            tried = read_command(line, self.base_url, self.also_at, dict.fromkeys((*_NAMES, _PASSWORD), ""))
            if login is None or not self.writes or _named_by(lane.contract, tried.request) != login.operation:
                raise
            session: Session = yield from sign_in(fresh=True)
            known = {**dict.fromkeys(_NAMES, session.user), _PASSWORD: session.password}
            return read_command(line, self.base_url, self.also_at, known)

    def _command(self, lane: Lane) -> Conversation:
        line = self.commands[lane.subject.label]
        try:
            command = yield from self._read(lane, line)
        except NotACommand as why:
            return Unproven(str(why))
        request = command.request
        operation = _named_by(lane.contract, request)
        if operation is not None and (why_not := lane.contract.dangerous.get(operation.label)) is not None:
            return Unproven(f"{operation.label} is never sent on its own: {why_not}")
        if request.method not in SAFE and not self.writes:
            return Unproven(f"{request.method} may change something", WRITES)
        if operation is not None and operation.method == request.method:
            request = request.with_(operation=operation.label)
        if command.wants_token:
            # What changes something may end the session that it comes with.
            fresh = request.method not in SAFE
            session = (yield from caller(lane, operation, fresh=fresh)) if operation is not None else None
            if session is None:
                session = yield from sign_in(fresh=fresh)
            request = request.as_(session)
        response: Response = yield from send(request)
        if response.ok:
            return Kept(f"answered with {response.status}")
        told = describe(response)[:160]
        own = command.carries_credentials or _session_step(lane.contract, operation) is not None
        if response.status in (401, 403) and own:
            return Unproven(f"the credentials that stand in it are not those of this service: {told}")
        if response.status == 409:
            return Unproven(f"what it makes may be there already: {told}")
        if response.status in (429, 503):
            return Unproven(f"answered with {told}")
        return Finding(expected="2xx", actual=told, request=request)


def _check(id_: str, title: str, converse: Callable[[Lane], Conversation], pointers: list[str]) -> Check:
    requirement = Requirement(title=title, level=MUST, clause=CLAUSE, catalogue=(), cost=2)
    return Check(
        id_, requirement, "", (), (), subjects=lambda _: [Subject(each) for each in pointers], converse=converse
    )


def _told_by_allow(endpoint: Endpoint, request: Request) -> Move:
    """Whether a method that may change something is there, without using it: a 405 lists those that are (RFC 9110 §15.5.6)."""
    response: Response = yield from send(Request("GET", request.path))
    allowed = {word.strip().upper() for word in response.headers.get("allow", "").split(",")}
    if response.status == 405 and endpoint.method in allowed:
        return Kept(f"GET is answered with 405 and Allow: {response.headers['allow']}")
    return Unproven(f"{endpoint.label} may change something, and the contract does not have it", WRITES)


_PARAMETER = re.compile(r"\{[^{}/]+\}|(?<=/):[A-Za-z_]\w*|<[^<>/]+>")


def _parameters(path: str) -> bool:
    return _PARAMETER.search(path) is not None


def _concrete(lane: Lane, path: str) -> str:
    """The path with something that is called by nothing in its parameters' places."""
    return quote(_PARAMETER.sub(lane.unique(), path.partition("?")[0]), safe="/%:@!$&'()*+,;=~-._")


def _session_step(contract: Contract, operation: Operation | None) -> Step | None:
    steps = (contract.auth.login, contract.auth.register, contract.auth.refresh)
    return next((step for step in steps if step is not None and step.operation == operation), None)


def _named_by(contract: Contract, request: Request) -> Operation | None:
    """The operation that a concrete request reaches."""
    from upheld.contract.patterns import matches

    method = "GET" if request.method == "HEAD" else request.method
    # However it is spelt: what is never sent is not sent percent-encoded either.
    path = posixpath.normpath("/" + unquote(request.path).lstrip("/"))
    found = [op for op in contract.operations if matches(op.label, method, path)]
    return min(found, key=lambda op: op.path.count("{"), default=None)
