"""Defects of caches."""

from __future__ import annotations

from uuid import UUID

from upheld.reference.api.access import ProfileReader
from upheld.reference.api.deps import Services
from upheld.reference.schemas.accounts import UserOut
from upheld.reference.services.products import LISTS, Precondition, tag_of

from . import Context, Mutant


def _me_is_public(ctx: Context) -> None:
    ctx.alter(
        lambda scope, answer: (
            answer.with_header("cache-control", "public, max-age=60")
            if answer.status == 200 and scope["path"] == "/api/v1/users/me"
            else answer
        )
    )


def _changes_not_invalidated(ctx: Context) -> None:
    cache, products = ctx.parts.cache, ctx.parts.products
    invalidate, delete = cache.invalidate, products.delete

    async def lists_only(*tags: str) -> None:
        await invalidate(*(tag for tag in tags if tag == LISTS))

    async def delete_and_invalidate(product_id: UUID, precondition: Precondition) -> None:
        await delete(product_id, precondition)
        await invalidate(tag_of(product_id))

    ctx.replace(cache, "invalidate", lists_only)
    ctx.replace(products, "delete", delete_and_invalidate)


def _me_cached_by_path(ctx: Context) -> None:
    kept: dict[str, UserOut] = {}

    async def get_me(caller: ProfileReader, services: Services) -> UserOut:
        if "me" not in kept:
            kept["me"] = await services.accounts.get(caller, caller.user_id)
        return kept["me"]

    ctx.route("GET", "/api/v1/users/me", get_me)


MUTANTS = (
    Mutant(
        name="cache/me-is-public",
        requirement="cache/private",
        says="The profile is marked as public, so that a proxy keeps it for everybody.",
        apply=_me_is_public,
    ),
    Mutant(
        name="cache/changes-not-invalidated",
        requirement="cache/fresh-after-write",
        says="A change of a product does not reach the cached product.",
        apply=_changes_not_invalidated,
    ),
    Mutant(
        name="cache/me-cached-by-path",
        requirement="cache/keyed-by-user",
        says="The profile is cached under its path, and everybody sees that of whoever asked first.",
        apply=_me_cached_by_path,
    ),
)
