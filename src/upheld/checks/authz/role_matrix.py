"""Every role may do what the contract allows it, and nothing else.

## What it requires

For each operation that needs credentials and for each role that the contract names: a role that may call it is let in, a role that may
not is refused with 403 and changes nothing. The first line under `roles:` that matches decides; without one, the scopes of the
document's security requirement, where the identities state theirs; what nothing restricts is open to every role. Where the contract
hides things (`ownership: {foreign: 404}`, or no documented 403), 404 is a refusal too.

## Why

The token is valid, so the request goes through: one forgotten dependency on one route makes every customer an administrator. Nobody
notices, because the web page shows the button to administrators only.

## What it sends

A valid request, to something that was made for it, as each role that must be refused; then the thing is read again, because a 403 that
comes after the deed is no refusal. Last, the same request as a role that may, which has to get further: only then do the refusals mean
something. Operations that a run never calls (`never:`, and what ends sessions, accounts or the service) are not sent in any role.

## Example of a breach

`DELETE /products/{id}` as `user` is answered `204`. Or `403`, and the product is gone all the same.

## When to waive it

Never for a role that is let in where it must not be. An operation that more roles may call is said under `roles:`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    CannotProve,
    Cell,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Outcome,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    send,
    sign_in,
)
from upheld.checks.authz._reasons import PAST_THE_ROLE, about_what_it_says
from upheld.contract.scopes import expected, named_scopes, role_names
from upheld.exchange import Request, Response, Session
from upheld.steps import (
    GONE,
    LISTED,
    Aim,
    Move,
    aim,
    canary,
    carried_out,
    describe,
    drop,
    in_the_document,
    look,
    personal,
    refused,
)

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="Every role may do what the contract allows it, and nothing else",
    level=MUST,
    clause=Clause(
        "OWASP API5:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa5-broken-function-level-authorization/",
        "The enforcement mechanism(s) should deny all access by default, requiring explicit grants to specific roles for access "
        "to every function.",
    ),
    catalogue=("AUTHZ-06",),
    reads=("roles", "identities", "ownership.foreign", "never", "volatile"),
    cost=6,
    owasp="API5:2023",
    cwe=("CWE-285", "CWE-862"),
)

REPEATABLE = frozenset({"GET", "HEAD", "PUT", "PATCH"})


def subjects(contract: Contract) -> Subjects:
    roles = role_names(contract)
    if len(roles) < 2:
        return NotApplicable("the contract knows one role at most (identities: and roles: tell them apart)")
    auth = contract.auth
    steps = (auth.register, auth.login, auth.refresh, auth.logout, auth.change_password, auth.delete_account)
    own = {step.operation for step in steps if step is not None} | {contract.oauth.token, contract.oauth.authorize}
    found = [
        Subject(op.label, operation=op, cells=tuple(Cell(role, expected(contract, op, role)) for role in roles))
        for op in contract.operations
        if op not in own and not contract.is_public(op)
    ]
    return found or NotApplicable("the contract secures no operation")


@dataclass(frozen=True, slots=True)
class Answered:
    """One role's request."""

    who: Session
    request: Request
    response: Response
    change: frozenset[str] = frozenset()
    """What shows that it was carried out although it was refused."""


@dataclass(slots=True)
class Table:
    """What is known of each role so far."""

    cells: dict[str, Cell]
    findings: list[Finding] = field(default_factory=list)

    def roles(self, expectation: str) -> list[str]:
        return [role for role, cell in self.cells.items() if cell.expected == expectation]

    def keep(self, role: str, seen: str) -> None:
        self.cells[role] = replace(self.cells[role], seen=seen, verdict="kept")

    def doubt(self, role: str, seen: str, reason: str, add: str = "") -> None:
        self.cells[role] = replace(self.cells[role], seen=seen, reason=reason, add=add)

    def accuse(self, role: str, seen: str, finding: Finding) -> None:
        self.cells[role] = replace(self.cells[role], seen=seen, verdict="breached")
        self.findings.append(finding)

    def outcome(self) -> Outcome:
        cells = tuple(self.cells.values())
        if self.findings:
            actual = "; ".join(finding.actual for finding in self.findings)
            return replace(self.findings[0], actual=actual, cells=cells)
        open_ = [cell for cell in cells if cell.verdict == "unproven"]
        if open_:
            reasons = dict.fromkeys(cell.reason for cell in open_)
            told = "; ".join(dict.fromkeys(f"{cell.role}: {cell.reason}" for cell in open_))
            add = next((cell.add for cell in open_ if cell.add), "")
            return Unproven(next(iter(reasons)) if len(reasons) == 1 else told, add, cells)
        return Kept(", ".join(f"{cell.role} {cell.seen}" for cell in cells), cells)


def converse(lane: Lane) -> Conversation:
    operation, contract = lane.operation, lane.contract
    why = contract.dangerous.get(operation.label)
    if why is not None:
        return Unproven(f"never sent, in whatever role: {why}")
    table = Table({cell.role: cell for cell in lane.subject.cells})
    for role in table.roles("unknown"):
        fewest: frozenset[str] = min(named_scopes(contract, operation), key=len)
        wanted = ", ".join(sorted(fewest))
        table.doubt(
            role,
            "",
            f"the document asks for the scope {wanted}, and upheld.yaml does not say for all identities whether they hold it",
            f"identities: {{NAME: {{role: {role}, …, scopes: [{wanted}]}}}}",
        )
    for role in (*table.roles("denied"), *table.roles("allowed")):
        try:
            lane.at_hand[role] = yield from sign_in(role)
        except CannotProve as cannot:
            table.doubt(role, "", str(cannot), cannot.outcome.add)
    denied = [lane.at_hand[role] for role in table.roles("denied") if role in lane.at_hand]
    allowed = [lane.at_hand[role] for role in table.roles("allowed") if role in lane.at_hand]
    turned, untouched = yield from _refusals(lane, table, denied, allowed)
    admitted = yield from _controls(lane, table, allowed, untouched)
    yield from _judge_allowed(lane, table, admitted, turned)
    _judge_denied(lane, table, turned, admitted)
    return table.outcome()


# -- what is sent --------------------------------------------------------------------------------------------------------


def _refusals(lane: Lane, table: Table, denied: Sequence[Session], allowed: Sequence[Session]) -> Move:
    """The answers of those who must be refused, and what nobody has touched in spite of them."""
    answered: list[Answered] = []
    untouched: Aim | None = None
    alone = personal(lane.contract, lane.operation)
    for group in [[session] for session in denied] if alone else [list(denied)] if denied else []:
        try:
            # What belongs to whoever made it is made by the one who asks, so that only the role is left to refuse.
            maker = group[0] if alone else (*allowed, *group)[0]
            seen, untouched = yield from _ask(lane, group, maker)
            answered += seen
        except CannotProve as cannot:
            for session in group:
                table.doubt(session.role, "", str(cannot), cannot.outcome.add)
    return answered, None if alone else untouched


def _ask(lane: Lane, group: Sequence[Session], maker: Session) -> Move:
    operation = lane.operation
    one: Aim = yield from aim(lane, operation, maker)
    before = None if operation.safe else (yield from look(lane, one))
    responses: list[Response] = []
    for session in group:
        responses.append((yield from send(one.request.as_(session))))
    let_in = any(response.ok for response in responses)
    change = frozenset[str]()
    if not operation.safe and not let_in:
        change = yield from carried_out(lane, operation, one, before, maker)
    if operation.safe or not (let_in or change):
        return [Answered(*pair) for pair in _pairs(group, one, responses)], one
    for response in responses:
        yield from drop(lane, operation, one, response)
    if len(group) == 1:
        return [Answered(*pair, change) for pair in _pairs(group, one, responses)], None
    answered: list[Answered] = []  # whose request it was is only told by asking one at a time
    for session in group:
        seen, _ = yield from _ask(lane, [session], maker)
        answered += seen
    return answered, None


def _pairs(
    group: Sequence[Session], one: Aim, responses: Sequence[Response]
) -> Iterator[tuple[Session, Request, Response]]:
    for session, response in zip(group, responses, strict=True):
        yield session, one.request.as_(session), response


def _controls(lane: Lane, table: Table, allowed: Sequence[Session], untouched: Aim | None) -> Move:
    """The answers of those who may: to what the others were refused, or to something of their own."""
    operation = lane.operation
    answered: list[Answered] = []
    one = untouched
    alike = not personal(lane.contract, operation)
    for session in allowed:
        try:
            if one is None:
                one = yield from aim(lane, operation, session)
            request = one.request.as_(session)
            response: Response = yield from send(request)
        except CannotProve as cannot:
            table.doubt(session.role, "", str(cannot), cannot.outcome.add)
            continue
        answered.append(Answered(session, request, response))
        if not (alike and operation.method in REPEATABLE and one.is_ours) or session is allowed[-1]:
            yield from drop(lane, operation, one, response)
            one = None
    return answered


# -- what it means -------------------------------------------------------------------------------------------------------


def _judge_allowed(lane: Lane, table: Table, admitted: Sequence[Answered], turned: Sequence[Answered]) -> Move:
    operation = lane.operation
    line = _source(lane.contract, operation)
    turned_away = any(one.response.status == 403 and not one.change for one in turned)
    carried = any(one.response.ok for one in admitted)
    for one in admitted:
        role, status = one.who.role, one.response.status
        if one.response.ok:
            table.keep(role, str(status))
        elif turned_away and status in PAST_THE_ROLE:
            table.keep(role, f"{status}, past the role")
        elif status == 403 and not carried and (about := (yield from about_what_it_says(lane, one.request))):
            table.doubt(role, "403", f"the 403 may be about {about}", in_the_document(operation))
        elif line and (status == 403 or (status == 401 and (yield from _known(lane, one.who)))):
            table.accuse(role, str(status), _shut_out(lane, one, line))
        elif status == 403:
            others = [other.who.role for other in admitted if other.response.ok] or ["…"]
            add = f'roles: [{{op: "{operation.label}", allow: [{", ".join(others)}]}}]'
            table.doubt(role, str(status), "it is refused, although the contract restricts it to no role", add)
        else:
            cannot = refused("", one.request, one.response, lane)
            table.doubt(role, str(status), str(cannot), cannot.outcome.add)


def _judge_denied(lane: Lane, table: Table, turned: Sequence[Answered], admitted: Sequence[Answered]) -> None:
    operation, contract = lane.operation, lane.contract
    kept = {role for role, cell in table.cells.items() if cell.expected == "allowed" and cell.verdict == "kept"}
    carried = any(one.response.ok for one in admitted)
    foreign = contract.policy.ownership.foreign
    hides = foreign == 404 or not ({"403", "4XX", "default"} & operation.responses.keys())
    for one in turned:
        role, status = one.who.role, one.response.status
        if one.response.ok or one.change:
            table.accuse(role, str(status), _let_in(lane, one, hides))
        elif status == 403 and kept:
            table.keep(role, "403")
        elif status == 404 and carried and (hides or foreign == "any"):
            # The others' same request was carried out: it is there, and hidden from this role (RFC 9110 §15.5.4).
            table.keep(role, "404, hidden")
        elif status in (403, 404) and not kept:
            reason = "it is refused, but nobody who may call it gets further, so the refusal tells nothing"
            table.doubt(role, str(status), reason, next((cell.add for cell in table.cells.values() if cell.add), ""))
        else:
            table.doubt(role, str(status), f"neither let in nor refused with 403: {describe(one.response)}")


def _known(lane: Lane, session: Session) -> Move:
    """The credential is good, and of the kind that the operation takes: it works where nothing but a credential is needed."""
    other = canary(lane.contract)
    if other is None or other == lane.operation or other.security != lane.operation.security:
        return False
    response: Response = yield from send(Request("GET", other.path, session=session, operation=other.label))
    return response.ok


def _source(contract: Contract, operation: Operation) -> str:
    """What of the contract decides who may call it; empty where nothing does."""
    rule = next((rule for rule in contract.policy.roles if contract.matches(rule.op, operation)), None)
    if rule is not None:
        return f'roles: [{{op: "{rule.op}", allow: [{", ".join(rule.allow)}]}}]'
    if contract.roles(operation) is None:
        return ""
    wanted = " or ".join(" and ".join(sorted(scopes)) for scopes in named_scopes(contract, operation))
    return f"the document asks for the scope {wanted}"


def _let_in(lane: Lane, one: Answered, hides: bool) -> Finding:
    role, line = one.who.role, _source(lane.contract, lane.operation)
    status = one.response.status
    what = f"{status}, yet {_told(one.change)}" if one.change else str(status)
    then = ", then read again" if one.change else ""
    return Finding(
        sent=f"{lane.operation.label} as {one.who.name}, whose role is {role}{then}",
        required=f"{line}: every other role is refused, and nothing is changed (OWASP API5:2023)",
        expected="403 or 404" if hides else "403",
        actual=f"{what} for the role {role}",
        origin=f"{line}: {role} is {'refused after the deed' if one.change else 'let in'}",
        request=one.request,
    )


def _told(change: frozenset[str]) -> str:
    signs = {*GONE, *LISTED} & change
    names = sorted(change - signs)
    return " and ".join([*sorted(signs), *([f"{', '.join(names)} changed"] if names else [])])


def _shut_out(lane: Lane, one: Answered, line: str) -> Finding:
    role = one.who.role
    return Finding(
        sent=f"{lane.operation.label} as {one.who.name}, whose role is {role}",
        required=f"{line}: the role {role} may call it",
        expected=f"{lane.operation.success or '2xx'}",
        actual=f"{describe(one.response)} for the role {role}",
        origin=f"{line}: {role} is shut out",
        request=one.request,
    )


# -- examples ------------------------------------------------------------------------------------------------------------

_ITEM = "/api/v1/items/{item_id}"
_EDITED = {"roles": [{"op": "PUT /items/*", "allow": ["admin"]}, {"op": "POST /items", "allow": ["admin"]}]}
_ORDERS = {"roles": [{"op": "DELETE /orders/*", "allow": ["admin"]}]}


def _no_user(*operations: str) -> Callable[[Shop], object]:
    """A shop that refuses everybody but administrators on these methods and path prefixes."""

    def change(shop: Shop) -> None:
        answer = shop._answer

        def guarded(request: Request) -> Response:
            asked = f"{request.method} {request.path}"
            known = request.session is not None and request.session.role != "admin"
            return Response.problem(403) if known and asked.startswith(operations) else answer(request)

        setattr(shop, "_answer", guarded)  # noqa: B010 - a method of the instance

    return change


def _deleted_first(shop: Shop) -> None:
    answer = shop._answer

    def careless(request: Request) -> Response:
        response = answer(request)
        if request.method == "DELETE" and response.status == 403:
            shop.items.pop(request.path.rsplit("/", 1)[1], None)
        return response

    setattr(shop, "_answer", careless)  # noqa: B010


def _after_the_deed(request: Request, response: Response) -> Response:
    known = request.session is not None and request.session.role != "admin"
    return Response.problem(403) if known and request.method in ("PUT", "POST") and response.ok else response


def _let_through(request: Request, response: Response) -> Response:
    return Response.of(204) if request.method == "DELETE" and response.status == 403 else response


class _Busy:
    """Every read finds another quantity, whoever asks for what."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self, request: Request, response: Response) -> Response:
        if request.method != "GET" or not response.ok or not request.path.startswith("/api/v1/items/"):
            return response
        self.reads += 1
        return Response.of(200, {**response.json(), "quantity": self.reads})


def _conflict(request: Request, response: Response) -> Response:
    return Response.problem(409) if request.method == "DELETE" and response.ok else response


def _scoped(document: dict[str, Any]) -> None:
    document["paths"][_ITEM]["delete"]["security"] = [{"bearer": ["items:delete"]}]


_SCOPES = {
    "roles": [],
    "identities": {
        "alice": {"role": "user", "scopes": ["items:read"]},
        "admin": {"role": "admin", "user": "a", "password_env": "SHOP_ADMIN_PASSWORD", "scopes": ["items:delete"]},
    },
}

CONFORMING = (
    Example("what every role may do", subject="GET /api/v1/users/me"),
    Example("administrators delete items, users don't", subject=f"DELETE {_ITEM}"),
    Example("administrators replace items", subject=f"PUT {_ITEM}", policy=_EDITED, shop=_no_user("PUT /api/v1/items")),
    Example(
        "administrators make items", subject="POST /api/v1/items", policy=_EDITED, shop=_no_user("POST /api/v1/items")
    ),
    Example(
        "an order is deleted for its owner, who may not do it",
        subject="DELETE /api/v1/orders/{order_id}",
        policy=_ORDERS,
        shop=_no_user("DELETE /api/v1/orders"),
    ),
    Example(
        "404 hides it from users",
        subject=f"DELETE {_ITEM}",
        alter=lambda q, r: Response.problem(404) if r.status == 403 else r,
    ),
    Example(
        "what changes by itself proves nothing",
        subject=f"PUT {_ITEM}",
        policy=_EDITED,
        shop=_no_user("PUT /api/v1/items"),
        alter=_Busy,
    ),
    Example("it conflicts, for those who may", subject=f"DELETE {_ITEM}", alter=_conflict),
    Example("scopes decide", subject=f"DELETE {_ITEM}", policy=_SCOPES, document=_scoped),
)

BREACHING = (
    Example("nobody asks for the role", subject=f"DELETE {_ITEM}", alter=_let_through),
    Example("refused after the deed", subject=f"DELETE {_ITEM}", shop=_deleted_first),
    Example("replaced, then refused", subject=f"PUT {_ITEM}", policy=_EDITED, alter=_after_the_deed),
    Example("made, then refused", subject="POST /api/v1/items", policy=_EDITED, alter=_after_the_deed),
    Example(
        "everybody reads the list",
        subject="GET /api/v1/orders",
        policy={"roles": [{"op": "GET /orders", "allow": ["admin"]}]},
    ),
    Example(
        "administrators are shut out",
        subject=f"DELETE {_ITEM}",
        alter=lambda q, r: Response.problem(403) if q.method == "DELETE" else r,
    ),
    Example(
        "administrators are shut out, whatever they say",
        subject="POST /api/v1/items",
        policy=_EDITED,
        alter=lambda q, r: Response.problem(403) if q.method == "POST" and q.path == "/api/v1/items" else r,
    ),
    Example(
        "scopes are not asked for", subject=f"DELETE {_ITEM}", policy=_SCOPES, document=_scoped, alter=_let_through
    ),
)
