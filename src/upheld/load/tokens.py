"""Whose access token ends before the load does, and how each is renewed in time."""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from upheld.contract.placement import COOKIE, MARK, placement
from upheld.load.plan import ACCESS, Renewal, Template
from upheld.load.rates import RESERVE
from upheld.load.templates import CannotMake, refresh, sign_in

if TYPE_CHECKING:
    from upheld.contract import Contract, Step
    from upheld.exchange import Session

LATEST = 0.8
"""Share of a token's life at which it is renewed at the latest."""
STARTS_WITHIN = 600.0
"""Seconds that may pass before the load begins, while workers of other machines come."""


@dataclass(slots=True)
class Renewing:
    """The renewals of a load, what they are charged with, and what has to be said."""

    renewals: tuple[Renewal, ...] = ()
    spent: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(label, caller) → requests in a window of the operation's rule."""
    notes: list[str] = field(default_factory=list)


def renewing(contract: Contract, sessions: Sequence[Session], until: float, now: float) -> Renewing:
    """What the tokens of these sessions need to last for ``until`` seconds. ``now`` is in seconds since the epoch."""
    found = Renewing()
    spans = [(session, *span) for session in sessions if session.access and (span := _life(contract, session, now))]
    spans = [(session, life, age) for session, life, age in spans if life - age < until + STARTS_WITHIN]
    ending = [session for session, life, age in spans if life - age < until]
    steps: dict[str, list[Renewal]] = {}
    for session, life, age in spans:
        # Those who signed in together do not all come back together.
        share = (len(ending) + 1 + ending.index(session)) / (2 * len(ending)) if session in ending else 1.0
        try:
            renewal = _renewal(contract, session, first=max(0.0, LATEST * life * share - age), every=LATEST * life)
        except CannotMake as cannot:
            if session in ending:
                found.notes.append(_not_renewed(session, max(0.0, life - age), cannot))
            continue
        found.renewals += (renewal,)
        if session in ending:
            steps.setdefault(renewal.operation, []).append(renewal)
    for label, renewals in steps.items():
        _charge(contract, label, renewals, found)
    if steps:
        number = sum(map(len, steps.values()))
        found.notes.append(
            f"{number} access tokens are renewed by {' and '.join(steps)} before they end, off the measured path"
        )
    return found


def _not_renewed(session: Session, left: float, cannot: CannotMake) -> str:
    return (
        f"the access token of {session.name} ends {left:.0f} s after the start and is not renewed: {cannot}; "
        "what follows would be answered 401"
    )


def by_login(contract: Contract, session: Session) -> Renewal | None:
    """A renewal that needs no refresh token; None where there is none."""
    try:
        return _step(contract.auth.login, session, contract, sign_in, first=0.0, every=math.inf)
    except CannotMake:
        return None


def _charge(contract: Contract, label: str, renewals: Sequence[Renewal], found: Renewing) -> None:
    operation = contract.operation(label)
    rule = contract.rate_rule(operation) if operation else None
    if rule is None:
        return
    shortest = min(renewal.every for renewal in renewals)
    many = min(len(renewals), math.ceil(rule.window * 2 * len(renewals) / shortest))
    found.spent[label, ""] += many
    if many > rule.quota * (1 - RESERVE):
        found.notes.append(
            f"{len(renewals)} tokens are too many to be renewed within {rule.label}; use fewer identities"
        )


def _renewal(contract: Contract, session: Session, *, first: float, every: float) -> Renewal:
    """By the refresh, else by another login. Raises `CannotMake` with why neither is possible."""
    why = "no refresh and no login is stated or recognised"
    for step, template in ((contract.auth.refresh, refresh), (contract.auth.login, sign_in)):
        if step is None:
            continue
        try:
            return _step(step, session, contract, template, first=first, every=every)
        except CannotMake as cannot:
            why = str(cannot)
    raise CannotMake(why)


def _step(
    step: Step | None,
    session: Session,
    contract: Contract,
    template: Callable[[Step, Session], Template],
    *,
    first: float,
    every: float,
) -> Renewal:
    if step is None:
        raise CannotMake("no login is stated or recognised")
    if session.name in contract.logins or session.answer is None:
        raise CannotMake("its credential is given or has a login of its own")
    login = contract.auth.login
    access = step.access or (login.access if login else "")
    if not access or access == COOKIE:
        raise CannotMake(f"{step.operation.label} gives no token that could be read")
    where = placement(step.scheme or contract.auth.scheme)
    value = where.field(MARK)
    if value is None:
        raise CannotMake("it is sent in the query")
    before, _, after = value[1].partition(MARK)
    return Renewal(
        identity=session.name,
        operation=step.operation.label,
        method=step.operation.method,
        template=template(step, session),
        access=access,
        refresh=step.refresh or (login.refresh if login and login != step and not step.access else ""),
        field=value[0],
        value=(before, ACCESS, after),
        first=first,
        every=every,
    )


def _life(contract: Contract, session: Session, now: float) -> tuple[float, float] | None:
    """Seconds that its access token lives in all, and how old it is; None where nothing tells."""
    claims = _claims(session.access or "")
    issued, ends = (_number(claims.get(name)) for name in ("iat", "exp"))
    age = min(max(0.0, now - issued), 1e9) if issued is not None else 0.0
    told = _number(_document(session).get("expires_in"))
    if issued is not None and ends is not None and ends > issued:
        # A clock that differs from ours by more than the life tells no age.
        life = ends - issued
        return life, age if age < life else 0.0
    stated = told or contract.policy.auth.jwt.access_ttl
    return (stated, age if age < stated else 0.0) if stated else None


def _claims(token: str) -> Mapping[str, object]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        value = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _document(session: Session) -> Mapping[str, object]:
    try:
        value = session.answer.json() if session.answer is not None else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None
