"""Defects of authentication."""

from __future__ import annotations

from upheld.reference.mutants import Context, Mutant


def _expired_accepted(ctx: Context) -> None:
    ctx.parts.tokens.options["verify_exp"] = False


MUTANTS = (
    Mutant(
        name="auth/expired-accepted",
        requirement="auth/expired-token",
        says="An access token is accepted after it has expired.",
        apply=_expired_accepted,
    ),
)
