"""What a client may not set is not set by sending it along.

## What it requires

Properties that the document marks as `readOnly`, that upheld.yaml protects (`ownership: {protected: […]}`), or that answers show and the
request's schema does not have, are refused or ignored when a client sends them: the thing reads afterwards as if they had not been sent.
Where that schema does not say `additionalProperties: false`, only what is worth something counts: roles and rights, owners, amounts,
states, times. A name for an icon may have been forgotten.

## Why

A handler that copies the whole body into a row lets its caller write every column: the role, the owner, the price.

## What it sends

A valid request, as the control, and a look at what it made. Then the same with those properties added, each with a value that fits and
that the service would not choose by itself: all at once; one by one where that is refused. What counts is what a later GET shows: an echo in
the answer to the request itself is none. Whoever registers as an administrator then signs in, and tries what is theirs alone.

## Example of a breach

`PATCH /users/me` with `{"name": "Kim", "role": "admin"}`, and `GET /users/me` says `"role": "admin"`.

## When to waive it

Never. A property that clients may set belongs into the schema of the request.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    Outcome,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    send,
    sign_in,
)
from upheld.checks.authz._owners import OWNERS, document
from upheld.checks.authz._unasked import Unasked, unasked
from upheld.contract.words import key
from upheld.exchange import Request, Response, Session
from upheld.steps import (
    Move,
    caller,
    canary,
    control,
    describe,
    discard,
    id_of,
    member_path,
    step_request,
    with_valid_body,
)
from upheld.steps.accounts import log_in, newcomer, signed_in
from upheld.steps.sessions import throw_away
from upheld.steps.subjects import MYSELF

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource

REQUIREMENT = Requirement(
    title="What a client may not set is not set by sending it along",
    level=MUST,
    clause=Clause(
        "OWASP API3:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa3-broken-object-property-level-authorization/",
        "Allow changes only to the object's properties that should be updated by the client.",
    ),
    catalogue=("AUTHZ-08",),
    reads=("ownership.protected", "roles", "volatile", "auth.register"),
    cost=11,
    owasp="API3:2023",
    cwe=("CWE-915",),
)

_SINGLES = 5
_ENVELOPES = ("data", "result", "item")
_LINE = "ownership: {protected: [role, owner_id]}"


def subjects(contract: Contract) -> Subjects:
    register = contract.auth.register
    found = [
        Subject(op.label, operation=op)
        for op in contract.operations
        if op.body is not None and isinstance(op.body.json_schema, Mapping) and op.label not in contract.dangerous
        if (_reads(contract, op) is not None)
        or (register is not None and register.operation == op and contract.auth.login is not None and canary(contract))
    ]
    return found or NotApplicable("no operation that writes has one that reads what was written")


def _reads(contract: Contract, operation: Operation) -> Operation | None:
    """The operation that shows afterwards what this one wrote."""
    register = contract.auth.register
    if register is not None and register.operation == operation:
        return None
    if operation.method in ("PUT", "PATCH") and operation.path.rstrip("/").rsplit("/", 1)[-1] in MYSELF:
        return contract.operation(f"GET {operation.path}")
    family = _family(contract, operation)
    return family.read if family is not None and family.create is not None and "{" not in family.collection else None


def _family(contract: Contract, operation: Operation) -> Resource | None:
    return next((f for f in contract.resources if operation in (f.create, f.replace, f.update)), None)


def converse(lane: Lane) -> Conversation:
    operation = lane.operation
    read = _reads(lane.contract, operation)
    if read is None:
        outcome: Outcome = yield from _registration(lane)
        return outcome
    myself = operation.path.rstrip("/").rsplit("/", 1)[-1] in MYSELF
    session: Session | None = yield from throw_away(lane) if myself else caller(lane, operation)
    plain, made = yield from control(lane, operation, session)
    before: Response = yield from send(_read(lane, read, plain, made))
    shown = _properties(before)
    if not before.ok or not isinstance(shown, dict):
        raise CannotProve(
            f"what {operation.label} wrote can't be read: {read.label} was answered with {describe(before)}"
        )
    other = yield from _somebody_else(session, shown)
    extras = unasked(lane, operation, read, shown, other)
    yield from _tidy(lane, plain, made)
    if not extras:
        return _nothing_closed(lane, operation, read, shown)
    for chosen in (extras, *([extra] for extra in extras[:_SINGLES])):
        attack = _adding(with_valid_body(lane, plain, operation), chosen)
        answer: Response = yield from send(attack)
        if not answer.ok:
            continue
        after: Response = yield from send(_read(lane, read, attack, answer))
        yield from _tidy(lane, attack, answer)
        finding = _judged(chosen, attack, answer, shown, after, read)
        if finding is not None and not myself:
            # A state may move on by itself: what one without those properties shows by now is no finding.
            usual, done = yield from control(lane, operation, session)
            now: Response = yield from send(_read(lane, read, usual, done))
            yield from _tidy(lane, usual, done)
            moved = _properties(now)
            finding = _judged(
                chosen, attack, answer, {**shown, **moved} if isinstance(moved, dict) else shown, after, read
            )
        if finding is not None:
            return finding
        if chosen is extras and after.ok:
            return Kept(f"ignored: {', '.join(extra.name for extra in extras)}")
    return Kept(f"refused or ignored: {', '.join(extra.name for extra in extras[:_SINGLES])}")


def _nothing_closed(lane: Lane, operation: Operation, read: Operation, shown: Mapping[str, Any]) -> Unproven:
    protected = {key(name) for name in lane.contract.policy.ownership.protected}
    both = [name for name in shown if key(name) in protected]
    if both:
        reason = f"upheld.yaml protects {', '.join(both)}, and the document lets {operation.label} set it"
        return Unproven(reason, f"in the document: readOnly: true for {both[0]}")
    return Unproven(f"{read.label} shows nothing that {operation.label} may not set", _LINE)


def _somebody_else(session: Session | None, shown: Mapping[str, Any]) -> Move:
    """Another person to name as the owner, where what was written has one; None where nobody can be had."""
    if session is None or not any(key(name) in OWNERS for name in shown):
        return None
    try:
        return (yield from sign_in(session.role))
    except CannotProve:
        return None


def _read(lane: Lane, read: Operation, request: Request, response: Response) -> Request:
    family = _family(lane.contract, lane.operation)
    path = request.path
    if family is not None and family.create == lane.operation:
        identifier = id_of(family, response)
        if identifier is None:
            raise CannotProve(f"{lane.operation.label} does not tell the id of what it made")
        path = member_path(family, identifier, read.path)
    return Request("GET", path, session=request.session, operation=read.label)


def _properties(response: Response) -> Any:
    """What the answer shows of the thing, also where it stands in an envelope: ``{"data": {…}}``."""
    value = document(response)
    inner = [value[name] for name in _ENVELOPES if isinstance(value.get(name), dict)] if isinstance(value, dict) else []
    return {**value, **inner[0]} if inner else value


def _tidy(lane: Lane, request: Request, response: Response) -> Move:
    family = _family(lane.contract, lane.operation)
    if family is not None and family.create == lane.operation and (identifier := id_of(family, response)) is not None:
        yield from discard(lane, family, identifier, request.session)


def _adding(request: Request, extras: list[Unasked]) -> Request:
    body = document(request)
    if not isinstance(body, dict):
        raise CannotProve(f"{request.operation} takes no JSON object")
    changed = request.with_json({**body, **{extra.name: extra.value for extra in extras}})
    return changed.with_headers(content_type=request.headers.get("content-type"))


def _judged(
    extras: list[Unasked],
    attack: Request,
    answer: Response,
    before: Mapping[str, Any],
    after: Response,
    read: Operation,
) -> Finding | None:
    shown = _properties(after)
    taken = ""
    # An id that was only repeated leads nowhere, and says nothing of whose the thing is.
    echoed = any(extra.names_itself for extra in extras)
    if after.ok and isinstance(shown, dict):
        stored = [extra for extra in extras if extra.shown_in(shown) and not extra.shown_in(before)]
        if stored:
            taken = f"{read.label} then shows {', '.join(f'{extra.name}: {extra.value!r}' for extra in stored)}"
    elif after.status in (403, 404) and any(extra.names_an_owner for extra in extras) and not echoed:
        taken = f"whoever sent it may not read it then ({after.status}): it has another owner"
    if not taken:
        return None
    return Finding(
        expected="a 4xx, or a thing that reads as if nothing had been added",
        actual=f"{answer.status}, and {taken}",
        sent=f"{attack.method} {attack.path}, valid, with {', '.join(extra.name for extra in extras)} added",
        request=attack,
    )


# -- registration --------------------------------------------------------------------------------------------------------


def _registration(lane: Lane) -> Move:
    """Who registers with a role of their choice, and what they may do then."""
    operation, me, step = lane.operation, canary(lane.contract), lane.contract.auth.register
    assert me is not None
    assert step is not None
    ordinary: Session = yield from sign_in()
    before: Response = yield from send(Request("GET", me.path, session=ordinary, operation=me.label))
    shown = _properties(before)
    if not before.ok or not isinstance(shown, dict):
        raise CannotProve(f"what was registered can't be read: {me.label} was answered with {describe(before)}")
    extras = unasked(lane, operation, me, shown, None)
    if not extras:
        return Unproven(f"{me.label} shows nothing that {operation.label} may not set", _LINE)
    for chosen in (extras, *([extra] for extra in extras[:_SINGLES])):
        person = newcomer(lane, f"{lane.unique('Pw')}-Aa1!")
        attack = _adding(step_request(lane, step, person), chosen)
        answer: Response = yield from send(attack)
        if not answer.ok:
            continue
        entered = signed_in(lane, person, (yield from log_in(lane, person)))
        if entered is None:
            raise CannotProve(f"who registered with {', '.join(e.name for e in chosen)} is not let in by the login")
        after: Response = yield from send(Request("GET", me.path, session=entered, operation=me.label))
        finding = _judged(chosen, attack, answer, shown, after, me) or (
            yield from _promoted(lane, attack, ordinary, entered)
        )
        if finding is not None:
            return finding
        if chosen is extras:
            return Kept(f"ignored: {', '.join(extra.name for extra in extras)}")
    return Kept(f"refused or ignored: {', '.join(extra.name for extra in extras[:_SINGLES])}")


def _promoted(lane: Lane, attack: Request, ordinary: Session, entered: Session) -> Move:
    """The finding, where the newcomer may do what ordinary people may not."""
    contract = lane.contract

    def denied(op: Operation) -> bool:
        allowed = contract.roles(op)
        harmless = op.method == "GET" and not any(p.required for p in op.parameters)
        return harmless and allowed is not None and ordinary.role not in allowed and op.label not in contract.dangerous

    closed = next((op for op in contract.operations if denied(op)), None)
    if closed is None:
        return None
    request = Request("GET", closed.path, session=ordinary, operation=closed.label)
    refusal: Response = yield from send(request)
    answer: Response = yield from send(request.as_(entered))
    if refusal.ok or not answer.ok:
        return None
    return Finding(
        expected=f"{refusal.status} for {closed.label}, as for everybody who registers",
        actual=f"{answer.status} for who registered with a role in the body",
        sent=f"{lane.operation.label}, valid, with more properties; then {closed.label}",
        request=attack,
    )


_ME, _ITEMS, _ORDERS = "PATCH /api/v1/users/me", "POST /api/v1/items", "POST /api/v1/orders"
_REGISTER = "POST /api/v1/auth/register"


def _open(shop: Any) -> None:
    shop.skips.add("closed")


def _echo(request: Request, response: Response) -> Response:
    """A service that drops what it does not know, and repeats the request's body all the same."""
    body = document(request)
    if request.method != "POST" or response.status != 422 or not isinstance(body, dict):
        return response
    return Response.of(201, {"id": "i0", **body})


def _in_an_envelope(request: Request, response: Response) -> Response:
    read = request.method == "GET" and request.path.startswith("/api/v1/orders/") and response.ok
    return Response.of(200, {"data": response.json()}) if read else response


CONFORMING = (
    Example("refused, one's own account", subject=_ME),
    Example("refused, a creation", subject=_ORDERS),
    Example("refused, and shown in an envelope", subject=_ORDERS, alter=_in_an_envelope),
    Example("refused, a registration", subject=_REGISTER),
    Example("an echo, and nothing is stored", alter=_echo, subject=_ITEMS),
)

BREACHING = (
    Example("the role of one's own account", shop=_open, subject=_ME),
    Example("the owner of a new order", shop=_open, subject=_ORDERS),
    Example("the owner of a new order, shown in an envelope", shop=_open, subject=_ORDERS, alter=_in_an_envelope),
    Example("an administrator by registration", shop=_open, subject=_REGISTER),
)
