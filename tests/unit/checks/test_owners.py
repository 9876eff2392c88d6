"""What keeps the checks of owners from accusing a service that shares its things, or that moves on by itself."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from upheld.check import SERVICE, CannotProve, Example, Finding, Kept, Lane, NotApplicable, Unproven
from upheld.checks import catalogue
from upheld.checks.authz import foreign_write
from upheld.checks.authz._owners import stranger
from upheld.exchange import Request, Response
from upheld.rehearse import rehearse
from upheld.sample import Shop, contract

ORDERS = "/api/v1/orders"
INFERRED: dict[str, Any] = {"ownership": {}}


def everybodys(*skips: str) -> Any:
    def change(shop: Shop) -> None:
        shop.skips |= {"owner", "parent", "reference", "list", *skips}

    return change


@pytest.mark.parametrize(
    ("check", "subject"),
    [
        ("authz/foreign-write", "PUT /api/v1/orders/{order_id}"),
        ("authz/foreign-write", "DELETE /api/v1/orders/{order_id}"),
        ("authz/foreign-reference", "GET /api/v1/orders/{order_id}/notes"),
        ("authz/foreign-reference", "POST /api/v1/orders/{order_id}/notes"),
        ("authz/foreign-reference", "POST /api/v1/returns"),
        ("authz/collection-scope", ORDERS),
    ],
)
def test_what_everybody_may_read_is_unproven_until_somebody_says_whose_it_is(check: str, subject: str) -> None:
    outcome = rehearse(catalogue()[check], Example("shared", shop=everybodys(), policy=INFERRED, subject=subject))
    assert isinstance(outcome, Unproven)
    assert "shared" in outcome.add


@pytest.mark.parametrize("check", ["authz/foreign-write", "authz/collection-scope"])
def test_a_collection_that_is_listed_as_shared_is_left_alone(check: str) -> None:
    shared = {"ownership": {"foreign": 404, "shared": ["/orders", "/orders/**"]}}
    assert isinstance(rehearse(catalogue()[check], Example("shared", policy=shared)), NotApplicable)


@pytest.mark.parametrize("foreign", [403, "any"])
def test_only_hidden_things_have_to_look_missing(foreign: object) -> None:
    outcome = rehearse(
        catalogue()["authz/foreign-as-missing"], Example("told", policy={"ownership": {"foreign": foreign}})
    )
    assert isinstance(outcome, NotApplicable)


class Moving:
    """Orders have a state, which a client cannot set and which moves on as soon as they are read."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}

    def __call__(self, request: Request, response: Response) -> Response:
        if not request.path.startswith(ORDERS) or not response.ok or request.method not in ("POST", "GET"):
            return response
        order = response.json()
        if "id" not in order:
            return response
        order["state"] = self.states.get(order["id"], "new")
        self.states[order["id"]] = "packed" if len(self.states) > 1 else "new"
        return Response.of(response.status, order)


def _with_state(document: dict[str, Any]) -> None:
    states = {"type": "string", "enum": ["new", "packed"], "readOnly": True}
    document["components"]["schemas"]["Order"]["properties"]["state"] = states


def test_a_state_that_moves_on_by_itself_was_not_set() -> None:
    def lax(request: Request, response: Response) -> Response:
        return moving(request, response)

    moving = Moving()
    example = Example("moving", alter=lax, document=_with_state, subject=f"POST {ORDERS}", shop=_dropping)
    outcome = rehearse(catalogue()["authz/mass-assignment"], example)
    assert isinstance(outcome, Kept), outcome


def _dropping(shop: Shop) -> None:
    """Takes what it does not know, and drops it."""
    create = shop._do_createOrder

    def dropping(request: Request, payload: Any, user: str | None, item: str) -> Response:
        return create(request, {"note": payload["note"]}, user, item)

    shop.skips.add("closed")
    shop._do_createOrder = dropping  # type: ignore[method-assign]


def test_one_person_under_two_names_proves_nothing() -> None:
    promises = contract()
    subjects = foreign_write.subjects(promises)
    assert isinstance(subjects, list)
    dialogue = foreign_write.converse(Lane(promises, subjects[0], "t3st"))
    alice = Shop().session("alice")
    next(dialogue)
    dialogue.send(alice)
    with pytest.raises(CannotProve, match="two people"):
        dialogue.send(alice)


@pytest.mark.parametrize("identifier", ["7", "o5", "ord_9fKx02", "0198f3c2-7d1e-7a55-9c0b-2f6d1a4e8b07", "a/b c"])
def test_a_stranger_has_the_same_form(identifier: str) -> None:
    lane = Lane(contract(), SERVICE, "t3st")
    first, second = stranger(lane, identifier), stranger(lane, identifier)
    assert identifier not in (first, second)
    if len(identifier) == 36:
        assert uuid.UUID(first) != uuid.UUID(second)
    elif identifier.isdecimal():
        assert first.isdecimal()
    else:
        assert [c.isalpha() for c in first] == [c.isalpha() for c in identifier]


def test_a_listing_is_read_to_its_end() -> None:
    """The member stands on the second page."""

    def paged(request: Request, response: Response) -> Response:
        if request.path != ORDERS or request.method != "GET" or not response.ok:
            return response
        items = response.json()["items"]
        if "cursor" in dict(request.query):
            return Response.of(200, {"items": items, "next_cursor": None})
        return Response.of(200, {"items": [{"id": "o0", "note": "x", "owner_id": "me"}], "next_cursor": "c"})

    def document(changed: dict[str, Any]) -> None:
        changed["components"]["schemas"]["OrderPage"]["properties"]["next_cursor"] = {"type": ["string", "null"]}

    check = catalogue()["authz/collection-scope"]
    kept = rehearse(check, Example("two pages", alter=paged, document=document, subject=ORDERS))
    assert isinstance(kept, Kept), kept
    found = rehearse(check, Example("two pages", alter=paged, document=document, subject=ORDERS, shop=everybodys()))
    assert isinstance(found, Finding), found
