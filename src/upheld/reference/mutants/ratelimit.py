"""Defects of the rate limits."""

from __future__ import annotations

from . import Context, Mutant


def _retry_after_missing(ctx: Context) -> None:
    ctx.alter(lambda scope, answer: answer.without("retry-after") if answer.status == 429 else answer)


MUTANTS = (
    Mutant(
        name="ratelimit/retry-after-missing",
        requirement="ratelimit/retry-after",
        says="A 429 does not say when to come back.",
        apply=_retry_after_missing,
    ),
)
