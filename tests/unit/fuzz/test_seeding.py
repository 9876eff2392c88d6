"""Members that are made before the engine begins."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from upheld.contract import Contract
from upheld.exchange import Request, Response
from upheld.run.fuzz import seeding
from upheld.run.fuzz.job import job

from .conftest import ANN, Document, MakeContract


class Store:
    """Makes what it is asked to make; orders only of items that it has."""

    def __init__(self, *, refuses: str = "") -> None:
        self.refuses = refuses
        self.ids = count(1)
        self.sent: list[Request] = []
        self.items: set[int] = set()

    async def __call__(self, request: Request) -> Response | None:
        self.sent.append(request)
        if request.path == self.refuses:
            return Response.problem(422)
        body = request.json()
        if request.path == "/orders" and body["item_id"] not in self.items:
            return Response.problem(404)
        number = next(self.ids)
        if request.path == "/items":
            self.items.add(number)
        return Response.of(201, {"id": number, **body})


def made(contract: Contract, store: Store, **changes: Any) -> dict[str, list[str]]:
    told = job(
        contract, user=ANN, admin=None, known=changes.pop("known", {}), protected=(), token="t1", one_pass=True, phases=(),
        engine_seconds=1, body_limit=1, addresses=(), wait_budget=1.0,
    )  # fmt: skip
    return asyncio.run(seeding.members(contract, told, {"user": ANN, "admin": None}, store))


def test_every_family_gets_members_and_what_refers_to_others_comes_after(make_contract: MakeContract) -> None:
    store = Store()
    found = made(make_contract({"unique": ["sku"]}), store)
    assert found == {"/items/{item_id}": ["1", "2", "3"], "/orders/{order_id}": ["4", "5", "6"]}
    assert len({request.json()["sku"] for request in store.sent if request.path == "/items"}) == 3
    assert all(request.session is ANN for request in store.sent)
    assert all(request.json()["item_id"] in store.items for request in store.sent if request.path == "/orders")


def test_what_cannot_be_made_is_left_out(contract: Contract) -> None:
    assert made(contract, Store(refuses="/orders")).keys() == {"/items/{item_id}"}
    assert made(contract, Store(refuses="/items")) == {}


def test_ids_that_are_known_are_not_made_again(contract: Contract) -> None:
    store = Store()
    store.items.add(70)
    found = made(contract, store, known={"/items/{item_id}": ["70"]})
    assert found["/items/{item_id}"] == ["70"]
    assert {request.path for request in store.sent} == {"/orders"}


def test_dangerous_creations_are_not_sent(make_contract: MakeContract) -> None:
    store = Store()
    assert made(make_contract({"never": ["POST /items", "POST /orders"]}), store) == {}
    assert store.sent == []


def test_members_of_members_stand_in_their_path(make_contract: MakeContract, document: Document) -> None:
    item_id = {"name": "item_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    note_id = {"name": "note_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    note = {
        "type": "object",
        "required": ["id", "text"],
        "properties": {"id": {"type": "integer"}, "text": {"type": "string"}},
    }
    answer = {"description": "", "content": {"application/json": {"schema": note}}}
    body = {"required": True, "content": {"application/json": {"schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}}}}  # fmt: skip
    document["paths"]["/items/{item_id}/notes"] = {
        "post": {"parameters": [item_id], "requestBody": body, "responses": {"201": answer}}
    }
    document["paths"]["/items/{item_id}/notes/{note_id}"] = {
        "get": {"parameters": [item_id, note_id], "responses": {"200": answer}}
    }
    store = Store()
    found = made(make_contract(), store)
    assert found["/items/{item_id}/notes/{note_id}"]
    assert {request.path for request in store.sent if request.path.endswith("/notes")} == {"/items/3/notes"}
