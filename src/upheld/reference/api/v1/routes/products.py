"""Products: anybody reads, administrators write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from upheld.reference.api.access import Admin, Anyone
from upheld.reference.api.deps import IfNoneMatch, Limit, Offset, Services, conditional, errors, link
from upheld.reference.api.route import ContractRoute
from upheld.reference.core import conditions
from upheld.reference.repositories.products import ProductFilter
from upheld.reference.schemas.base import TextInteger, Uuid
from upheld.reference.schemas.products import (
    MAX_PRICE_CENTS,
    Category,
    ProductIn,
    ProductOut,
    ProductPage,
    ProductPatch,
    Sort,
)
from upheld.reference.services.products import Precondition, Representation

router = APIRouter(prefix="/products", tags=["products"], route_class=ContractRoute)

PriceBound = Annotated[int | None, Query(ge=0, le=MAX_PRICE_CENTS), TextInteger]


async def if_match(request: Request) -> Precondition:
    # Not declared as a parameter: a header whose right value only the last answer knows cannot be described by a
    # schema, and every generated one would be refused. The operations say it in words, and document the 412.
    field = ", ".join(request.headers.getlist("if-match")) or None
    return lambda etag: conditions.match(field, etag)


IfMatch = Annotated[Precondition, Depends(if_match)]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The client's representation is current."}}


def _cache_control(caller: object) -> str:
    # Whoever keeps it has to ask again, so that a write is seen at once. What was fetched with a credential is
    # for its owner's cache only (RFC 9111 §3.5).
    return "public, no-cache" if caller is None else "private, no-cache"


@router.get("", operation_id="listProducts", response_model=ProductPage, responses=NOT_MODIFIED)
async def list_products(
    request: Request,
    caller: Anyone,
    services: Services,
    limit: Limit = 20,
    offset: Offset = 0,
    sort: Annotated[Sort, Query(description="A minus sign sorts downwards.")] = "name",
    category: Annotated[Category | None, Query()] = None,
    min_price_cents: PriceBound = None,
    max_price_cents: PriceBound = None,
    in_stock: Annotated[bool | None, Query()] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A page of products."""
    page = ProductFilter(limit, offset, sort, category, min_price_cents, max_price_cents, in_stock)
    answer = await services.products.page(page)
    links = Response()
    total = ProductPage.model_validate_json(answer.body).total
    following = {"offset": offset + limit} if offset + limit < total else None
    previous = {"offset": max(0, offset - limit)} if offset else None
    link(request, links, next=following, prev=previous)
    headers: Mapping[str, str] = {"Link": links.headers["Link"]} if "Link" in links.headers else {}
    return conditional(request, answer, _cache_control(caller), headers)


@router.get("/{product_id}", operation_id="getProduct", response_model=ProductOut, responses=NOT_MODIFIED | errors(404))
async def get_product(
    request: Request, product_id: Uuid, caller: Anyone, services: Services, if_none_match: IfNoneMatch = None
) -> Response:
    """One product."""
    answer = await services.products.get(product_id)
    return conditional(request, answer, _cache_control(caller), {})


@router.post("", operation_id="createProduct", status_code=201, response_model=ProductOut, responses=errors(409))
async def create_product(given: ProductIn, caller: Admin, services: Services) -> Response:
    """Add a product. 409 when the SKU is taken."""
    product_id, answer = await services.products.create(given)
    return _written(answer, 201, {"Location": f"/api/v1/products/{product_id}"})


@router.put("/{product_id}", operation_id="replaceProduct", response_model=ProductOut, responses=errors(404, 409, 412))
async def replace_product(
    product_id: Uuid, given: ProductIn, caller: Admin, services: Services, precondition: IfMatch
) -> Response:
    """Replace a product as a whole. An unknown id is 404. Honours If-Match."""
    return _written(await services.products.replace(product_id, given, precondition))


@router.patch("/{product_id}", operation_id="updateProduct", response_model=ProductOut, responses=errors(404, 409, 412))
async def update_product(
    product_id: Uuid, patch: ProductPatch, caller: Admin, services: Services, precondition: IfMatch
) -> Response:
    """Change some properties of a product (as a JSON merge patch, RFC 7396). Honours If-Match."""
    return _written(await services.products.change(product_id, patch, precondition))


@router.delete("/{product_id}", operation_id="deleteProduct", status_code=204, responses=errors(404, 412))
async def delete_product(product_id: Uuid, caller: Admin, services: Services, precondition: IfMatch) -> None:
    """Remove a product. Orders keep what they were told about it. Honours If-Match."""
    await services.products.delete(product_id, precondition)


def _written(answer: Representation, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(answer.body, status, {"ETag": answer.etag, **(headers or {})}, "application/json")
