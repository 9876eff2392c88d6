"""What the checks of a quota share: which operation exercises a rule, and how a key is drained."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from upheld.check import Action, CannotProve, Lane, NotApplicable, Subject, Subjects, Timeline, Unproven, move, send
from upheld.exchange import Request, Response, Session
from upheld.steps import caller, canary, plain_get, step_request, valid_request, with_body
from upheld.steps.oauth import token_request

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, RateRule, Step

Knock = Callable[[Lane, Session | None], Generator[Action, Any, Request]]

LARGEST = 400
"""Quotas above this are not drained: it would be load, not a check."""


def rules(contract: Contract) -> Subjects:
    """One subject for each rule, with an operation that exercises it."""
    if not contract.rate_rules:
        return NotApplicable("the contract promises no rate limit (rate_limits)")
    found = []
    for rule in contract.rate_rules:
        operation = exercise(contract, rule)
        if operation is not None and rule.quota <= LARGEST:
            found.append(Subject(rule.label, operation=operation, rule=rule))
    return found or Unproven(f"no rule has an operation to exercise it with and a quota of at most {LARGEST}")


def smallest(contract: Contract) -> Subject | Unproven | NotApplicable:
    """The rule that is drained with the fewest requests, one keyed by address before one that needs a session.

    A service in a container sees one address for all: there it is the other way round.
    """
    found = rules(contract)
    if isinstance(found, Unproven | NotApplicable):
        return found
    target = contract.policy.target
    contained = target.compose is not None or target.image is not None

    def cost(subject: Subject) -> tuple[bool, int]:
        assert subject.rule is not None
        return ("user" in subject.rule.key) is not contained, subject.rule.quota

    return min(found, key=cost)


def exercise(contract: Contract, rule: RateRule) -> Operation | None:
    """The cheapest operation that this rule is the first to match."""
    steps = (contract.auth.login, contract.auth.register, contract.auth.refresh)
    cheap = [canary(contract) if "user" in rule.key else plain_get(contract), canary(contract), plain_get(contract)]
    candidates = [*cheap, *(step.operation for step in steps if step), *contract.operations]
    for operation in candidates:
        if operation is None or operation.label in contract.dangerous:
            continue
        simple = operation.method == "GET" and not operation.path_parameters
        simple = simple or operation == contract.oauth.token
        if contract.rate_rule(operation) is rule and (simple or any(s and s.operation == operation for s in steps)):
            return operation
    return None


def partition(lane: Lane) -> Generator[Action, Any, Session | None]:
    """Begin on a key that nobody has used: an address of its own, and an identity of its own where the key is a user.

    Raises `CannotProve` where the key is the address and addresses can't be chosen.
    """
    rule = lane.subject.rule
    assert rule is not None
    try:
        yield from move()
    except CannotProve as cannot:
        if rule.key in ("ip", "ip+route") or (rule.key == "user-or-ip" and lane.contract.is_public(lane.operation)):
            reason = f"the limit is keyed by address, and the whole run has one: {cannot}"
            raise CannotProve(reason, cannot.outcome.add) from cannot
    if "user" not in rule.key or lane.contract.is_public(lane.operation):
        return None
    session: Session = yield from caller(lane, lane.operation, fresh=True)
    return session


def knock(lane: Lane, session: Session | None) -> Generator[Action, Any, Request]:
    """A request of the rule's operation that costs the service little and changes nothing that matters."""
    auth = lane.contract.auth
    for step in (auth.login, auth.register, auth.refresh):
        if step is not None and step.operation == lane.operation:
            return step_request(lane, step, None)
    if lane.operation == lane.contract.oauth.token:
        return token_request(lane, {"grant_type": "upheld:nothing"})
    request: Request = yield from valid_request(lane, lane.operation, session)
    return request


def tap(lane: Lane, session: Session | None) -> Generator[Action, Any, Request]:
    """A request of an operation that hashes passwords, without one: it is refused before there is anything to hash."""
    yield from ()
    step = _hashing(lane)
    assert step is not None
    request = Request(lane.operation.method, lane.operation.path, operation=lane.operation.label)
    return with_body(request, {}, step.media_type)


def ways(lane: Lane) -> tuple[Knock, ...]:
    """How to ask for a token of the key, the way that costs the service least first."""
    return (knock,) if _hashing(lane) is None else (tap, knock)


def _hashing(lane: Lane) -> Step | None:
    steps = (lane.contract.auth.login, lane.contract.auth.register)
    return next((step for step in steps if step and step.operation == lane.operation and step.body is not None), None)


def exhaust(
    lane: Lane, session: Session | None
) -> Generator[Action, Any, tuple[list[Response], Response | None, Knock]]:
    """Use the key up, with as little work for the service as will do. (answers before the 429, it, how to ask once more).

    Where a limiter counts only what has come through the validation, taps are free, and it takes whole requests; the taps are
    not among the answers then.
    """
    admitted: list[Response] = []
    for how in ways(lane):
        admitted, refused = yield from drain(lane, session, how)
        if refused is not None:
            return admitted, refused, how
    return admitted, None, knock


def drain(
    lane: Lane, session: Session | None, how: Knock = knock
) -> Generator[Action, Any, tuple[list[Response], Response | None]]:
    """Send until the first 429. The answers before it, and it; None when as many came as no algorithm admits.

    A bucket that fills up at ``quota / window`` a second admits that much more while we send, so the bound grows with time.
    """
    rule = lane.subject.rule
    assert rule is not None
    admitted: list[Response] = []
    while len(admitted) <= ceiling(rule, admitted) + 1:
        request = yield from how(lane, session)
        response: Response = yield from send(request)
        if response.status == 429:
            return admitted, response
        admitted.append(response)
    return admitted, None


def ceiling(rule: RateRule, admitted: list[Response]) -> int:
    """Most requests that the rule admits from the first of these answers to the last."""
    seconds = admitted[-1].at - (admitted[0].at - admitted[0].elapsed) if admitted else 0.0
    refilled = (
        0 if rule.algorithm in ("fixed-window", "moving-window") else math.ceil(seconds * rule.quota / rule.window)
    )
    return rule.quota + refilled


def timeline(answers: Iterable[Response | None]) -> Timeline | None:
    """What one fresh key met: all its answers, None where none came. Whatever is not refused with 429 was admitted."""
    came = sorted((answer for answer in answers if answer is not None), key=lambda answer: answer.at)
    if not came:
        return None
    begun = min(answer.at - answer.elapsed for answer in came)
    return Timeline(tuple((round(max(0.0, answer.at - begun), 3), answer.status != 429) for answer in came))


def took(admitted: list[Response]) -> float:
    """Seconds from the first request to the last answer."""
    return admitted[-1].at - (admitted[0].at - admitted[0].elapsed) if admitted else 0.0
