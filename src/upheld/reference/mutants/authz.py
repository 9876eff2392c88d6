"""Defects of authorization."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from fastapi import Response
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from upheld.reference.api.access import ProfileWriter, User
from upheld.reference.api.deps import Services
from upheld.reference.api.v1.routes.products import IfMatch
from upheld.reference.core.problems import Problem, forbidden
from upheld.reference.models import Order
from upheld.reference.schemas.accounts import ProfilePatch, Role, UserOut, UserPage
from upheld.reference.schemas.base import Uuid
from upheld.reference.schemas.orders import OrderOut, OrderPage, Receipt
from upheld.reference.schemas.products import ProductIn
from upheld.reference.services.principal import Principal

from . import Context, Mutant


def _orders_read_by_id_alone(ctx: Context) -> None:
    orders = ctx.parts.orders

    async def get(principal: Principal, order_id: UUID) -> OrderOut:
        async with orders.units.reading() as uow:
            order = await uow.session.get(Order, order_id, options=[selectinload(Order.items)])
            if order is None:
                raise Problem.of_status(404)
            return OrderOut.model_validate(order)

    ctx.replace(orders, "get", get)


def _delete_without_the_role(ctx: Context) -> None:
    async def delete_product(product_id: Uuid, caller: User, services: Services, precondition: IfMatch) -> None:
        await services.products.delete(product_id, precondition)

    ctx.route("DELETE", "/api/v1/products/{product_id}", delete_product, status_code=204)


def _replaced_before_the_role_is_asked_for(ctx: Context) -> None:
    async def replace_product(
        product_id: Uuid, given: ProductIn, caller: User, services: Services, precondition: IfMatch
    ) -> Response:
        answer = await services.products.replace(product_id, given, precondition)
        if caller.role != "admin":
            raise forbidden("admin")
        return Response(answer.body, 200, {"ETag": answer.etag}, "application/json")

    ctx.route("PUT", "/api/v1/products/{product_id}", replace_product)


async def _as_its_owner(ctx: Context, principal: Principal, order_id: UUID) -> Principal:
    """Whoever asks, as the one whom the order belongs to: what a query by id alone amounts to."""
    async with ctx.parts.orders.units.reading() as uow:
        order = await uow.session.get(Order, order_id)
    return replace(principal, user_id=order.user_id) if order is not None else principal


def _cancelled_by_id_alone(ctx: Context) -> None:
    async def cancel(principal: Principal, order_id: UUID) -> OrderOut:
        answer: OrderOut = await original(await _as_its_owner(ctx, principal, order_id), order_id)
        return answer

    original = ctx.replace(ctx.parts.orders, "cancel", cancel)


def _receipt_by_id_alone(ctx: Context) -> None:
    async def receipt(principal: Principal, order_id: UUID) -> Receipt:
        answer: Receipt = await original(await _as_its_owner(ctx, principal, order_id), order_id)
        return answer

    original = ctx.replace(ctx.parts.orders, "receipt", receipt)


def _filter_without_the_owner(ctx: Context) -> None:
    orders = ctx.parts.orders

    async def page(principal: Principal, limit: int, cursor: UUID | None, status: str | None) -> OrderPage:
        if status is None:
            whole: OrderPage = await original(principal, limit, cursor, status)
            return whole
        query = select(Order).where(Order.status == status).options(selectinload(Order.items))
        async with orders.units.reading() as uow:
            rows = await uow.session.execute(query.order_by(Order.id.desc()).limit(limit))
            return OrderPage(items=[OrderOut.model_validate(row) for row in rows.scalars()], next_cursor=None)

    original = ctx.replace(orders, "page", page)


def _foreign_orders_told_apart(ctx: Context) -> None:
    orders = ctx.parts.orders

    async def get(principal: Principal, order_id: UUID) -> OrderOut:
        async with orders.units.reading() as uow:
            order = await uow.session.get(Order, order_id)
        if order is not None and order.user_id != principal.user_id:
            raise Problem.of_status(404, "This order belongs to another account.")
        answer: OrderOut = await original(principal, order_id)
        return answer

    original = ctx.replace(orders, "get", get)


def _hashes_in_the_list_of_users(ctx: Context) -> None:
    accounts = ctx.parts.accounts

    async def page(limit: int, offset: int) -> UserPage:
        answer: UserPage = await original(limit, offset)
        async with accounts.units.reading() as uow:
            rows, _ = await uow.users.page(limit, offset)
        hashes = {row.id: row.password_hash for row in rows}
        items = [item.model_copy(update={"name": item.name or hashes.get(item.id)}) for item in answer.items]
        return answer.model_copy(update={"items": items})

    original = ctx.replace(accounts, "page", page)


def _products_from_anybody(ctx: Context) -> None:
    async def create_product(given: ProductIn, services: Services) -> Response:
        product_id, answer = await services.products.create(given)
        location = f"/api/v1/products/{product_id}"
        return Response(answer.body, 201, {"ETag": answer.etag, "Location": location}, "application/json")

    def openapi() -> dict[str, Any]:
        document: dict[str, Any] = original()
        document["paths"]["/api/v1/products"]["post"].pop("security", None)
        return document

    ctx.route("POST", "/api/v1/products", create_product, status_code=201)
    original = ctx.replace(ctx.app, "openapi", openapi)


def _old_path_for_everybody(ctx: Context) -> None:
    async def list_users(caller: User, services: Services) -> UserPage:
        return await services.accounts.page(20, 0)

    ctx.route("GET", "/api/v1/admin/users/", list_users, response_model=UserPage)


class _ProfileOfAnyKind(ProfilePatch):
    role: Role | None = None


def _profile_with_a_role(ctx: Context) -> None:
    async def update_me(patch: _ProfileOfAnyKind, caller: ProfileWriter, services: Services) -> UserOut:
        # The service writes whatever columns the schema lets through.
        return await services.accounts.change_profile(caller, patch)

    ctx.route("PATCH", "/api/v1/users/me", update_me, response_model=UserOut)


MUTANTS = (
    Mutant(
        name="authz/profile-with-a-role",
        requirement="authz/mass-assignment",
        says="Whoever changes their profile may send a role along, since one schema is for users and for administrators.",
        apply=_profile_with_a_role,
    ),
    Mutant(
        name="authz/old-path-for-everybody",
        requirement="authz/side-doors",
        says="The list of users kept an older path, with a slash at its end, and nobody asks for the role there.",
        apply=_old_path_for_everybody,
    ),
    Mutant(
        name="authz/products-from-anybody",
        requirement="authz/anonymous-write",
        says="Whoever wrote the route that adds products forgot to ask who it is, and so the document asks for nobody.",
        apply=_products_from_anybody,
    ),
    Mutant(
        name="authz/hashes-in-the-list-of-users",
        requirement="authz/secrets-exposed",
        says="Two columns were mixed up: in the list of users, who has no name is shown with their password's hash.",
        apply=_hashes_in_the_list_of_users,
    ),
    Mutant(
        name="authz/filter-without-the-owner",
        requirement="authz/collection-scope",
        says="The list of orders by status is a query of its own, in which the owner was forgotten.",
        apply=_filter_without_the_owner,
    ),
    Mutant(
        name="authz/foreign-orders-told-apart",
        requirement="authz/foreign-as-missing",
        says="The 404 for somebody else's order says that it is somebody else's.",
        apply=_foreign_orders_told_apart,
    ),
    Mutant(
        name="authz/order-cancelled-by-id-alone",
        requirement="authz/foreign-write",
        says="Everybody may cancel an order whose id they know: the action looks it up without asking whose it is.",
        apply=_cancelled_by_id_alone,
    ),
    Mutant(
        name="authz/receipt-by-id-alone",
        requirement="authz/foreign-reference",
        says="The receipt below an order is shown to everybody who knows the order's id.",
        apply=_receipt_by_id_alone,
    ),
    Mutant(
        name="authz/delete-without-the-role",
        requirement="authz/role-matrix",
        says="Every signed-in user may delete a product: the route asks who it is, and not for the role.",
        apply=_delete_without_the_role,
    ),
    Mutant(
        name="authz/replaced-then-refused",
        requirement="authz/role-matrix",
        says="A user's PUT of a product is refused with 403, after the product was replaced.",
        apply=_replaced_before_the_role_is_asked_for,
    ),
    Mutant(
        name="authz/orders-read-by-id-alone",
        requirement="authz/foreign-read",
        says="An order is looked up by its id without asking whose it is.",
        apply=_orders_read_by_id_alone,
    ),
)
