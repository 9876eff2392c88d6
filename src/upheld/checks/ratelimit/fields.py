"""RateLimit-Policy and RateLimit tell the truth.

## What it requires

Where the contract promises the fields of draft-ietf-httpapi-ratelimit-headers-10, they are there and can be read: Lists of Strings with
`q` and `w`, or `r` and `t`. A policy has the contract's quota and window. `r` goes down by one with each request and is 0 in the refusal,
`t` is not beyond the window, each name in RateLimit is one of RateLimit-Policy, and Retry-After is not earlier than `t`.

## Why

Clients that pace themselves by these fields run into the limit when the count is off, and can't read them at all when a name lacks
its quotes. The syntax has changed from draft to draft, so old examples are copied into new services.

## What it sends

Quota + 1 requests, one after the other, on a fresh key. Logins and registrations are sent without a password, where those count too.

## Example of a breach

`RateLimit: limit=10, remaining=9, reset=60` (draft 07), or `RateLimit: "login";r=10;t=6` on every answer.

## When to waive it

Where a gateway adds the fields in production and the run goes past it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upheld.check import (
    SHOULD,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
    Unproven,
)
from upheld.checks.ratelimit._drain import rules
from upheld.checks.ratelimit._fields import delay, miscounted, one_by_one, promised
from upheld.checks.ratelimit._limiters import AlignedWindow, FixedWindow, MovingWindow, SlidingCounter
from upheld.checks.ratelimit._policies import Item, Unreadable, items
from upheld.checks.ratelimit._rehearsed import LOGIN, State, draft_10, limited, refusals_say

if TYPE_CHECKING:
    from upheld.contract import Contract, RateRule
    from upheld.exchange import Response

REQUIREMENT = Requirement(
    title="RateLimit-Policy and RateLimit tell the truth",
    level=SHOULD,
    clause=Clause(
        "draft-ietf-httpapi-ratelimit-headers-10 §3, §4, §6; RFC 9651; the contract's rate_limit.headers",
        "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10#section-3",
    ),
    catalogue=("RATE-04",),
    reads=("rate_limits", "rate_limit.headers", "rate_limit.algorithm"),
    profile="shipped",
    dear=True,
    cost=1,
    quotas=1,
    owasp="API4:2023",
)


def subjects(contract: Contract) -> Subjects:
    found = rules(contract)
    if not isinstance(found, Iterable):
        return found
    told = [subject for subject in found if subject.rule and promised(contract, subject.rule) == "draft-10"]
    return told or NotApplicable("the contract promises no RateLimit fields (rate_limit: {headers: draft-10})")


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    admitted, refused, request = yield from one_by_one(lane)
    if refused is None:
        return Unproven(f"{len(admitted)} requests met no 429, so there is nothing to compare the fields with")
    sent = f"{len(admitted) + 1} × {lane.operation.label}, one after the other, on a fresh key"
    try:
        answers = [_Told.of(answer) for answer in (*admitted, refused)]
        wrong = _absent(answers) or _policy(rule, answers) or _names(answers) or _counts(rule, answers)
    except Unreadable as unreadable:
        wrong = ("fields as draft-ietf-httpapi-ratelimit-headers-10 writes them", str(unreadable))
    if wrong:
        return Finding(expected=wrong[0], actual=wrong[1], sent=sent, request=request)
    shown = sum(1 for answer in answers if answer.limits)
    return Kept(f"RateLimit on {shown} of {len(answers)} answers, the last {refused.headers.get('ratelimit', 'none')}")


@dataclass(frozen=True, slots=True)
class _Told:
    """What one answer tells: policies and states by name."""

    answer: Response
    policies: Mapping[str, Item]
    limits: Mapping[str, Item]

    @classmethod
    def of(cls, answer: Response) -> _Told:
        """Raises `Unreadable` with the field as it stands, and which draft writes it so."""
        return cls(answer, _read(answer, "RateLimit-Policy"), _read(answer, "RateLimit"))


def _read(answer: Response, field: str) -> dict[str, Item]:
    value = answer.headers.get(field)
    if value is None:
        return {}
    try:
        found = items("RateLimit" if field == "RateLimit" else "RateLimit-Policy", value)
    except Unreadable as unreadable:
        old = _old_draft(value)
        raise Unreadable(f"{field}: {value[:80]} ({f'likely: {old}' if old else unreadable})") from unreadable
    return {item.name: item for item in found}


def _old_draft(value: str) -> str:
    if "limit=" in value or "remaining=" in value:
        return "the syntax of draft 07, in which RateLimit was a dictionary"
    if value.lstrip()[:1].isdigit():
        return "the syntax of drafts up to 07, in which a policy had no name"
    return ""


_Wrong = tuple[str, str] | None


def _absent(answers: Sequence[_Told]) -> _Wrong:
    names = {name for told in answers for name in told.answer.headers if "ratelimit" in name.replace("-", "")}
    missing = [f for f in ("RateLimit-Policy", "RateLimit") if f.lower() not in names]
    if not missing:
        return None
    old = sorted(names - {"ratelimit", "ratelimit-policy"})
    instead = f"; likely: an old draft's or a home-made set, {', '.join(old)}" if old else ""
    return "RateLimit-Policy and RateLimit", f"no {' and no '.join(missing)} on any of {len(answers)} answers{instead}"


def _policy(rule: RateRule, answers: Sequence[_Told]) -> _Wrong:
    for told in answers:
        fitting = [p for p in told.policies.values() if _fits(rule, p)]
        if told.policies and not fitting:
            return (
                f"a policy with q={rule.quota};w={rule.window:g}",
                f"RateLimit-Policy: {_value(told, 'RateLimit-Policy')}",
            )
    return None


def _fits(rule: RateRule, policy: Item) -> bool:
    return policy.numbers["q"] == rule.quota and policy.numbers.get("w", rule.window) == rule.window


def _names(answers: Sequence[_Told]) -> _Wrong:
    known = {name for told in answers for name in told.policies}
    for told in answers:
        strange = sorted(set(told.limits) - known)
        if strange:
            return f"RateLimit names a policy of RateLimit-Policy: {', '.join(sorted(known))}", (
                f"RateLimit: {_value(told, 'RateLimit')}"
            )
    return None


def _counts(rule: RateRule, answers: Sequence[_Told]) -> _Wrong:
    """Of the policy that is this rule's; what others do is not known here."""
    name = next(p.name for told in answers for p in told.policies.values() if _fits(rule, p))
    own = [(told, told.limits[name].numbers) for told in answers if name in told.limits]
    for told, numbers in own:
        if numbers.get("t", 0) > rule.window + _SECOND:
            return f"t at most {rule.window:g}, the window", f"RateLimit: {_value(told, 'RateLimit')}"
    if wrong := miscounted(rule, [(told.answer, numbers["r"]) for told, numbers in own]):
        return "r goes down by one with each request", f"r={wrong}"
    last, numbers = own[-1] if own else (answers[0], {})
    if last.answer.status != 429:
        return None
    if numbers["r"] != 0:
        return "r=0 in the refusal", f"429 with RateLimit: {_value(last, 'RateLimit')}"
    wait = delay(last.answer)
    if wait is not None and wait + _SECOND < numbers.get("t", 0):
        return "Retry-After not earlier than t", (
            f"Retry-After: {last.answer.headers['retry-after']} with RateLimit: {_value(last, 'RateLimit')}"
        )
    return None


_SECOND = 1.0
"""Both are told in whole seconds, which one may have rounded up and the other down."""


def _value(told: _Told, field: str) -> str:
    return told.answer.headers[field][:100]


def _says(says: str, **fields: str) -> Example:
    """The conforming fields with some replaced; in them ``r`` and ``t`` stand for the numbers."""

    def tell(state: State) -> dict[str, str]:
        told = dict(draft_10(state))
        for name, value in fields.items():
            told[name.replace("_", "-")] = value.format(r=state.left, t=state.seconds)
        return told

    return Example(says, subject=LOGIN, shop=limited(tell=tell))


_WINDOWS = {"rate_limit": {"headers": "draft-10"}}

CONFORMING = (
    Example("a bucket that tells", subject=LOGIN, shop=limited(tell=draft_10)),
    Example("a fixed window", subject=LOGIN, shop=limited(FixedWindow, draft_10), policy=_WINDOWS),
    Example("windows of the clock", subject=LOGIN, shop=limited(AlignedWindow, draft_10, 7.0), policy=_WINDOWS),
    Example("a moving window", subject=LOGIN, shop=limited(MovingWindow, draft_10), policy=_WINDOWS),
    Example("a sliding counter", subject=LOGIN, shop=limited(SlidingCounter, draft_10, 7.0), policy=_WINDOWS),
    _says("w may be left out", RateLimit_Policy='"login";q=10'),
    _says("two policies", RateLimit_Policy='"day";q=900;w=86400, "login";q=10;w=60', RateLimit='"login";r={r};t={t}'),
    _says("t may be left out", RateLimit='"login";r={r}'),
)

BREACHING = (
    Example("no fields at all", subject=LOGIN, shop=limited(tell=refusals_say)),
    _says("draft 07", RateLimit="limit=10, remaining={r}, reset={t}"),
    _says("a policy without a name", RateLimit_Policy="10;w=60"),
    _says("a name without quotes", RateLimit="login;r={r};t={t}"),
    _says("no r", RateLimit='"login";t={t}'),
    _says("another quota", RateLimit_Policy='"login";q=100;w=60'),
    _says("milliseconds", RateLimit_Policy='"login";q=10;w=60000'),
    _says("a name that nobody published", RateLimit='"burst";r={r};t={t}'),
    _says("r that does not move", RateLimit='"login";r=10;t={t}'),
    _says("r that ends at one", RateLimit='"login";r=1{r};t={t}'),
    _says("t beyond the window", RateLimit='"login";r={r};t=3600'),
    _says("Retry-After before t", RateLimit='"login";r={r};t=30'),
)
