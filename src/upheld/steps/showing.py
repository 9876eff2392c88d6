"""Showing tokens: a good one that opens an operation as the control, then others that must not open it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upheld.check import (
    CannotProve,
    Conversation,
    Finding,
    Kept,
    Lane,
    NoAnswer,
    NotApplicable,
    Subject,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import Request, Response, Session
from upheld.steps.requests import Move, caller, refused, valid_request
from upheld.steps.subjects import canary
from upheld.steps.tokens import Token, access_token, as_bearer, key_or_unproven, resigned
from upheld.steps.values import describe

if TYPE_CHECKING:
    from upheld.contract import Contract

REFUSED = "a refusal of every one: 401, or 400, 403, 404"
_TOLD = 4


@dataclass(frozen=True, slots=True)
class Good:
    """An access token that was accepted, and the request that it opened, without credentials."""

    session: Session
    token: Token
    request: Request

    def with_(self, token: str) -> Request:
        """The request with this token instead."""
        return self.request.with_headers(authorization=as_bearer(token))


def token_subject(contract: Contract) -> Subjects:
    """The harmless operation that tokens are shown to, where tokens are sent as Bearer."""
    if contract.auth.scheme != "bearer":
        return NotApplicable("access tokens are not sent as Bearer")
    operation = canary(contract)
    if operation is None:
        return Unproven("no secured GET without parameters is there to show tokens to")
    return [Subject(operation.label, operation=operation)]


def good_token(lane: Lane) -> Move:
    """``good = yield from good_token(lane)``: the control, a `Good`; `NotApplicable` where access tokens are opaque.

    Raises `CannotProve` when the service refuses the token that its login gave.
    """
    session: Session = yield from caller(lane, lane.operation)
    token = access_token(session)
    if token is None:
        return NotApplicable("access tokens are opaque, not JSON Web Tokens")
    request: Request = yield from valid_request(lane, lane.operation, session)
    good = Good(session, token, request.as_(None))
    response: Response = yield from send(good.with_(token.text))
    if not response.ok:
        raise refused("the control request ", request, response, lane)
    return good


def proven_key(lane: Lane, good: Good) -> Move:
    """``key = yield from proven_key(lane, good)``: the key that signs the service's tokens, seen to work.

    Raises `CannotProve` where no key is known, or where a token that was signed with it again, unchanged, is refused.
    """
    key = yield from key_or_unproven(lane, good.token)
    response: Response = yield from send(good.with_(resigned(good.token, key)))
    if not response.ok:
        raise CannotProve(
            f"the good token, its claims unchanged and signed again with the known key, was answered with {describe(response)}"
        )
    return key


def show(good: Good, tokens: Iterable[tuple[str, str]], *, crash: bool = False, kept: str = "") -> Conversation:
    """``return (yield from show(good, [("a token without exp", text), …]))``: none of them may be accepted.

    A 5xx counts too where ``crash`` is set. A closed connection is a refusal. Raises `CannotProve` when the operation turns out
    to be open to everybody, so that an accepted token says nothing.
    """
    wrong: list[str] = []
    tried = 0
    opened = False
    for says, token in tokens:
        tried += 1
        try:
            response: Response = yield from send(good.with_(token))
        except NoAnswer as none:
            if none.how == "silent":
                raise
            continue
        opened |= response.ok
        if response.ok or (crash and response.status >= 500 and response.status != 503):
            wrong.append(f"{response.status} for {says}")
    if opened:
        response = yield from send(good.request)
        if response.ok:
            raise CannotProve(f"{good.request.operation} answers {response.status} without any token, too")
    if wrong:
        more = f", and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
        return Finding(
            expected=REFUSED + ("; never a 5xx" if crash else ""),
            actual="; ".join(wrong[:_TOLD]) + more,
            sent=f"{tried} tokens that are wrong in one way each, to {good.request.operation}",
            request=good.with_("$FORGED"),
        )
    return Kept(f"{tried} wrong token{'s' if tried != 1 else ''} refused{kept}")
