"""X-RateLimit fields agree with the limit.

## What it requires

Where answers carry `X-RateLimit-Limit`, `-Remaining` and `-Reset` (or `X-Rate-Limit-…`, or `RateLimit-Limit` of the IETF's early
drafts), the limit is the contract's quota, the rest goes down by one with each request to 0, and the reset can be read as a time within
the window. An answer that succeeded has no `Retry-After`. They have to be there only where the contract says
`rate_limit: {headers: x-ratelimit}`.

## Why

No standard says what these fields mean, so each service chooses: seconds to go, seconds since 1970, milliseconds, a fraction, a date. A
client can cope as long as the numbers are true. `Retry-After` on an answer that succeeded makes careful clients stop.

## What it sends

Quota + 1 requests, one after the other, on a fresh key; a single one where the first answer shows no such field.

## Example of a breach

`X-RateLimit-Remaining: 10` on every answer, or `Retry-After: 60` on a `200`.

## When to waive it

Where a gateway adds the fields and counts something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from upheld.check import (
    MAY,
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
    send,
)
from upheld.checks.ratelimit._drain import partition, rules, ways
from upheld.checks.ratelimit._fields import miscounted, now_of, one_by_one, promised
from upheld.checks.ratelimit._rehearsed import LOGIN, QUOTA, State, limited, refusals_say

if TYPE_CHECKING:
    from upheld.contract import Contract, RateRule
    from upheld.exchange import Response

REQUIREMENT = Requirement(
    title="X-RateLimit fields agree with the limit",
    level=MAY,
    clause=Clause(
        "no standard; draft-ietf-httpapi-ratelimit-headers-10 Appendix A, and RFC 9110 §10.2.3 for Retry-After",
        "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10#appendix-A",
    ),
    catalogue=("RATE-05",),
    reads=("rate_limits", "rate_limit.headers"),
    profile="shipped",
    dear=True,
    cost=2,
    quotas=1,
    owasp="API4:2023",
)

_FAMILIES = ("x-ratelimit-", "x-rate-limit-", "ratelimit-")


def subjects(contract: Contract) -> Subjects:
    return rules(contract)


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    assert rule is not None
    session = yield from partition(lane)
    request = yield from ways(lane)[0](lane, session)
    first: Response = yield from send(request)
    family = _family(first)
    if not family and _early(first) is None:
        if promised(lane.contract, rule) != "x-ratelimit":
            return NotApplicable("answers carry no X-RateLimit fields, and the contract promises none")
        expected = "X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset, as rate_limit.headers promises"
        return Finding(expected=expected, actual=f"none of them on {first.status}", request=request)
    admitted, refused, request = yield from one_by_one(lane)
    sent = f"{len(admitted) + 1} × {lane.operation.label}, one after the other, on a fresh key"
    early = next((text for answer in (first, *admitted) if (text := _early(answer))), None)
    if early:
        return Finding(expected="no Retry-After on an answer that succeeded", actual=early, sent=sent, request=request)
    if refused is None:
        return Unproven(f"{len(admitted)} requests met no 429, so there is nothing to compare the fields with")
    answers = [answer for answer in (*admitted, refused) if f"{family}remaining" in answer.headers]
    for expected, actual in _wrong(rule, family, answers):
        return Finding(expected=expected, actual=actual, sent=sent, request=request)
    meanings = {_reset(rule, answer, family) for answer in answers if f"{family}reset" in answer.headers}
    told = f"; Reset is {' or '.join(sorted(meanings))}" if meanings else ""
    return Kept(f"{_written(family)}Remaining goes down to 0 on {len(answers)} answers{told}")


def _family(response: Response) -> str:
    """How the fields' names begin; empty when there are none."""
    return next((f for f in _FAMILIES if f"{f}remaining" in response.headers or f"{f}limit" in response.headers), "")


def _early(answer: Response) -> str | None:
    """Retry-After where nothing is to be tried again. A 202 may say so when to ask for the result."""
    if not answer.ok or answer.status == 202 or "retry-after" not in answer.headers:
        return None
    return f"{answer.status} with Retry-After: {answer.headers['retry-after'][:40]}"


def _wrong(rule: RateRule, family: str, answers: list[Response]) -> Iterator[tuple[str, str]]:
    """(expected, actual) of whatever does not agree."""
    name = _written(family)
    counts = []
    for answer in answers:
        limit, left = (_number(answer, family + part) for part in ("limit", "remaining"))
        if f"{family}limit" in answer.headers and limit != rule.quota:
            yield f"{name}Limit: {rule.quota}", f"{name}Limit: {answer.headers[f'{family}limit'][:40]}"
        if left is None:
            yield f"{name}Remaining: a whole number", f"{name}Remaining: {answer.headers[f'{family}remaining'][:40]}"
        else:
            counts.append((answer, left))
        if f"{family}reset" in answer.headers and not _reset(rule, answer, family):
            expected = f"{name}Reset: a time within {rule.window:g} s, as seconds to go, seconds since 1970, or a date"
            yield expected, f"{name}Reset: {answer.headers[f'{family}reset'][:60]}"
    if stuck := miscounted(rule, counts):
        yield f"{name}Remaining goes down by one with each request", f"{name}Remaining: {stuck}"
    if counts and counts[-1][0].status == 429 and counts[-1][1] != 0:
        yield f"{name}Remaining: 0 on the 429", f"{name}Remaining: {counts[-1][1]} on the 429"


def _number(answer: Response, field: str) -> int | None:
    """The whole number that a field begins with; early drafts wrote the policy behind it, ``10, 10;w=60``."""
    found = re.match(r"\s*(\d+)\s*(?:[,;]|$)", answer.headers.get(field, ""))
    return int(found[1]) if found else None


def _reset(rule: RateRule, answer: Response, family: str) -> str:
    """What kind of time it is; empty when no kind puts it into the window."""
    text = answer.headers[f"{family}reset"].strip()
    now = now_of(answer)
    # The Date field and the reset are rounded, each in its own way, and a busy service is late with either.
    slack = rule.window / 2 + 1
    latest = rule.window + slack
    if re.fullmatch(r"\d+(\.\d+)?", text):
        number = float(text)
        exact = " with a fraction" if "." in text else ""
        if number <= latest:
            return f"seconds to go{exact}"
        if -slack <= number - now <= latest:
            return f"seconds since 1970{exact}"
        return "milliseconds since 1970" if -slack <= number / 1000 - now <= latest else ""
    for kind, parse in (("an HTTP date", parsedate_to_datetime), ("an ISO 8601 date", datetime.fromisoformat)):
        try:
            when = parse(text)
        except (ValueError, TypeError):
            continue
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return kind if -slack <= when.timestamp() - now <= latest else ""
    return ""


def _written(family: str) -> str:
    return "-".join({"ratelimit": "RateLimit"}.get(part, part.capitalize()) for part in family.split("-"))


def _says(says: str, *, promise: str = "any", **fields: str) -> Example:
    """Fields in which {r} stands for what is left, {t} for seconds to go, {at} for seconds since 1970."""

    def tell(state: State) -> dict[str, str]:
        numbers = {"r": state.left, "t": state.seconds, "at": state.now + state.seconds}
        told = {name.replace("_", "-"): value.format(**numbers) for name, value in fields.items()}
        return {**told, **refusals_say(state)}

    policy = {"rate_limit": {"algorithm": "token-bucket", "headers": promise}}
    return Example(says, subject=LOGIN, policy=policy, shop=limited(tell=tell))


_LIMIT = {"X_RateLimit_Limit": str(QUOTA)}

CONFORMING = (
    _says("seconds to go", **_LIMIT, X_RateLimit_Remaining="{r}", X_RateLimit_Reset="{t}"),
    _says("seconds since 1970", **_LIMIT, X_RateLimit_Remaining="{r}", X_RateLimit_Reset="{at}", promise="x-ratelimit"),
    _says("with a fraction", **_LIMIT, X_RateLimit_Remaining="{r}", X_RateLimit_Reset="{at}.2301764"),
    _says("milliseconds", **_LIMIT, X_RateLimit_Remaining="{r}", X_RateLimit_Reset="{at}000"),
    _says("a date", **_LIMIT, X_RateLimit_Remaining="{r}", X_RateLimit_Reset="2026-11-22T12:00:30Z"),
    _says("an early draft", RateLimit_Limit="10, 10;w=60", RateLimit_Remaining="{r}", RateLimit_Reset="{t}"),
    _says("no reset", **_LIMIT, X_RateLimit_Remaining="{r}"),
)

BREACHING = (
    _says("promised and not there", promise="x-ratelimit"),
    _says("another limit", X_RateLimit_Limit="100", X_RateLimit_Remaining="{r}"),
    _says("a rest that does not move", **_LIMIT, X_RateLimit_Remaining="10"),
    _says("a rest in words", **_LIMIT, X_RateLimit_Remaining="few"),
    _says("a reset tomorrow", **_LIMIT, X_RateLimit_Remaining="{r}", X_RateLimit_Reset="86400"),
    Example("Retry-After on what succeeds", subject="** 100/60s", alter=lambda q, r: _soon(r)),
)


def _soon(response: Response) -> Response:
    from upheld.exchange import Response

    return Response(response.status, response.headers.with_("Retry-After", "60"), response.body, at=response.at)
