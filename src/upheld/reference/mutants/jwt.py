"""Defects of tokens."""

from __future__ import annotations

from typing import Any

from upheld.reference.core.security import Claims, TokenKind

from . import Context, Mutant


def _signature_not_verified(ctx: Context) -> None:
    # What stands around it (form, header, claims) is still looked at, so only another payload under an old signature passes.
    ctx.parts.tokens.options["verify_signature"] = False


def _family_lives_on(ctx: Context) -> None:
    async def nothing(*_: Any) -> None:
        return None

    ctx.replace(ctx.parts.sessions, "end_family", nothing)


def _well_known_secret(ctx: Context) -> None:
    ctx.parts.tokens.key = "super-secret-jwt-token-with-at-least-32-characters-long"


def _fourth_part_ignored(ctx: Context) -> None:
    def first_three(token: str, kind: TokenKind) -> Claims:
        return verify(".".join(token.split(".")[:3]), kind)

    verify = ctx.replace(ctx.parts.tokens, "verify", first_three)


def _expiry_ignored(ctx: Context) -> None:
    ctx.parts.tokens.options["verify_exp"] = False


def _audience_ignored(ctx: Context) -> None:
    # It still has to be there.
    ctx.parts.tokens.options["verify_aud"] = False


MUTANTS = (
    Mutant(
        name="jwt/well-known-secret",
        requirement="jwt/weak-secret",
        says="The secret of a starter template was never replaced.",
        apply=_well_known_secret,
    ),
    Mutant(
        name="jwt/fourth-part-ignored",
        requirement="jwt/malformed",
        says="A token is split at its dots and the first three parts are read, however many there are.",
        apply=_fourth_part_ignored,
    ),
    Mutant(
        name="jwt/expiry-ignored",
        requirement="jwt/expiry",
        says="Tokens have to have an end, but nobody looks whether it has passed.",
        apply=_expiry_ignored,
    ),
    Mutant(
        name="jwt/audience-ignored",
        requirement="jwt/registered-claims",
        says="Tokens have to name an audience, but any will do.",
        apply=_audience_ignored,
    ),
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
