"""Every operation is under a limit or exempt, and what is exempt is not limited.

## What it requires

Each operation of the contract is matched by a line of `rate_limits` or by its `exempt`. An exempt operation answers twice the quota of its line
without a 429.

## Why

A limit that is declared route by route leaves out the route that was added last. And a health check that is limited after all takes the
service out of the load balancer on a busy day.

## What it sends

Nothing for the first part. For each exempt operation that is a simple GET, twice the quota, at most 250 requests, from one address. It also
says whether paths that do not exist are counted.

## Example of a breach

`GET /health` is exempt, and its 101st request within a minute is answered 429.

## When to waive it

Where a gateway limits the operations that no line matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from upheld.check import (
    SERVICE,
    SHOULD,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import Move
from upheld.steps.accounts import elsewhere

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, RateRule
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="Every operation is under a limit or exempt, and what is exempt is not limited",
    level=SHOULD,
    clause=Clause(
        "OWASP API4:2023 and the contract's rate_limits",
        "https://owasp.org/API-Security/editions/2023/en/0xa4-unrestricted-resource-consumption/",
        "Implement a limit on how often a client can interact with the API within a defined timeframe (rate limiting).",
    ),
    catalogue=("RATE-17",),
    reads=("rate_limits", "rate_limits.exempt"),
    profile="shipped",
    dear=True,
    cost=100,
    quotas=1,
    owasp="API4:2023",
    cwe=("CWE-770",),
)

MOST = 250
SHOWN = 5
UNKNOWN = 120
"""Quotas up to this are used up with paths that do not exist, to tell whether these are counted."""


def subjects(contract: Contract) -> Subjects:
    if not contract.rate_rules:
        return NotApplicable("the contract promises no rate limit (rate_limits)")
    return [SERVICE, *(Subject(op.label, operation=op, rule=rule) for op, rule in _exempt(contract))]


def converse(lane: Lane) -> Conversation:
    rule = lane.subject.rule
    if rule is None:
        return (yield from _covered(lane))
    yield from elsewhere()
    request = Request(lane.operation.method, lane.operation.path, operation=lane.operation.label)
    count = min(2 * rule.quota, MOST)
    if count <= rule.quota:
        return Unproven(f"{MOST} requests would not use up its quota of {rule.quota} either")
    for number in range(1, count + 1):
        response: Response = yield from send(request)
        if response.status == 429:
            return Finding(
                expected=f"{count} answers without a 429: {lane.operation.label} is exempt",
                actual=f"429 after {number - 1}",
                sent=f"{number} × {lane.operation.label} from one address",
                request=request,
            )
    return Kept(f"{count} answers without a 429")


def _covered(lane: Lane) -> Conversation:
    contract = lane.contract
    exempt = {operation.label for operation, _ in _spared(contract)}
    bare = [op.label for op in contract.operations if contract.rate_rule(op) is None and op.label not in exempt]
    if bare:
        more = f" and {len(bare) - SHOWN} more" if len(bare) > SHOWN else ""
        return Finding(
            expected="a line of rate_limits, or an exemption, for every operation",
            actual=f"none for {len(bare)} of {len(contract.operations)} operations: {', '.join(bare[:SHOWN])}{more}",
            sent="nothing: it stands in the contract",
            origin="operations without a limit",
        )
    counted = yield from _unknown(lane)
    return Kept(f"{len(contract.operations)} operations, {len(exempt)} of them exempt{counted}")


def _unknown(lane: Lane) -> Move:
    """Whether paths that do not exist are counted, in words; nothing is promised of them."""
    rule = next((r for r in lane.contract.rate_rules if r.pattern in ("**", "* /**") and r.quota <= UNKNOWN), None)
    if rule is None or rule.key not in ("ip", "user-or-ip"):
        return ""
    yield from elsewhere()
    path = f"{lane.contract.prefix}/{lane.unique('nothing')}"
    for _ in range(rule.quota + rule.quota // 4 + 1):
        try:
            response: Response = yield from send(Request("GET", path))
        except CannotProve:
            return ""
        if response.status == 429:
            return "; paths that do not exist are counted too"
    return "; paths that do not exist are not counted"


def _spared(contract: Contract) -> Iterator[tuple[Operation, RateRule]]:
    """Operations that their first line exempts."""
    for operation in contract.operations:
        rule = next((r for r in contract.rate_rules if contract.matches(r.pattern, operation)), None)
        if rule is not None and any(contract.matches(pattern, operation) for pattern in rule.exempt):
            yield operation, rule


def _exempt(contract: Contract) -> Iterator[tuple[Operation, RateRule]]:
    for operation, rule in _spared(contract):
        simple = operation.method == "GET" and not any(p.required for p in operation.parameters)
        if simple and contract.is_public(operation) and operation.label not in contract.dangerous:
            yield operation, rule


def _counts_all(shop: Shop) -> None:
    limited = shop._limited

    def everything(request: Request) -> Response | None:
        return limited(request.with_(path="/") if request.path == "/health" else request)

    setattr(shop, "_limited", everything)  # noqa: B010


HEALTH = "GET /health"

CONFORMING = (
    Example("the sample shop's rules", subject="service"),
    Example("its health check", subject=HEALTH),
)

BREACHING = (
    Example("the health check is counted", subject=HEALTH, shop=_counts_all),
    Example(
        "a line for the login alone",
        subject="service",
        policy={"rate_limits": [{"op": "POST /auth/login", "quota": "10/min", "key": "ip"}]},
    ),
)
