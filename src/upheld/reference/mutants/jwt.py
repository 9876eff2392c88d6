"""Defects of tokens."""

from __future__ import annotations

from typing import Any

from . import Context, Mutant


def _signature_not_verified(ctx: Context) -> None:
    # What stands around it (form, header, claims) is still looked at, so only another payload under an old signature passes.
    ctx.parts.tokens.options["verify_signature"] = False


def _family_lives_on(ctx: Context) -> None:
    async def nothing(*_: Any) -> None:
        return None

    ctx.replace(ctx.parts.sessions, "end_family", nothing)


MUTANTS = (
    Mutant(
        name="jwt/signature-not-verified",
        requirement="jwt/forged-signature",
        says="Tokens are decoded and their claims believed, but the signature is not verified.",
        apply=_signature_not_verified,
    ),
    Mutant(
        name="jwt/family-lives-on",
        requirement="jwt/refresh-reuse",
        says="A refresh token that comes back is refused, but its successor goes on working.",
        apply=_family_lives_on,
    ),
)
