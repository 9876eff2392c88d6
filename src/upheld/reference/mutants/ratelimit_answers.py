"""Defects of what answers say about the rate limits."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from . import Alteration, Answer, Context, Mutant


def _changed(change: Alteration, *, refusals: bool = False) -> Any:
    """An ``apply`` that changes answers of the limiter: all of them, or the refusals alone."""

    def alter(scope: Mapping[str, Any], answer: Answer) -> Answer:
        limited = answer.get("ratelimit") is not None and (answer.status == 429 or not refusals)
        return change(scope, answer) if limited else answer

    def apply(ctx: Context) -> None:
        ctx.alter(alter)

    return apply


def _substituted(field: str, pattern: str, by: str) -> Any:
    """An ``apply`` that rewrites a field of the limiter's answers."""
    return _changed(lambda scope, answer: answer.with_header(field, re.sub(pattern, by, answer.get(field) or "")))


def _another_policy(scope: Mapping[str, Any], answer: Answer) -> Answer:
    document = json.loads(answer.body)
    return answer.with_body(json.dumps({**document, "violated-policies": ["burst"]}).encode())


def _legacy_stuck(scope: Mapping[str, Any], answer: Answer) -> Answer:
    found = re.search(r";q=(\d+)", answer.get("ratelimit-policy") or "")
    quota = found[1] if found else ""
    return answer.with_header("x-ratelimit-limit", quota).with_header("x-ratelimit-remaining", quota)


def _retry_after_success(scope: Mapping[str, Any], answer: Answer) -> Answer:
    return answer.with_header("retry-after", "60") if answer.status == 200 else answer


MUTANTS = (
    Mutant(
        name="ratelimit/refusal-cacheable",
        requirement="ratelimit/not-stored",
        says="A 429 says Cache-Control: public, max-age=60.",
        apply=_changed(lambda scope, answer: answer.with_header("cache-control", "public, max-age=60"), refusals=True),
    ),
    Mutant(
        name="ratelimit/unpublished-policy",
        requirement="ratelimit/refusal",
        says="violated-policies of a 429 names a policy that RateLimit-Policy does not have.",
        apply=_changed(_another_policy, refusals=True),
    ),
    Mutant(
        name="ratelimit/remaining-stuck",
        requirement="ratelimit/fields",
        says="RateLimit says of each request that one is left.",
        apply=_substituted("ratelimit", r";r=\d+", ";r=1"),
    ),
    Mutant(
        name="ratelimit/name-without-quotes",
        requirement="ratelimit/fields",
        says="RateLimit has the policy's name without its quotes, as a Token.",
        apply=_substituted("ratelimit", '"', ""),
        also=("body/response-headers",),
    ),
    Mutant(
        name="ratelimit/policy-in-milliseconds",
        requirement="ratelimit/fields",
        says="RateLimit-Policy has its window in milliseconds.",
        apply=_substituted("ratelimit-policy", r";w=(\d+)", r";w=\g<1>000"),
    ),
    Mutant(
        name="ratelimit/legacy-remaining-stuck",
        requirement="ratelimit/legacy-fields",
        says="X-RateLimit-Remaining is the whole quota on every answer.",
        apply=_changed(_legacy_stuck),
    ),
    Mutant(
        name="ratelimit/retry-after-success",
        requirement="ratelimit/legacy-fields",
        says="A 200 carries Retry-After: 60.",
        apply=_changed(_retry_after_success),
    ),
)
