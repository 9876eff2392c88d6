"""Keeps a run within the quotas of the contract, where the target stands with its limits on: no request meets a 429.

How a service counts is not known for certain, so every count is the worst that an algorithm allows. A request is taken as
counted at the last moment at which it can have been, when its answer came, and one place of each quota stays free.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from upheld.contract.model import RateRule
from upheld.contract.patterns import matches
from upheld.exchange import Request, Response, Session
from upheld.steps.tokens import access_token, read_token

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.run.plan import Plan

_PLAIN_WINDOWS = ("token-bucket", "fixed-window", "moving-window")
_POLICY = re.compile(r'\s*(?:"[^"]*"|[\w.*/-]+)((?:\s*;\s*\w+\s*=\s*[^;,]+)+)\s*')


@dataclass(frozen=True, slots=True)
class Claim:
    """Of whose quota under which rule a request takes a place."""

    rule: RateRule
    key: str


@dataclass(slots=True)
class _Log:
    """The requests of one key under one rule."""

    answered: deque[float] = field(default_factory=deque)
    """When the answers came, oldest first."""
    open: int = 0
    """Sent and not yet answered."""


class Book:
    """Counts what is sent, by rule and by key, and says when there is room for more. No I/O; seconds of ``clock``."""

    def __init__(
        self, rules: Iterable[RateRule], prefix: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rules = tuple(rules)
        self._prefix = prefix
        self._clock = clock
        self._logs: dict[Claim, _Log] = {}
        self._stated: dict[RateRule, int] = {}
        self._not_kept: set[RateRule] = set()

    # -- whose quota -----------------------------------------------------------------------------------------------------

    def claims(
        self, method: str, path: str, people: Iterable[str], address: str | None, *, operation: str = ""
    ) -> set[Claim]:
        """The places that a request takes: under the rule of its operation, and of its path however a limiter may read it.

        ``people`` are those whose credentials it carries; without any it counts for its address.
        """
        paths = {path, re.sub(r"/{2,}", "/", unquote(path))}
        methods = {method, "GET"} if method == "HEAD" else {method}
        named = {tuple(operation.split(" ", 1))} if " " in operation else set()
        found = {self._rule(one, where) for one, where in {*((m, p) for m in methods for p in paths), *named}}
        return {
            Claim(rule, key)
            for rule in found
            if rule is not None and rule not in self._not_kept
            for key in _keys(rule, set(people), address, operation or path)
        }

    def _rule(self, method: str, path: str) -> RateRule | None:
        for rule in self.rules:
            if matches(rule.pattern, method, path, self._prefix):
                return None if any(matches(p, method, path, self._prefix) for p in rule.exempt) else rule
        return None

    def quota(self, rule: RateRule) -> int:
        """The service's own, if it states one."""
        return self._stated.get(rule, rule.quota)

    def room(self, rule: RateRule) -> int:
        """How many requests any window may hold."""
        return max(1, self.quota(rule) - 1)

    @property
    def known(self) -> dict[RateRule, RateRule]:
        """Each rule as the service keeps it, as far as it has shown; without those that it does not keep."""
        return {rule: replace(rule, quota=self.quota(rule)) for rule in self.rules if rule not in self._not_kept}

    # -- when ------------------------------------------------------------------------------------------------------------

    def delay(self, wanted: Mapping[Claim, int]) -> float:
        """Seconds until there is room for all of these, 0 when there is now.

        More than a quota admits at once count as that many.
        """
        now = self._clock()
        return max((self._delay(claim, number, now) for claim, number in wanted.items()), default=0.0)

    def _delay(self, claim: Claim, number: int, now: float) -> float:
        log, rule = self._logs.get(claim), claim.rule
        if log is None or rule in self._not_kept:
            return 0.0
        reach = rule.window if rule.algorithm in _PLAIN_WINDOWS else 2 * rule.window
        while log.answered and log.answered[0] <= now - reach:
            log.answered.popleft()
        times = [*log.answered, *[now] * log.open]
        room = self.room(rule) - min(number, self.room(rule))
        if len(times) <= room:
            return 0.0
        if rule.algorithm in _PLAIN_WINDOWS:
            return max(0.0, times[len(times) - room - 1] + rule.window - now)
        return _until(lambda at: _weighed(times, at, rule.window) <= room, now, reach)

    # -- what was sent ---------------------------------------------------------------------------------------------------

    def enter(self, claims: Iterable[Claim]) -> None:
        """These places are taken by a request about to be sent."""
        for claim in claims:
            self._logs.setdefault(claim, _Log()).open += 1

    def leave(self, claims: Iterable[Claim]) -> None:
        """The request was answered, or will not be."""
        for claim in claims:
            self._logs[claim].open -= 1
        self.add(claims)

    def add(self, claims: Iterable[Claim], age: float = 0.0) -> None:
        """Somebody else took these places, ``age`` seconds ago."""
        for claim in claims:
            answered = self._logs.setdefault(claim, _Log()).answered
            at = self._clock() - age
            if answered and answered[-1] > at:
                self._logs[claim].answered = deque(sorted([*answered, at]))
            else:
                answered.append(at)

    def heard(self, claims: Iterable[Claim], status: int) -> None:
        """Learn from an answer whether somebody else uses the same quota, and whether there is one at all."""
        for claim in claims:
            recent = self._recent(claim)
            if status == 429:
                self.add([claim] * (self.room(claim.rule) - recent))
            # Every algorithm admits less than this in one window; that nobody was refused shows that nobody is.
            elif recent > 2 * claim.rule.quota + 2:
                self._not_kept.add(claim.rule)

    def states(self, rule: RateRule, quota: int) -> None:
        """The service says that its quota is another than the contract's."""
        self._stated[rule] = quota

    def _recent(self, claim: Claim) -> int:
        answered = self._logs[claim].answered
        begin = self._clock() - claim.rule.window
        return len(answered) - bisect_left(answered, begin)

    def ages(self, key: str) -> list[tuple[RateRule, float]]:
        """(rule, seconds ago) of what this key has used, for another book."""
        now = self._clock()
        return [(claim.rule, now - at) for claim, log in self._logs.items() if claim.key == key for at in log.answered]


def _keys(rule: RateRule, people: set[str], address: str | None, where: str) -> set[str]:
    if rule.key == "global":
        return {"everybody"}
    route = f" {where}" if rule.key.endswith("+route") else ""
    by_person = _is_by_user(rule)
    return {(f"{one}{route}") for one in (people if by_person and people else {f"address {address}"})}


def _weighed(times: Sequence[float], at: float, window: float) -> float:
    """The most that a sliding window counter can see at ``at``, wherever its windows begin: the current window's requests, and
    of those in the window before the share by which it still overlaps."""
    worst = 0.0
    ages = sorted(at - moment for moment in times)
    for into in {0.0, *(age for age in ages if age < window), *(age - window for age in ages if age >= window)}:
        if 0.0 <= into < window:
            now, before = bisect_right(ages, into), bisect_right(ages, into + window)
            worst = max(worst, now + (before - now) * (1 - into / window))
    return worst


def _until(fits: Callable[[float], bool], now: float, reach: float) -> float:
    """Seconds until it fits, which it does for good after ``reach``."""
    if fits(now):
        return 0.0
    low, high = 0.0, reach
    while high - low > reach / 1000:
        middle = (low + high) / 2
        low, high = (low, middle) if fits(now + middle) else (middle, high)
    return high


def stated_quota(policy: str, window: float) -> int | None:
    """The quota that a RateLimit-Policy field states for this window (draft-ietf-httpapi-ratelimit-headers-10 §3), where it
    states a single policy."""
    found = _POLICY.fullmatch(policy)
    if found is None:
        return None
    values = dict(re.findall(r"(\w+)\s*=\s*(\d+)", found.group(1)))
    return int(values["q"]) if int(values.get("w", -1)) == window and int(values.get("q", 0)) > 0 else None


class Pace(Book):
    """The book of one target: knows by which credentials a request is known, and tells who waits for how long."""

    def __init__(self, contract: Contract, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(contract.rate_rules, contract.prefix, clock)
        self._people: dict[str, str] = {}
        """Value of a header field that authenticates → whose it is."""
        self._same: dict[str, str] = {}
        """Name that somebody signs in with → the subject of their tokens."""
        self._waits: dict[object, float] = {}

    def of(self, request: Request, address: str | None) -> set[Claim]:
        """The places that this request will take from this address."""
        return self.claims(
            request.method, request.path, self.whose(request), address, operation=request.operation or ""
        )

    def whose(self, request: Request) -> set[str]:
        """Everybody whose credential the request carries, by `person`, also where a field of its own says it."""
        own = {name.lower(): value for name, value in request.headers.pairs}
        people = set()
        session = request.session
        if session is not None:
            name = self.person(session)
            fields = [(field.lower(), value) for field, value in session.headers]
            self._people.update((value, name) for _, value in fields)
            if any(field not in own for field, _ in fields):
                people.add(name)
        for value in own.values():
            if (known := self._people.get(value)) is not None:
                people.add(known)
        claimed = read_token(own.get("authorization", "").rpartition(" ")[2])
        if claimed is not None and claimed.claims.get("sub"):
            people.add(f"subject {claimed.claims['sub']}")
        return people

    def person(self, session: Session) -> str:
        """One name for all sessions of one account."""
        token, user = access_token(session), session.user or session.name
        if token is not None and token.claims.get("sub"):
            self._same[user] = f"subject {token.claims['sub']}"
        return self._same.get(user, f"user {user}")

    def answered(self, claims: set[Claim], request: Request, address: str | None, response: Response) -> None:
        """Learn from an answer. Whoever was not known by a credential has used the address's quota."""
        if response.status == 401:
            self.add(self.claims(request.method, request.path, (), address, operation=request.operation or "") - claims)
        self.heard(claims, response.status)
        rules = {claim.rule for claim in claims}
        is_plain = request.operation == f"{request.method} {request.path}"
        policy = response.headers.get("ratelimit-policy", "")
        if policy and is_plain and len(rules) == 1:
            rule = rules.pop()
            if (quota := stated_quota(policy, rule.window)) is not None:
                self.states(rule, quota)

    # -- waiting ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Somebody waits for so long."""
        wait = object()
        self._waits[wait] = self._clock() + seconds
        try:
            yield
        finally:
            del self._waits[wait]

    @property
    def told(self) -> str:
        """``waiting for quota: 41 s``, the longest of the waits that go on; empty when nobody waits a second."""
        left = max(self._waits.values(), default=0.0) - self._clock()
        return f"waiting for quota: {left:.0f} s" if left >= 1 else ""


def needed(contract: Contract, plan: Plan, *, addresses: bool) -> float:
    """About how many seconds a plan waits for quotas, fuzzing apart, at least.

    ``addresses`` says whether source addresses can be chosen: then a quota by address holds nobody up. One by user holds up whoever
    can't be registered anew.
    """
    planned: Counter[RateRule] = Counter()
    shared: Counter[RateRule] = Counter()
    """What people can take turns at, as somebody new takes over where a quota ends."""
    for promise in plan.dialogues:
        operation = promise.subject.operation
        rule = contract.rate_rule(operation) if operation is not None else None
        if operation is not None and rule is not None and promise.check.requirement.profile != "shipped":
            takes_turns = _is_by_user(rule) and _can_register(contract, contract.roles(operation))
            (shared if takes_turns else planned)[rule] += promise.requests
    people = max((-(-count // rule.quota) for rule, count in shared.items()), default=0)
    for step in (contract.auth.register, contract.auth.login):
        if step is not None and (rule := contract.rate_rule(step.operation)) is not None:
            planned[rule] += people
    held_up = (
        (count - 1) // max(1, rule.quota - 1) * rule.window
        for rule, count in planned.items()
        if not addresses or _is_by_user(rule) or rule.key == "global"
    )
    return max(held_up, default=0.0)


def _is_by_user(rule: RateRule) -> bool:
    return rule.key.startswith(("user", "api_key"))


def _can_register(contract: Contract, roles: Sequence[str] | None) -> bool:
    """Whether somebody new can be had who may call what these roles may."""
    given = {identity.role for identity in contract.policy.identities.values() if identity.has_credentials}
    return contract.auth.register is not None and not (roles and given.issuperset(roles))


def user_quota(contract: Contract) -> int | None:
    """How many requests one identity may spend where the limits are on: the smallest quota keyed by user, less a tenth."""
    quotas = [rule.quota for rule in contract.rate_rules if "user" in rule.key]
    return int(min(quotas) * 0.9) if quotas else None
