"""What a role may not do cannot be reached by another spelling or a header.

## What it requires

An operation that is refused to a role stays closed to it when its path is spelled differently (case, slashes, dots, encoded letters, a
parameter after `;`), when the method or the path stands in a header (`X-HTTP-Method-Override`, `X-Original-URL`), and when headers claim to be
somebody (`X-Forwarded-User`, `X-Role`).

## Why

Gateways and filters compare paths as text; the router behind them normalises first. Headers that a trusted proxy sets are believed from
anybody when that proxy is not in between. Each of these opened administration pages of well-known products.

## What it sends

The control: the operation as a role that may call it, and as one that may not, which has to be refused. Then the latter tries each way in.
For each role, the first operation that `roles:` denies to it and that can be tried without harm.

Only a 2xx that is the operation's own accuses: an answer built like the control's, other than the plain answer of the path that was asked, or
the member that was deleted. Redirects, 404 and 405 are fine, and so is a page that a catch-all sends.

## Example of a breach

`GET /api/v1/admin/users` is refused with 403; `GET /api/v1/admin/users/` shows all users.

## When to waive it

Never.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
    RawAnswer,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    raw,
    send,
    sign_in,
)
from upheld.checks.authz._owners import document
from upheld.exchange import Request, Response, Session
from upheld.steps import Move, canary, describe, octets, tidy, valid_request, with_valid_body

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource

REQUIREMENT = Requirement(
    title="What a role may not do cannot be reached by another spelling or a header",
    level=MUST,
    clause=Clause(
        "ASVS 5.0 4.1.3",
        "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x13-V4-API-and-Web-Service.md",
        "Verify that any HTTP header field used by the application and set by an intermediary layer, such as a load "
        "balancer, a web proxy, or a backend-for-frontend service, cannot be overridden by the end-user.",
    ),
    catalogue=("AUTHZ-07",),
    reads=("roles", "identities"),
    cost=18,
    owasp="API5:2023",
    cwe=("CWE-425", "CWE-288"),
)

_REFUSED = (401, 403, 404)
_NO_ANSWER = (429, 503)


def subjects(contract: Contract) -> Subjects:
    if not contract.policy.roles:
        return NotApplicable("the contract restricts nothing to a role (roles: [{op: …, allow: […]}])")
    denied = {role: _first_denied(contract, role) for role in contract.policy.roles_named()}
    found = dict.fromkeys(operation for operation in denied.values() if operation is not None)
    if not found:
        return Unproven(
            "no identity has a role that is denied an operation which can be tried without harm",
            "identities: {bob: {role: user}}",
        )
    return [Subject(operation.label, operation=operation) for operation in found]


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    low_role = next(r for r in lane.contract.policy.roles_named() if _first_denied(lane.contract, r) == operation)
    high: Session = yield from sign_in((lane.contract.roles(operation) or ("admin",))[0])
    low: Session = yield from sign_in(low_role)
    request: Request = yield from valid_request(lane, operation, high)
    control: Response | None = None
    if operation.method != "DELETE":
        control = yield from send(request)
        assert control is not None
        if not control.ok:
            raise CannotProve(f"the control request {operation.label} was answered with {describe(control)}")
        yield from tidy(lane, operation, control, high)
    front = request.as_(low)
    refusal: Response = yield from send(front)
    if refusal.status not in _REFUSED:
        raise CannotProve(f"{operation.label} as {low.name} is answered with {describe(refusal)}, not refused")
    tried: int | Finding = yield from _every_door(lane, front, low, high, control)
    if isinstance(tried, Finding):
        return tried
    if operation.method == "DELETE":
        control = yield from send(request)
        assert control is not None
        if not control.ok:
            raise CannotProve(f"the control request {operation.label} was answered with {describe(control)}")
    return Kept(f"{refusal.status} at the front, and none of {tried} other ways in for {low.role}")


def _every_door(lane: Lane, front: Request, low: Session, high: Session, control: Response | None) -> Move:
    """How many ways were tried, or the finding."""
    operation, tried = lane.operation, 0
    for how, request in _doors(lane, front, high):
        fresh = with_valid_body(lane, request, operation)
        answer = yield from _knock(fresh)
        if answer is None or answer.status in _NO_ANSWER:
            continue
        tried += 1
        if not answer.ok:
            continue
        if (yield from _opened(lane, fresh, answer, front, high, control)):
            yield from tidy(lane, operation, answer, high)
            return Finding(
                expected="anything but a 2xx of that operation",
                actual=f"{answer.status}: with {how} it is carried out for the role {low.role}",
                sent=f"{fresh.method} {fresh.path} with {how}, as {low.name}",
                origin=how,
                request=fresh,
            )
    if not tried:
        raise CannotProve("no way in was answered")
    return tried


def _opened(
    lane: Lane, request: Request, answer: Response, front: Request, high: Session, control: Response | None
) -> Move:
    """Whether this 2xx is the denied operation's own."""
    if control is None:
        family = _family(lane.contract, lane.operation)
        assert family is not None
        assert family.read is not None
        shown: Response = yield from send(Request("GET", front.path, session=high, operation=family.read.label))
        return shown.status in (404, 410)
    if not _alike(control, answer):
        return False
    declared = lane.contract.operation(f"{request.method} {request.path}")
    if declared is not None and declared != lane.operation:
        plain = Request(request.method, request.path, session=request.session, operation=declared.label)
        usual: Response = yield from send(plain)
        return not _alike(usual, answer)
    return True


def _knock(request: Request) -> Move:
    """The answer to exactly this path: a client library would tidy it."""
    answer: RawAnswer = yield from raw(octets(request), request=request)
    return answer.responses[0] if answer.responses else None


def _doors(lane: Lane, front: Request, high: Session) -> Iterator[tuple[str, Request]]:
    path = front.path.rstrip("/")
    before, _, last = path.rpartition("/")
    prefix = lane.contract.prefix
    rest = path.removeprefix(prefix)
    spellings = {
        "a slash at its end": path + "/",
        "two slashes": f"{before}//{last}",
        "a dot segment": f"{before}/./{last}",
        "a segment that is left again": f"{before}/x/../{last}",
        "a parameter after a semicolon": f"{path};x=1",
        "an encoded slash": f"{before}%2f{last}",
        "capital letters": f"{prefix}{rest.upper()}" if "{" not in lane.operation.path else f"{before.upper()}/{last}",
        "an encoded letter": f"{prefix}/%{ord(rest[1]):02x}{rest[2:]}" if len(rest) > 1 else path,
    }
    if found := re.fullmatch(r"(.*/v)(\d+)", prefix):
        spellings[f"the version {found[1][-1]}0"] = f"{found[1]}0{rest}"
    for how, spelling in spellings.items():
        if spelling != front.path:
            yield how, front.with_(path=spelling)
    other = "GET" if front.method == "POST" else "POST"
    # What POST does there by itself is not tried out.
    undeclared = lane.contract.operation(f"{other} {lane.operation.path}") is None
    for name in ("X-HTTP-Method-Override", "X-Method-Override") if other == "GET" or undeclared else ():
        yield f"{name}: {front.method}", front.with_(method=other, headers=front.headers.with_(name, front.method))
    harmless = canary(lane.contract)
    if harmless is not None and lane.operation.safe:
        for name in ("X-Original-URL", "X-Rewrite-URL"):
            headers = front.headers.with_(name, front.target)
            yield f"{name}: {front.path}", front.with_(path=harmless.path, query=(), headers=headers)
    claims = {"X-Forwarded-User": high.user or high.role, "X-Remote-User": high.user or high.role, "X-User-Id": "1"}
    roles = dict.fromkeys(("X-Role", "X-User-Role", "X-Roles"), high.role) | {"X-Admin": "true"}
    for how, fields in (("headers that name another user", claims), ("headers that name another role", roles)):
        headers = front.headers
        for name, value in fields.items():
            headers = headers.with_(name, value)
        yield f"{how} ({', '.join(fields)})", front.with_(headers=headers)


def _first_denied(contract: Contract, role: str) -> Operation | None:
    """The first operation that ``roles:`` denies to this role; those that are easiest to judge come first."""

    found: list[tuple[int, int, Operation]] = []
    for operation in contract.operations:
        lines = (n for n, rule in enumerate(contract.policy.roles) if contract.matches(rule.op, operation))
        line, rank = next(lines, None), _rank(contract, operation)
        if line is None or rank is None or not operation.secured or operation.label in contract.dangerous:
            continue
        allowed = contract.policy.roles[line].allow
        if allowed and role not in allowed:
            found.append((rank, line, operation))
    return min(found, key=lambda one: one[:2])[2] if found else None


def _rank(contract: Contract, operation: Operation) -> int | None:
    """How easily it can be told that it was carried out; None where it can't be, or not without harm."""
    family = _family(contract, operation)
    if operation.method == "GET":
        return len(operation.path_parameters)
    if family is None or "{" in family.collection or family.create is None:
        return None
    if operation == family.delete and family.read is not None and family.create.label not in contract.dangerous:
        return 10
    return 20 if operation == family.create and family.delete is not None else None


def _family(contract: Contract, operation: Operation) -> Resource | None:
    return next((f for f in contract.resources if operation in (f.create, f.list, f.read, f.delete)), None)


def _alike(control: Response, answer: Response) -> bool:
    """Built from the same parts: equal names with values of the same kinds, no emptier than the control."""
    first, second = document(control), document(answer)
    if first is None or second is None:
        return bool(control.body) and control.body == answer.body
    if isinstance(first, list) and first and isinstance(second, list) and second:
        first, second = first[0], second[0]
    if isinstance(first, dict) and first and isinstance(second, dict):
        return {n: _kind(v) for n, v in first.items()} == {n: _kind(v) for n, v in second.items()}
    return bool(first) and first == second


def _kind(value: Any) -> object:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, list | dict):
        return type(value).__name__, bool(value)
    return "text" if isinstance(value, str) else "number"


_ITEMS, _ORDERS = "/api/v1/items", "/api/v1/orders"
_ADMINS = {"roles": [{"op": "GET /orders", "allow": ["admin"]}]}
_DELETES = "DELETE /api/v1/items/{item_id}"


def _by_role(opens: Any = lambda request: False) -> Any:
    """The list of orders for administrators only, besides those whom ``opens`` lets in."""

    def alter(request: Request, response: Response) -> Response:
        if opens(request) or (request.path == _ORDERS and request.session and request.session.role == "admin"):
            return Response.of(200, {"items": [{"id": "o0", "note": "first", "owner_id": "alice"}]})
        return Response.problem(403) if request.path == _ORDERS else response

    return alter


class _Forgetting:
    """Deletes below another spelling of the path, without asking for the role."""

    def __init__(self) -> None:
        self.gone: set[str] = set()

    def __call__(self, request: Request, response: Response) -> Response:
        path = request.path.lower()
        if request.method == "DELETE" and response.status == 404 and path.startswith(_ITEMS) and path != request.path:
            self.gone.add(path)
            return Response.of(204)
        return Response.problem(404) if request.path in self.gone else response


def _everything(request: Request) -> bool:
    return request.path not in (_ORDERS, "/api/v1/users/me")


def _page(request: Request, response: Response) -> Response:
    return Response.of(200, content_type="text/html") if response.status == 404 else response


CONFORMING = (
    Example("the sample shop", subject=_DELETES),
    Example("a list for administrators", alter=_by_role(), policy=_ADMINS),
    Example(
        "headers without meaning, and a list of the caller's own",
        alter=_by_role(lambda q: q.path == "/api/v1/users/me"),
        policy=_ADMINS,
    ),
    Example("a catch-all that sends a page", alter=lambda q, r: _page(q, _by_role()(q, r)), policy=_ADMINS),
    Example(
        "204 for whatever is deleted",
        alter=lambda q, r: Response.of(204) if r.status == 404 and q.method == "DELETE" else r,
    ),
)

BREACHING = (
    Example("another spelling", alter=_by_role(_everything), policy=_ADMINS),
    Example("a slash at its end", alter=_by_role(lambda q: q.path == _ORDERS + "/"), policy=_ADMINS),
    Example("a role in a header", alter=_by_role(lambda q: q.headers.get("x-role") == "admin"), policy=_ADMINS),
    Example("a path in a header", alter=_by_role(lambda q: q.headers.get("x-original-url") == _ORDERS), policy=_ADMINS),
    Example("capital letters delete", alter=_Forgetting, subject=_DELETES),
)
