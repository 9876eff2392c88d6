"""From a contract and signed-in identities to a plan: makes what the load needs through the service, then decides the rates."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from upheld.errors import TargetUnreachable
from upheld.exchange import Session
from upheld.load.choice import Chooser, Chosen, sessions_in_use
from upheld.load.corpus import Corpus
from upheld.load.length import Expected, forecast, needed
from upheld.load.members import Hear, Members
from upheld.load.plain import Plain
from upheld.load.plan import Arrivals, Plan, Pressed, Secrets, fresh_namespace
from upheld.load.rates import Demand, balanced, identities_for, shares, within_quotas
from upheld.load.renewal import Credentials
from upheld.load.target import recognise
from upheld.load.templates import CannotMake, secrets_of
from upheld.load.tokens import by_login, renewing
from upheld.verdict import LeftOut, Listener, Progress, silent

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

QUANTILE = 0.95
WARMUP = 5.0
USERS_RATE = 1.0
"""Requests a second of one user, where the contract gives users and no rate."""
EACH_RAISED, EACH_SHIPPED = 10, 2
"""Members that are made of each kind; few where quotas are in force."""
ODD_RAISED, ODD_SHIPPED = 10, 2
"""Unusual requests of each operation that are tried."""
LEAST = 10.0
"""Seconds before which no load of the duration auto ends: caches and connection pools are not what they will be."""

Length = float | Literal["auto"]
"""Seconds of the measured part, or as long as it takes."""


class Prepared(NamedTuple):
    """What one load needs, or several, one after the other."""

    plan: Plan
    secrets: Secrets
    left: Callable[[Mapping[str, Any] | None], None]
    """To be told the result of each, so that what it made and did not use up is deleted too."""


@contextmanager
def prepared(
    contract: Contract,
    base_url: str,
    sessions: Sequence[Session],
    *,
    seconds: Length | None = None,
    rate: float | None = None,
    profile: Literal["raised", "shipped"] = "shipped",
    listener: Listener = silent,
    seed: int = 0,
    stop: threading.Event | None = None,
    keep: bool = False,
    corpus: Corpus | None = None,
    hear: Hear = lambda exchange: None,
) -> Iterator[Prepared]:
    """What a load needs; on leaving, what was made for it is deleted again where the contract offers that, unless
    ``keep`` says that the plan is for later. ``corpus`` has unusual requests beside the usual ones; ``hear`` is told of every
    exchange with the quiet service.

    Raises `TargetUnreachable`, and `SetupError` when the service is not what the contract describes.
    """
    load = contract.policy.load
    seconds = seconds or load.duration
    wanted = rate or load.rate or load.users * USERS_RATE
    namespace = fresh_namespace()
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(base_url))
    used = sessions_in_use(sessions)
    known: dict[str, Mapping[str, Any]] = {session.name: secrets_of(session) for session in used}
    each = EACH_RAISED if profile == "raised" else EACH_SHIPPED
    # Waits for a quota end with the load.
    plan: Plan | None = None
    with Plain(origin, sleep=(stop or threading.Event()).wait) as http:
        recognise(contract, base_url, http.ask)
        members = Members(contract, used, http, known, namespace=namespace, each=each, hear=hear)
        try:
            plan = make_plan(
                contract,
                members,
                origin=origin,
                seconds=seconds,
                rate=wanted,
                profile=profile,
                seed=seed,
                listener=listener,
                corpus=corpus,
            )
            needed = {name: known[name] for name in plan.identities}
            yield Prepared(plan, needed, lambda result: members.left((result or {}).get("left", {})))
        finally:
            if not keep:
                listener(Progress("step", "load: deleting what was made for it"))
                with suppress(TargetUnreachable):
                    http.patience = 0
                    if plan is not None and plan.renewals:
                        known.update(_signed_in_again(contract, plan, known, used, http))
                    members.discard_all()


def _signed_in_again(
    contract: Contract, plan: Plan, known: Secrets, sessions: Sequence[Session], http: Plain
) -> Secrets:
    """New tokens for those whose own may have ended during the load; its renewals stayed with the generator."""
    credentials = Credentials(plan, known)
    renewed = {renewal.identity for renewal in plan.renewals}
    for session in sessions:
        if session.name in renewed and (renewal := by_login(contract, session)) is not None:
            answer = http.ask(*credentials.request(renewal, ""))
            credentials.book(renewal, answer.status, answer.headers, answer.body)
    return {name: credentials.of(name) for name in credentials.renewed}


def make_plan(
    contract: Contract,
    members: Members,
    *,
    origin: str,
    seconds: Length,
    rate: float,
    profile: Literal["raised", "shipped"],
    seed: int,
    listener: Listener = silent,
    corpus: Corpus | None = None,
) -> Plan:
    """The plan, made by asking the service through ``members``."""
    load = contract.policy.load
    longest = load.longest if seconds == "auto" else seconds
    least = min(LEAST, longest) if seconds == "auto" else longest
    warmup = min(WARMUP, longest / 6)
    raised = profile == "raised" or not contract.rate_rules
    listener(Progress("step", "load: making members to work on"))
    members.make_all()
    copies, odd = round(rate * (longest + warmup)), ODD_RAISED if raised else ODD_SHIPPED
    chooser = Chooser(contract, members, copies=copies, corpus=corpus, odd=odd)
    chosen: list[Chosen] = []
    left_out: list[LeftOut] = []
    for number, operation in enumerate(contract.operations):
        listener(
            Progress("step", f"load: trying {operation.label}", number, len(contract.operations), members.requests)
        )
        try:
            chosen.append(chooser.choose(operation))
        except CannotMake as cannot:
            left_out.append(_left_out(contract, operation, str(cannot), cannot.add))
    chooser.check()
    demands = [item.demand for item in chosen]
    rates = shares(contract, demands, rate)
    callers = {who for demand in demands for who in demand.callers}
    now = time.time()
    kept_up = renewing(contract, [s for s in members.sessions if s.name in callers], warmup + longest, now)
    arrivals: Arrivals = "poisson"
    notes: list[str] = []
    if not raised:
        allowed = within_quotas(contract, demands, rates, members.spent + kept_up.spent)
        if sum(allowed) < sum(rates) * 0.999:
            notes.append(_bound(contract, demands, rates, allowed, members))
        # A burst would break a quota that the mean keeps.
        rates, arrivals = allowed, "even"
    pressed = tuple(_pressed(contract, item, own) for item, own in zip(chosen, rates, strict=True) if own > 0)
    starved = [item.demand.operation for item, own in zip(chosen, rates, strict=True) if own <= 0]
    left_out += [_left_out(contract, operation, _why_starved(contract, operation)) for operation in starved]
    expected = _expected(pressed, members)
    announced = _likely(expected, least, longest)
    if pressed:
        notes.append(forecast(expected, announced))
    notes += kept_up.notes
    return Plan(
        contract=contract.name,
        base_url=origin,
        seed=seed,
        seconds=announced,
        least=least,
        longest=longest,
        warmup=warmup,
        drain=_drain(max((item.limit_ms for item in pressed), default=1000.0) / 1000),
        arrivals=arrivals,
        max_error_rate=load.max_error_rate,
        operations=pressed,
        pools={name: () for item in pressed for name in (item.takes, item.reads) if name},
        balanced=balanced(contract, [item.demand for item, own in zip(chosen, rates, strict=True) if own > 0])
        if raised
        else (),
        left_out=tuple(left_out),
        notes=tuple(notes),
        model=load.model,
        users=load.users if load.model == "closed" else 0,
        keep=load.check_every,
        renewals=kept_up.renewals,
        made=now,
    )


def _left_out(contract: Contract, operation: Operation, reason: str, add: str = "") -> LeftOut:
    limit_ms = 1000 * contract.latency_target(operation)
    return LeftOut(operation.label, contract.latency_class(operation), limit_ms, reason, add)


def _bound(
    contract: Contract, demands: Sequence[Demand], rates: Sequence[float], allowed: Sequence[float], members: Members
) -> str:
    """That the quotas bind, and what would help."""
    needed, shared = identities_for(contract, demands, rates)
    have = len(members.sessions)
    said = (
        f"the rate limits allow {sum(allowed):.3g}/s of {sum(rates):.3g}/s with {have} "
        f"{'identity' if have == 1 else 'identities'} from one address; start the target with raised limits (target.profiles.raised) for the full rate"
    )
    if needed > have:
        said += f", or give it {needed} identities"
    if shared:
        said += f"; {', '.join(shared)}: no number of identities raises that"
    return said


def _why_starved(contract: Contract, operation: Operation) -> str:
    rule = contract.rate_rule(operation)
    return (
        f"the set-up alone used up its quota ({rule.label})"
        if rule
        else "nothing is made for it to use up; see load.weights"
    )


def _pressed(contract: Contract, item: Chosen, rate: float) -> Pressed:
    operation = item.demand.operation
    return Pressed(
        name=operation.label,
        method=operation.method,
        latency_class=contract.latency_class(operation),
        limit_ms=1000 * contract.latency_target(operation),
        own_target=any(contract.matches(pattern, operation) for pattern in contract.policy.latency.ops),
        quantile=QUANTILE,
        rate=rate,
        templates=item.templates,
        makes=item.demand.makes,
        id_pointer=item.id_pointer,
        takes=item.demand.takes,
        odd=item.odd,
        reads=item.reads if item.recent else "",
        recent=item.recent,
    )


def _expected(pressed: Sequence[Pressed], members: Members) -> list[Expected]:
    return [
        Expected(
            item.name,
            "" if item.own_target else item.latency_class,
            item.rate,
            item.limit_ms,
            item.quantile,
            tuple(members.quiet_ms.get(item.name, ())),
        )
        for item in pressed
    ]


def _likely(expected: Sequence[Expected], least: float, longest: float) -> float:
    """When a run that ends with its last verdict will end, about."""
    found = needed(expected, watched=True)
    whole = max((*found.classes.values(), *found.operations.values()), default=least)
    return min(longest, max(least, float(math.ceil(min(whole, longest)))))


def _drain(longest: float) -> float:
    """Seconds to wait for late answers: beyond any limit, so that whatever is missing then is over it."""
    return max(5.0, longest + 1.0, min(30.0, 3 * longest))
