"""A Bearer token counts in its header field, in any case of the scheme, and nowhere in the URL.

## What it requires

`bearer` and `BEARER` are the same scheme as `Bearer`. A token in `?access_token=` without an Authorization field lets nobody
in, and beside one it does not change who is asking.

## Why

Clients, gateways and libraries write the scheme as they like. URLs end up in logs, histories and Referer fields; a token that
works there is a token that leaks there.

## What it sends

To one harmless operation: the same token under `Bearer`, `bearer` and `BEARER`; no credentials at all; the token in the query;
one identity's token in the header with another's in the query.

## Example of a breach

`GET /users/me?access_token=…` without any header is answered `200`.

A document that declares `access_token` in the query as a security scheme promises that way in; there only the case is tried.

## When to waive it

For operations that browsers call without being able to set a field (WebSocket, EventSource, downloads), where the token in the
URL is short-lived and made for that alone.
"""

from __future__ import annotations

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
    Unproven,
    send,
    sign_in,
)
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps import Move, as_bearer, caller, canary, control, describe

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A Bearer token counts in its header field, in any case of the scheme, and nowhere in the URL",
    level=MUST,
    clause=Clause(
        "RFC 9110 §11.1, OAuth 2.1 (draft 15) §5.1.1",
        "https://www.rfc-editor.org/rfc/rfc9110#section-11.1",
        "It uses a case-insensitive token to identify the authentication scheme; resource servers MUST ignore access tokens "
        "in a URI query parameter.",
    ),
    catalogue=("AUTH-03",),
    reads=("identities", "auth.scheme", "volatile"),
    cost=9,
    owasp="API2:2023",
    cwe=("CWE-598", "CWE-178"),
)


def subjects(contract: Contract) -> Subjects:
    operation = canary(contract)
    if contract.auth.scheme != "bearer":
        return NotApplicable("access tokens are not sent as Bearer")
    if operation is None:
        return Unproven("no secured GET without parameters is there to show tokens to")
    return [Subject(operation.label, operation=operation)]


def converse(lane: Lane) -> Conversation:
    session: Session = yield from caller(lane, lane.operation)
    token = session.access
    if token is None or ("Authorization", as_bearer(token)) not in session.headers:
        raise CannotProve(f"{session.name} has no access token that is sent as Bearer", "auth: {login: {access: /…}}")
    request: Request
    answer: Response
    request, answer = yield from control(lane, lane.operation, session)
    bare = request.as_(None)
    for scheme in ("bearer", "BEARER"):
        probe = bare.with_headers(authorization=f"{scheme} {token}")
        response: Response = yield from send(probe)
        again: Response = yield from send(request)
        if not response.ok and again.ok:
            return Finding(
                expected=f"{again.status}, as for `Bearer`",
                actual=f"{describe(response)} for `{scheme}` and the same token",
                sent=f"a good token under the scheme `{scheme}`",
                origin="case",
                request=probe,
            )
    nobody: Response = yield from send(bare)
    if nobody.ok:
        raise CannotProve(f"{lane.operation.label} answers {nobody.status} without any credentials")
    if _documented(lane.contract):
        return Kept("any case of the scheme works; the document itself puts access_token into the URL")
    probe = _in_query(bare, token)
    response = yield from send(probe)
    if response.ok:
        return Finding(
            expected=f"the same as without credentials ({nobody.status}), or 400",
            actual=f"{response.status}: the token in the URL was taken",
            sent="a good token in the query, as access_token, and no Authorization field",
            required="a token in the URL is ignored",
            origin="query",
            request=probe,
        )
    beside = yield from _beside(lane, request, answer, session)
    if isinstance(beside, Finding):
        return beside
    return Kept(f"any case of the scheme works, a token in the URL does not ({response.status}); {beside}")


def _beside(lane: Lane, request: Request, mine: Response, session: Session) -> Move:
    """One identity's token in the header, another's in the query: a finding, or in words what was seen."""
    try:
        other: Session = yield from sign_in(session.role)
        request_of_other: Request = request.as_(other)
        theirs: Response = yield from send(request_of_other)
    except CannotProve:
        return "no second identity to put beside it"
    volatile = lane.contract.policy.volatile
    if other.access is None or not theirs.ok or _shown(mine, volatile) == _shown(theirs, volatile):
        return "whose token counts beside a header cannot be seen here"
    probe = _in_query(request, other.access)
    both: Response = yield from send(probe)
    if both.ok and _shown(both, volatile) == _shown(theirs, volatile):
        return Finding(
            expected=f"the answer that {session.name}, whose token is in the header, gets; or 400 or 401",
            actual=f"{both.status} with what {other.name} gets, whose token is in the URL",
            sent=f"{session.name}'s token in Authorization, {other.name}'s in the query as access_token",
            required="a token in the URL is ignored",
            origin="query",
            request=probe,
        )
    return f"{both.status} with another identity's token in the URL beside it"


def _documented(contract: Contract) -> bool:
    """The document declares ``access_token`` in the query as an API key: a way in that is promised, not left open."""
    return any(
        scheme.get("type") == "apiKey" and scheme.get("in") == "query" and scheme.get("name") == "access_token"
        for scheme in contract.security_schemes.values()
    )


def _in_query(request: Request, token: str) -> Request:
    return request.with_(query=(*request.query, ("access_token", token)))


def _shown(response: Response, volatile: tuple[str, ...]) -> Any:
    try:
        value = response.json()
    except NotJson:
        return response.body
    return {k: v for k, v in value.items() if k not in volatile} if isinstance(value, dict) else value


_SOMEBODY = Response.of(200, {"id": "1", "email": "a@example.test", "role": "user"})


def _is_case(request: Request) -> bool:
    return request.headers.get("authorization", "").startswith("bearer ")


def _queried(request: Request) -> bool:
    return bool(request.query) and request.query[0][0] == "access_token"


class _LastOneWins:
    """Whoever the token in the URL belongs to is answered."""

    def __init__(self) -> None:
        self.answers: dict[str, Response] = {}

    def __call__(self, request: Request, response: Response) -> Response:
        if request.session and not request.query:
            self.answers[request.session.access or ""] = response
        return self.answers[request.query[0][1]] if request.session and request.query else response


def _key_in_the_url(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    schemes["query"] = {"type": "apiKey", "in": "query", "name": "access_token"}


CONFORMING = (
    Example("the sample shop"),
    Example(
        "a token in the URL, as the document says",
        document=_key_in_the_url,
        alter=lambda q, r: _SOMEBODY if _queried(q) and not q.session else r,
    ),
    Example(
        "two ways at once are a bad request",
        alter=lambda q, r: Response.problem(400) if _queried(q) and q.session else r,
    ),
    Example(
        "everybody is shown the same", alter=lambda q, r: Response(r.status, r.headers, b"{}") if r.status == 200 else r
    ),
)

BREACHING = (
    Example("the scheme is compared letter by letter", alter=lambda q, r: Response.problem(401) if _is_case(q) else r),
    Example("a token in the URL lets in", alter=lambda q, r: _SOMEBODY if _queried(q) and not q.session else r),
    Example("the token in the URL wins", alter=_LastOneWins),
)
