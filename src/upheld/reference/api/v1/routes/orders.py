"""Orders: everybody has their own."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from upheld.reference.api.access import OrderReader, OrderWriter
from upheld.reference.api.deps import Limit, Services, errors, link
from upheld.reference.api.route import ContractRoute
from upheld.reference.core.problems import Problem
from upheld.reference.schemas.base import Uuid
from upheld.reference.schemas.orders import OrderIn, OrderOut, OrderPage, OrderPatch, Receipt, Status

router = APIRouter(prefix="/orders", tags=["orders"], route_class=ContractRoute)

# A Structured Field string (draft-ietf-httpapi-idempotency-key-header-07 §2.1), or the bare key that many clients send.
_KEY = re.compile(r'"([ !#-\[\]-~]{1,128})"|([A-Za-z0-9_.:-]{1,128})')


async def idempotency_key(request: Request) -> str | None:
    # Not declared as a parameter, for the reason of If-Match: whether a key may be used depends on what it was used for.
    fields = request.headers.getlist("idempotency-key")
    if not fields:
        return None
    found = _KEY.fullmatch(", ".join(fields).strip())
    if found is None:
        raise Problem.of_status(400, "The Idempotency-Key is malformed.")
    return found[1] or found[2]


IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]


@router.post("", operation_id="createOrder", status_code=201, responses=errors(409))
async def create_order(
    given: OrderIn, caller: OrderWriter, services: Services, response: Response, key: IdempotencyKey
) -> OrderOut:
    """Place an order. 409 when a product does not exist or is out of stock.

    With an Idempotency-Key, the same request gets the same answer for 24 hours, and another request 422.
    """
    order = await services.orders.place(caller, given, key)
    response.headers["Location"] = f"/api/v1/orders/{order.id}"
    return order


@router.get("", operation_id="listOrders")
async def list_orders(
    request: Request,
    response: Response,
    caller: OrderReader,
    services: Services,
    limit: Limit = 20,
    cursor: Annotated[Uuid | None, Query(description="next_cursor of the page before.")] = None,
    status: Annotated[Status | None, Query()] = None,
) -> OrderPage:
    """One's own orders, newest first."""
    page = await services.orders.page(caller, limit, cursor, status)
    link(request, response, next={"cursor": page.next_cursor} if page.next_cursor else None)
    return page


@router.get("/{order_id}", operation_id="getOrder", responses=errors(404))
async def get_order(order_id: Uuid, caller: OrderReader, services: Services) -> OrderOut:
    """One of one's own orders. Somebody else's does not exist."""
    return await services.orders.get(caller, order_id)


@router.get("/{order_id}/receipt", operation_id="getReceipt", responses=errors(404))
async def get_receipt(order_id: Uuid, caller: OrderReader, services: Services) -> Receipt:
    """What an order comes to."""
    return await services.orders.receipt(caller, order_id)


@router.patch("/{order_id}", operation_id="updateOrder", responses=errors(404))
async def update_order(order_id: Uuid, patch: OrderPatch, caller: OrderWriter, services: Services) -> OrderOut:
    """Change the note of an order."""
    return await services.orders.change(caller, order_id, patch)


@router.post("/{order_id}/cancel", operation_id="cancelOrder", responses=errors(404))
async def cancel_order(order_id: Uuid, caller: OrderWriter, services: Services) -> OrderOut:
    """Cancel an order and put its products back into stock. Twice is as good as once."""
    return await services.orders.cancel(caller, order_id)


@router.delete("/{order_id}", operation_id="deleteOrder", status_code=204, responses=errors(404))
async def delete_order(order_id: Uuid, caller: OrderWriter, services: Services) -> None:
    """Delete an order; one that was not cancelled is cancelled first."""
    await services.orders.delete(caller, order_id)
