"""A small shop of its own for the fuzzing tests: conforming to its document, or with faults that can be switched on one by one.

``python seeded.py PORT [fault,fault…|all]``; the document is at /openapi.json, whatever the faults.
"""

import itertools
import os
import sys
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

FAULTS = {
    "crash": "POST /items answers 500 when quantity is above 900",
    "status": "DELETE /items/{item_id} answers an undocumented 202",
    "type": "GET /health answers text/plain",
    "schema": "GET /items/{item_id} gives quantity as text",
    "field": "POST /items leaves out the required Location",
    "lax": "POST /items takes names of any length",
    "strict": "PUT /items/{item_id} refuses the quantity 0",
    "ghost": "GET /items/{item_id} still answers after the deletion",
    "late": "GET /orders/{order_id} does not know what was just created",
    "open": "GET /me answers without credentials",
    "gullible": "GET /orders takes any token",
    "allow": "405 has no Allow",
    "problem": "422 is application/json",
}
COUNTER = "/_requests"
"""Tells how many requests were served; not in the document, and not counted."""
TOKENS = {"token-of-ann": "ann", "token-of-root": "root"}


def _whole(value: Any) -> Any:
    # JSON Schema's integer: 5.0 is one, true and "5" are none.
    if isinstance(value, (bool, str)):
        raise ValueError("is no integer")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(value: Any) -> Any:
    if isinstance(value, str) and any(0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise ValueError("is no Unicode text")
    return value


Quantity = Annotated[int, Field(ge=0, le=1000), BeforeValidator(_whole)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ItemIn(Strict):
    name: Annotated[str, Field(min_length=1, max_length=20)]
    sku: Annotated[str, Field(min_length=3, max_length=40)]
    quantity: Quantity = 1


class LaxItemIn(Strict):
    name: Annotated[str, Field(min_length=1)]
    sku: Annotated[str, Field(min_length=3, max_length=40)]
    quantity: Quantity = 1


class OrderIn(Strict):
    item_id: Annotated[int, Field(ge=1, le=2**31), BeforeValidator(_whole)]
    count: Annotated[int, Field(ge=1, le=99), BeforeValidator(_whole)]


class ItemOut(BaseModel):
    id: int
    name: str
    sku: str
    quantity: int


class OrderOut(BaseModel):
    id: int
    item_id: int
    count: int
    owner: str


class Page(BaseModel):
    items: list[ItemOut]


class Me(BaseModel):
    name: str


class Health(BaseModel):
    status: str


class Problem(BaseModel):
    type: str
    title: str
    status: int


def _documented(*codes: int) -> dict[int | str, dict[str, Any]]:
    out: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        out[code] = {
            "description": str(code),
            "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
        }
    if 401 in out:
        out[401]["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return out


def problem(status: int, title: str, **headers: str) -> JSONResponse:
    body = {"type": "about:blank", "title": title, "status": status}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def create_app(faults: frozenset[str] = frozenset()) -> FastAPI:
    """The shop with these faults."""
    app = FastAPI(title="seeded")
    ids = itertools.count(1)
    items: dict[int, dict[str, Any]] = {}
    deleted: dict[int, dict[str, Any]] = {}
    orders: dict[int, dict[str, Any]] = {}

    app.state.requests = 0

    @app.middleware("http")
    async def count(request: Request, call_next: Any) -> Response:
        if request.url.path == COUNTER:
            return PlainTextResponse(str(app.state.requests))
        app.state.requests += 1
        return await call_next(request)

    class Refused(Exception):
        pass

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return problem(401, "Unauthorized", **{"WWW-Authenticate": "Bearer"})

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        if "problem" in faults:
            return JSONResponse({"detail": "invalid"}, 422)
        return problem(422, "Unprocessable Content")

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            if "allow" in faults:
                return problem(405, "Method Not Allowed")
            methods: set[str] = set()
            for route in app.routes:
                if isinstance(route, APIRoute) and route.matches(request.scope)[0] is not Match.NONE:
                    methods |= route.methods
            return problem(405, "Method Not Allowed", Allow=", ".join(sorted(methods)))
        return problem(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    async def crashed(request: Request, error: Exception) -> Response:
        return PlainTextResponse("Internal Server Error", 500)

    def caller(authorization: Annotated[str | None, Header(include_in_schema=False)] = None) -> str:
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or token not in TOKENS:
            raise Refused
        return TOKENS[token]

    def anybody(authorization: Annotated[str | None, Header(include_in_schema=False)] = None) -> str:
        return "ann"

    def any_token(authorization: Annotated[str | None, Header(include_in_schema=False)] = None) -> str:
        if not authorization:
            raise Refused
        return "ann"

    bearer = {"security": [{"bearer": []}]}
    ItemId = Annotated[int, Path(ge=1, le=2**31)]  # noqa: N806

    @app.get("/health", response_model=Health)
    async def health() -> Any:
        if "type" in faults:
            return PlainTextResponse("ok")
        return JSONResponse({"status": "ok"})

    @app.get("/me", response_model=Me, responses=_documented(401), openapi_extra=bearer)
    async def me(user: Annotated[str, Depends(anybody if "open" in faults else caller)]) -> Any:
        return JSONResponse({"name": user})

    @app.get("/items", response_model=Page, responses=_documented(422))
    async def list_items(limit: Annotated[int, Query(ge=1, le=50)] = 10) -> Any:
        return JSONResponse({"items": list(items.values())[-limit:]})

    location = {201: {"headers": {"Location": {"required": True, "schema": {"type": "string"}}}}}
    model = LaxItemIn if "lax" in faults else ItemIn

    @app.post(
        "/items",
        status_code=201,
        response_model=ItemOut,
        responses={**_documented(400, 401, 409, 422), **location},
        openapi_extra=bearer,
    )
    async def create_item(item: model, user: Annotated[str, Depends(caller)]) -> Any:  # type: ignore[valid-type]
        if any(other["sku"] == item.sku for other in items.values()):
            return problem(409, "Conflict")
        if "crash" in faults and item.quantity > 900:
            raise RuntimeError("too many")
        number = next(ids)
        items[number] = {"id": number, **item.model_dump()}
        headers = {} if "field" in faults else {"Location": f"/items/{number}"}
        return JSONResponse(items[number], 201, headers)

    @app.get("/items/{item_id}", response_model=ItemOut, responses=_documented(404, 422))
    async def read_item(item_id: ItemId) -> Any:
        found = items.get(item_id) or (deleted.get(item_id) if "ghost" in faults else None)
        if found is None:
            return problem(404, "Not Found")
        return JSONResponse({**found, "quantity": str(found["quantity"])} if "schema" in faults else found)

    @app.put(
        "/items/{item_id}", response_model=ItemOut, responses=_documented(400, 401, 404, 409, 422), openapi_extra=bearer
    )
    async def replace_item(item_id: ItemId, item: ItemIn, user: Annotated[str, Depends(caller)]) -> Any:
        if item_id not in items:
            return problem(404, "Not Found")
        if any(other["sku"] == item.sku and other["id"] != item_id for other in items.values()):
            return problem(409, "Conflict")
        if "strict" in faults and item.quantity == 0:
            return problem(422, "Unprocessable Content")
        items[item_id] = {"id": item_id, **item.model_dump()}
        return JSONResponse(items[item_id])

    @app.delete("/items/{item_id}", status_code=204, responses=_documented(401, 404, 422), openapi_extra=bearer)
    async def delete_item(item_id: ItemId, user: Annotated[str, Depends(caller)]) -> Response:
        if item_id not in items:
            return problem(404, "Not Found")
        deleted[item_id] = items.pop(item_id)
        return Response(status_code=202 if "status" in faults else 204)

    @app.get("/orders", response_model=list[OrderOut], responses=_documented(401), openapi_extra=bearer)
    async def list_orders(user: Annotated[str, Depends(any_token if "gullible" in faults else caller)]) -> Any:
        return JSONResponse([order for order in orders.values() if order["owner"] == user][-20:])

    @app.post(
        "/orders",
        status_code=201,
        response_model=OrderOut,
        responses=_documented(400, 401, 404, 422),
        openapi_extra=bearer,
    )
    async def create_order(order: OrderIn, user: Annotated[str, Depends(caller)]) -> Any:
        if order.item_id not in items:
            return problem(404, "Not Found")
        number = next(ids)
        orders[number] = {"id": number, **order.model_dump(), "owner": user}
        return JSONResponse(orders[number], 201)

    @app.get("/orders/{order_id}", response_model=OrderOut, responses=_documented(401, 404, 422), openapi_extra=bearer)
    async def read_order(order_id: ItemId, user: Annotated[str, Depends(caller)]) -> Any:
        order = orders.get(order_id)
        if order is None or order["owner"] != user or ("late" in faults and order_id > max(orders) - 5):
            return problem(404, "Not Found")
        return JSONResponse(order)

    _document(app)
    return app


def _document(app: FastAPI) -> None:
    document = app.openapi
    cached: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not cached:
            cached.update(document())
            cached["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            # The document promises the same whatever is broken.
            schemas = cached["components"]["schemas"]
            schemas.setdefault("ItemIn", ItemIn.model_json_schema())
            schemas.pop("LaxItemIn", None)
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
            body = cached["paths"]["/items"]["post"]["requestBody"]["content"]["application/json"]
            body["schema"] = {"$ref": "#/components/schemas/ItemIn"}
            for item in cached["paths"].values():
                for operation in item.values():
                    for code, answer in operation["responses"].items():
                        if code.startswith("4"):
                            answer.get("content", {}).pop("application/json", None)
        return cached

    app.openapi = openapi  # type: ignore[method-assign]


def main() -> None:
    import uvicorn

    port = int(sys.argv[1])
    named = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("SEEDED", "")
    faults = frozenset(FAULTS) if named == "all" else frozenset(filter(None, named.split(",")))
    uvicorn.run(create_app(faults), host="127.0.0.1", port=port, log_level="critical", access_log=False)


if __name__ == "__main__":
    main()
