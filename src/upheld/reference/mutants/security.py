"""Defects of what keeps a browser from misusing an answer."""

from __future__ import annotations

from . import Context, Mutant


def _no_referrer_policy(ctx: Context) -> None:
    def always() -> dict[str, str]:
        return {name: value for name, value in original().items() if name != "Referrer-Policy"}

    original = ctx.replace(ctx.parts.headers, "always", always)


MUTANTS = (
    Mutant(
        "security/no-referrer-policy",
        "security/headers",
        "No answer carries a Referrer-Policy.",
        _no_referrer_policy,
    ),
)
