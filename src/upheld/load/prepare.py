"""From a contract and signed-in identities to a plan: makes what the load needs through the service, then decides the rates."""

from __future__ import annotations

import secrets as entropy
import string
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from upheld.errors import TargetUnreachable
from upheld.exchange import Session
from upheld.load.choice import Chooser, Chosen, sessions_in_use
from upheld.load.members import Members
from upheld.load.plain import Plain
from upheld.load.plan import Arrivals, LeftOut, Plan, Pressed, Secrets
from upheld.load.rates import shares, within_quotas
from upheld.load.templates import CannotMake, secrets_of
from upheld.verdict import Listener, Progress, silent

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

QUANTILE = 0.95
FEWEST = 59
"""Samples below which nothing can be met: 0.95 ** 59 < 0.05."""
WARMUP = 5.0
USERS_RATE = 1.0
"""Requests a second of one user, where the contract gives users and no rate."""
EACH_RAISED, EACH_SHIPPED = 10, 2
"""Members that are made of each kind; few where quotas are in force."""


@contextmanager
def prepared(
    contract: Contract,
    base_url: str,
    sessions: Sequence[Session],
    *,
    seconds: float | None = None,
    rate: float | None = None,
    profile: Literal["raised", "shipped"] = "shipped",
    listener: Listener = silent,
    seed: int = 0,
    stop: threading.Event | None = None,
    keep: bool = False,
) -> Iterator[tuple[Plan, Secrets]]:
    """The plan and its secrets; on leaving, what was made for it is deleted again where the contract offers that, unless
    ``keep`` says that the plan is for later.

    Raises `TargetUnreachable`, and `SetupError` when the service is not what the contract describes.
    """
    load = contract.policy.load
    seconds = seconds or load.duration
    wanted = rate or load.rate or load.users * USERS_RATE
    namespace = "".join(entropy.choice(string.ascii_lowercase) for _ in range(6))
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(base_url))
    used = sessions_in_use(sessions)
    known: Secrets = {session.name: secrets_of(session) for session in used}
    each = EACH_RAISED if profile == "raised" else EACH_SHIPPED
    # Waits for a quota end with the load.
    with Plain(origin, sleep=(stop or threading.Event()).wait) as http:
        members = Members(contract, used, http, known, namespace=namespace, each=each)
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
            )
            needed = {name: known[name] for name in plan.identities}
            yield plan, needed
        finally:
            if not keep:
                listener(Progress("step", "load: deleting what was made for it"))
                with suppress(TargetUnreachable):
                    http.patience = 0
                    members.discard_all()


def make_plan(
    contract: Contract,
    members: Members,
    *,
    origin: str,
    seconds: float,
    rate: float,
    profile: Literal["raised", "shipped"],
    seed: int,
    listener: Listener = silent,
) -> Plan:
    """The plan, made by asking the service through ``members``."""
    warmup = min(WARMUP, seconds / 6)
    limits = _limits(contract)
    listener(Progress("step", "load: making members to work on"))
    members.make_all()
    chooser = Chooser(contract, members, copies=round(rate * (seconds + warmup)))
    chosen: list[Chosen] = []
    left_out: list[LeftOut] = []
    for number, operation in enumerate(contract.operations):
        listener(
            Progress("step", f"load: trying {operation.label}", number, len(contract.operations), members.requests)
        )
        try:
            chosen.append(chooser.choose(operation))
        except CannotMake as cannot:
            kind = contract.latency_class(operation)
            left_out.append(LeftOut(operation.label, kind, limits[kind], str(cannot), cannot.add))
    chooser.check()
    demands = [item.demand for item in chosen]
    rates = shares(contract, demands, rate)
    arrivals: Arrivals = "poisson"
    notes: list[str] = []
    if profile == "shipped" and contract.rate_rules:
        allowed = within_quotas(contract, demands, rates, members.spent)
        if sum(allowed) < sum(rates) * 0.999:
            notes.append(
                f"the rate limits allow {sum(allowed):.3g}/s of {rate:g}/s with {len(members.sessions)} identities "
                "from one address; start the target with raised limits (target.profiles.raised) for the full rate"
            )
        # A burst would break a quota that the mean keeps.
        rates, arrivals = allowed, "even"
    pressed = tuple(_pressed(contract, item, own, limits) for item, own in zip(chosen, rates, strict=True) if own > 0)
    starved = [item.demand.operation for item, own in zip(chosen, rates, strict=True) if own <= 0]
    left_out += [_without_quota(contract, operation, limits) for operation in starved]
    notes += _forecast(contract, pressed, seconds, warmup)
    return Plan(
        contract=contract.name,
        base_url=origin,
        seed=seed,
        seconds=seconds,
        warmup=warmup,
        drain=_drain(max(limits.values()) / 1000),
        arrivals=arrivals,
        max_error_rate=contract.policy.load.max_error_rate,
        operations=pressed,
        pools={item.takes: () for item in pressed if item.takes},
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def _drain(longest: float) -> float:
    """Seconds to wait for late answers: beyond any limit, so that whatever is missing then is over it."""
    return max(5.0, longest + 1.0, min(30.0, 3 * longest))


def _limits(contract: Contract) -> Mapping[str, float]:
    """Milliseconds by class."""
    latency = contract.policy.latency
    return {"crud": latency.crud * 1000, "complex": latency.complex * 1000, "auth": latency.auth * 1000}


def _pressed(contract: Contract, item: Chosen, rate: float, limits: Mapping[str, float]) -> Pressed:
    operation = item.demand.operation
    kind = contract.latency_class(operation)
    return Pressed(
        name=operation.label,
        method=operation.method,
        latency_class=kind,
        limit_ms=limits[kind],
        quantile=QUANTILE,
        rate=rate,
        templates=item.templates,
        makes=item.demand.makes,
        id_pointer=item.id_pointer,
        takes=item.demand.takes,
    )


def _without_quota(contract: Contract, operation: Operation, limits: Mapping[str, float]) -> LeftOut:
    kind = contract.latency_class(operation)
    rule = contract.rate_rule(operation)
    reason = (
        f"the set-up alone used up its quota ({rule.label})"
        if rule
        else "nothing is made for it to use up; see load.weights"
    )
    return LeftOut(operation.label, kind, limits[kind], reason)


def _forecast(contract: Contract, pressed: Sequence[Pressed], seconds: float, warmup: float) -> list[str]:
    """What can be known before: which operations will have too few samples, and whether the tokens last."""
    notes = []
    if few := [item for item in pressed if item.rate * seconds < FEWEST]:
        longest = max(FEWEST / item.rate for item in few)
        notes.append(
            f"{len(few)} of {len(pressed)} operations get fewer than {FEWEST} requests in {seconds:g} s, the least for a "
            f"verdict of their own; {longest:.0f} s would do for all. Their classes are judged together"
        )
    life = contract.policy.auth.jwt.access_ttl
    if life and warmup + seconds > 0.8 * life:
        notes.append(f"access tokens live {life:g} s and this load does not renew them: it may outlast them")
    return notes
