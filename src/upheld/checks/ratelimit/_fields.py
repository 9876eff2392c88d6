"""What the checks of header fields share: what the contract promises, what Retry-After asks for, whether a count goes down."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Generator, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from upheld.check import Action, Lane
from upheld.checks.ratelimit._drain import drain, partition, ways
from upheld.exchange import Request, Response

if TYPE_CHECKING:
    from upheld.contract import Contract, RateRule


def promised(contract: Contract, rule: RateRule) -> str:
    """Which fields tell of this rule: ``draft-10``, ``x-ratelimit``, ``none`` or ``any``."""
    stated = contract.policy.rate_limits[contract.rate_rules.index(rule)].headers
    return stated or contract.policy.rate_limit.headers


def one_by_one(lane: Lane) -> Generator[Action, Any, tuple[list[Response], Response | None, Request]]:
    """Use a fresh key up, one request after the other. (the answers before the 429, the 429, one of the requests)

    Where a limiter counts only what has come through the validation, the answers are those to whole requests.
    """
    session = yield from partition(lane)
    for how in ways(lane):
        request = yield from how(lane, session)
        admitted, refused = yield from drain(lane, session, how)
        if refused is not None:
            break
    return admitted, refused, request


def now_of(response: Response) -> float:
    """The moment of an answer on the service's own clock, in seconds since 1970; on ours where it does not tell."""
    try:
        return parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except (ValueError, TypeError):
        return time.time()


def delay(response: Response) -> float | None:
    """Seconds that Retry-After asks for (RFC 9110 §10.2.3); None when it is absent, or neither digits nor an HTTP date."""
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_of(response))
    except (ValueError, TypeError):
        return None


def miscounted(rule: RateRule, answers: Sequence[tuple[Response, int]]) -> str:
    """How the requests left, as answers to one request after the other tell them, do not go down by one; else empty.

    What a limiter gives back meanwhile may come on top: no known algorithm gives back more than ``quota`` evenly in a window,
    except where a new window begins.
    """
    if not answers:
        return ""
    windows = rule.algorithm not in ("token-bucket", "moving-window")
    (first, start), base = answers[0], 0
    for number, (answer, left) in enumerate(answers):
        passed = answer.at - (first.at - first.elapsed)
        back = math.floor(passed * rule.quota / rule.window) + 1
        steps = number - base
        if windows and left > start - steps + back and left >= rule.quota - 1:
            first, start, base = answer, left, number
        elif not start - steps <= left <= start - steps + back:
            return f"{start}, and after {steps} more request{'s' if steps > 1 else ''} {left}"
    return ""
