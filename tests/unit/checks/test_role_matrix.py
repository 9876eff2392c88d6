"""authz/role-matrix where services refuse in another order: what proves nothing accuses nobody, and is not kept either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from upheld import sample
from upheld.check import CannotProve, Cell, Example, Finding, Kept, Lane, NotApplicable, Outcome, Unproven
from upheld.checks import catalogue
from upheld.exchange import Exchange, Request, Response, Session
from upheld.rehearse import Stage
from upheld.sample import Shop

CHECK = catalogue()["authz/role-matrix"]
DELETE = "DELETE /api/v1/items/{item_id}"
PUT = "PUT /api/v1/items/{item_id}"
POST = "POST /api/v1/items"
ME = "PATCH /api/v1/users/me"
EDITORS = {"roles": [{"op": "PUT /items/*", "allow": ["admin"]}, {"op": "POST /items", "allow": ["admin"]}]}
THREE = {"identities": {"alice": {"role": "user"}, "gina": {"role": "guest"}, "admin": {"role": "admin"}}}


class Scene(Stage):
    """A stage on which roles of ``missing`` have no credentials."""

    missing: tuple[str, ...] = ()

    def person(self, role: str | None, fresh: bool) -> Session:
        if role in self.missing:
            raise CannotProve(f"no identity with the role {role} is left", f"identities: {{{role}: …}}")
        return super().person(role, fresh)


def play(subject: str, *, missing: tuple[str, ...] = (), **parts: Any) -> tuple[Outcome, Scene]:
    example = Example("", subject=subject, **parts)
    contract = sample.contract(example)
    assert CHECK.subjects is not None
    assert CHECK.converse is not None
    subjects = {one.label: one for one in CHECK.subjects(contract)}
    scene = Scene(example)
    scene.missing = missing
    return scene.play(CHECK.converse(Lane(contract, subjects[subject], "t3st"))), scene


def cells(outcome: Outcome) -> dict[str, tuple[str, str]]:
    assert not isinstance(outcome, NotApplicable)
    return {cell.role: (cell.verdict, cell.seen) for cell in outcome.cells}


def sent(exchanges: list[Exchange], subject: str) -> list[Exchange]:
    return [exchange for exchange in exchanges if exchange.operation == subject]


def for_users(status: int) -> Callable[[Request, Response], Response]:
    """Another answer for everybody but administrators, where they are refused."""
    return lambda q, r: Response.problem(status) if r.status == 403 else r


def guarded(*prefixes: str, status: int = 403) -> Callable[[Shop], object]:
    """A shop that refuses everybody but administrators before it does anything."""

    def change(shop: Shop) -> None:
        answer = shop._answer

        def asked(request: Request) -> Response:
            other = request.session is not None and request.session.role != "admin"
            refused = other and f"{request.method} {request.path}".startswith(prefixes)
            return Response.problem(status) if refused else answer(request)

        shop._answer = asked

    return change


# -- the order of refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 405, 409, 415, 422, 500])
def test_another_refusal_than_403_proves_nothing(status: int) -> None:
    outcome, _ = play(DELETE, alter=for_users(status))
    assert isinstance(outcome, Unproven)
    assert cells(outcome) == {"user": ("unproven", str(status)), "admin": ("kept", "204")}


@pytest.mark.parametrize(("foreign", "verdict"), [(404, "kept"), ("any", "kept"), (403, "unproven")])
def test_404_is_a_refusal_where_it_may_hide_what_is_there(foreign: object, verdict: str) -> None:
    outcome, _ = play(DELETE, alter=for_users(404), policy={"ownership": {"foreign": foreign}})
    assert cells(outcome)["user"][0] == verdict
    assert isinstance(outcome, Kept if verdict == "kept" else Unproven)


def test_404_for_everybody_proves_nothing() -> None:
    outcome, _ = play(DELETE, alter=lambda q, r: Response.problem(404) if q.method == "DELETE" else r)
    assert isinstance(outcome, Unproven)
    assert cells(outcome) == {"user": ("unproven", "404"), "admin": ("unproven", "404")}


def test_a_conflict_of_those_who_may_is_past_the_role_only_beside_a_403() -> None:
    conflict = lambda q, r: Response.problem(409) if q.method == "DELETE" and r.ok else r  # noqa: E731
    outcome, _ = play(DELETE, alter=conflict)
    assert cells(outcome) == {"user": ("kept", "403"), "admin": ("kept", "409, past the role")}
    outcome, _ = play(DELETE, alter=lambda q, r: Response.problem(409) if q.method == "DELETE" else r)
    assert isinstance(outcome, Unproven)
    assert {verdict for verdict, _ in cells(outcome).values()} == {"unproven"}


def test_a_service_that_is_broken_for_those_who_may_leaves_the_refusal_open() -> None:
    outcome, _ = play(DELETE, alter=lambda q, r: Response.problem(500) if q.method == "DELETE" and r.ok else r)
    assert isinstance(outcome, Unproven)
    assert cells(outcome) == {"user": ("unproven", "403"), "admin": ("unproven", "500")}


# -- who is there --------------------------------------------------------------------------------------------------------


def test_without_those_who_may_the_refusal_is_open_and_the_line_is_told() -> None:
    outcome, _ = play("GET /api/v1/orders", missing=("admin",), policy={"roles": [{"op": "GET /orders", "allow": ["admin"]}]},
                      shop=guarded("GET /api/v1/orders"))  # fmt: skip
    assert isinstance(outcome, Unproven)
    assert outcome.add == "identities: {admin: …}"
    assert cells(outcome) == {"user": ("unproven", "403"), "admin": ("unproven", "")}


def test_who_is_let_in_is_told_even_without_those_who_may() -> None:
    outcome, _ = play(
        "GET /api/v1/orders", missing=("admin",), policy={"roles": [{"op": "GET /orders", "allow": ["admin"]}]}
    )
    assert isinstance(outcome, Finding)
    assert cells(outcome) == {"user": ("breached", "200"), "admin": ("unproven", "")}


def test_a_role_that_nothing_restricts_but_the_service_is_no_breach() -> None:
    outcome, _ = play(PUT, shop=guarded("PUT /api/v1/items"))
    assert isinstance(outcome, Unproven)
    assert outcome.add == f'roles: [{{op: "{PUT}", allow: [admin]}}]'
    assert cells(outcome) == {"user": ("unproven", "403"), "admin": ("kept", "200")}


def test_401_for_a_role_that_may_is_a_breach_only_with_a_credential_that_works_elsewhere() -> None:
    def alike(document: dict[str, Any]) -> None:
        document["paths"]["/api/v1/users/me"]["get"]["security"] = [{"bearer": []}]

    def refused(request: Request, response: Response) -> Response:
        return Response.problem(401) if request.method == "GET" and request.path.endswith("/orders") else response

    reading = {"roles": [{"op": "GET /orders", "allow": ["admin"]}]}
    outcome, _ = play("GET /api/v1/orders", policy=reading, alter=refused)
    assert cells(outcome)["admin"] == ("unproven", "401")
    outcome, _ = play("GET /api/v1/orders", policy=reading, alter=refused, document=alike)
    assert isinstance(outcome, Finding)
    assert cells(outcome)["admin"] == ("breached", "401")


def test_only_the_role_that_is_let_in_is_accused() -> None:
    def careless(shop: Shop) -> None:
        answer = shop._answer

        def asked(request: Request) -> Response:
            if request.session is not None and request.session.role == "guest" and request.method == "DELETE":
                shop.items.pop(request.path.rsplit("/", 1)[1], None)
                return Response.problem(403)
            return answer(request)

        shop._answer = asked

    outcome, _ = play(DELETE, policy=THREE, shop=careless)
    assert isinstance(outcome, Finding)
    assert outcome.actual == "403, yet it is gone for the role guest"
    assert cells(outcome) == {"user": ("kept", "403"), "guest": ("breached", "403"), "admin": ("kept", "204")}


def test_scopes_that_are_not_stated_leave_the_role_open() -> None:
    def scoped(document: dict[str, Any]) -> None:
        document["paths"]["/api/v1/items/{item_id}"]["delete"]["security"] = [{"bearer": ["items:delete"]}]

    people = {"alice": {"role": "user"}, "admin": {"role": "admin", "scopes": ["items:delete"]}}
    outcome, scene = play(DELETE, policy={"roles": [], "identities": people}, document=scoped)
    assert isinstance(outcome, Unproven)
    assert outcome.add == "identities: {NAME: {role: user, …, scopes: [items:delete]}}"
    assert cells(outcome) == {"user": ("unproven", ""), "admin": ("kept", "204")}
    assert {one.request.session.role for one in sent(scene.exchanges, DELETE) if one.request.session} == {"admin"}


def test_one_role_has_no_table() -> None:
    contract = sample.contract(Example("", policy={"roles": [], "identities": {"alice": {"role": "user"}}}))
    assert CHECK.subjects is not None
    assert isinstance(CHECK.subjects(contract), NotApplicable)


# -- what is left as it was ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", [DELETE, PUT, POST])
def test_what_it_made_is_gone_afterwards_and_the_rest_is_there(subject: str) -> None:
    outcome, scene = play(subject, policy=EDITORS | THREE if subject != DELETE else THREE, shop=guarded(subject[:10]))
    assert isinstance(outcome, Kept), outcome
    assert list(scene.shop.items) == ["i0"]


def test_operations_that_are_never_sent_are_sent_in_no_role() -> None:
    outcome, scene = play(DELETE, policy={"never": ["DELETE /items/*"]})
    assert outcome == Unproven("never sent, in whatever role: listed under never")
    assert scene.exchanges == []


def test_the_session_s_own_operations_are_no_rows() -> None:
    assert CHECK.subjects is not None
    labels = {one.label for one in CHECK.subjects(sample.contract())}
    assert {"PUT /api/v1/users/me/password", "DELETE /api/v1/users/me", "POST /api/v1/auth/logout"} & labels == set()
    assert DELETE in labels


def test_the_account_of_the_caller_is_left_as_it_is() -> None:
    def named(shop: Shop) -> None:
        for user in ("alice@example.test", "admin@example.test"):
            shop.profiles[user] = {"nickname": f"{user[:3]}"}

    outcome, scene = play(ME, shop=named)
    assert isinstance(outcome, Kept), outcome
    assert [one.request.json() for one in sent(scene.exchanges, ME)] == [{"nickname": "ali"}, {"nickname": "adm"}]
    assert scene.shop.profiles["admin@example.test"] == {"nickname": "adm"}


def test_an_account_that_does_not_show_what_to_put_back_is_not_touched() -> None:
    outcome, scene = play(ME)
    assert isinstance(outcome, Unproven)
    assert "what to put back is not shown" in outcome.reason
    assert sent(scene.exchanges, ME) == []


def test_a_change_that_comes_without_the_request_is_no_deed_of_it() -> None:
    class Expiring:
        """A thing is gone when it is read for the second time."""

        def __init__(self) -> None:
            self.read: dict[str, int] = {}

        def __call__(self, request: Request, response: Response) -> Response:
            if request.method != "GET" or not request.path.startswith("/api/v1/items/"):
                return response
            self.read[request.path] = self.read.get(request.path, 0) + 1
            return Response.problem(404) if self.read[request.path] > 1 else response

    outcome, _ = play(DELETE, alter=Expiring)
    assert isinstance(outcome, Kept), outcome


@pytest.mark.parametrize("subject", [DELETE, PUT, "GET /api/v1/orders", "GET /api/v1/orders/{order_id}"])
def test_it_costs_no_more_than_three_requests_and_one_a_role(subject: str) -> None:
    """Deleting what it made afterwards is not counted."""
    policy = THREE | (EDITORS if subject == PUT else {})
    outcome, scene = play(subject, policy=policy, shop=guarded("PUT /api/v1/items"))
    assert isinstance(outcome, Kept), outcome
    tidied = [one for one in scene.exchanges if one.request.method == "DELETE" and subject != DELETE]
    assert len(scene.exchanges) - len(tidied) <= 3 + 3


def test_expectations_are_told_before_anything_is_sent() -> None:
    assert CHECK.subjects is not None
    found = {one.label: one.cells for one in CHECK.subjects(sample.contract())}
    assert found[DELETE] == (Cell("user", "denied"), Cell("admin", "allowed"))
    assert found[PUT] == (Cell("user", "allowed"), Cell("admin", "allowed"))


def test_what_can_not_be_read_any_more_is_not_taken_for_unchanged() -> None:
    class Breaks:
        """The list fails once something was refused."""

        def __init__(self) -> None:
            self.broken = False

        def __call__(self, request: Request, response: Response) -> Response:
            self.broken = self.broken or response.status == 403
            listing = request.method == "GET" and request.path == "/api/v1/items"
            return Response.problem(500) if listing and self.broken else response

    outcome, _ = play(POST, policy=EDITORS, shop=guarded(POST), alter=Breaks)
    assert isinstance(outcome, Unproven)
    assert "does not show any more" in outcome.reason
    assert cells(outcome) == {"user": ("unproven", ""), "admin": ("kept", "201")}


def test_what_can_never_be_read_is_judged_by_the_answer_alone() -> None:
    unreadable = lambda q, r: Response.problem(500) if q.method == "GET" and q.path == "/api/v1/items" else r  # noqa: E731
    outcome, _ = play(POST, policy=EDITORS, shop=guarded(POST), alter=unreadable)
    assert isinstance(outcome, Kept), outcome


def _forbidden_by_content(request: Request, response: Response) -> Response:
    return Response.problem(403) if request.operation == POST and response.status == 201 else response


def test_a_403_that_an_empty_body_does_not_get_is_not_about_the_role() -> None:
    outcome, _ = play(POST, policy=EDITORS, shop=guarded(POST), alter=_forbidden_by_content)
    assert isinstance(outcome, Unproven)
    assert cells(outcome)["admin"] == ("unproven", "403")
    assert "an empty one gets 422" in outcome.reason
    assert outcome.add == f"in the document: an example of a body that {POST} takes"


def _unnamed(document: dict[str, Any]) -> None:
    # Nothing makes or lists what {kind} stands for.
    operation = {"parameters": [{"name": "kind", "in": "path", "required": True, "schema": {"type": "string"}}]}
    operation |= {"security": [{"bearer": []}], "responses": {"200": {"description": "Exported."}}}
    document["paths"]["/api/v1/exports/{kind}"] = {"post": operation}


def test_a_403_to_a_value_that_was_made_up_is_not_about_the_role() -> None:
    label = "POST /api/v1/exports/{kind}"
    policy = {"roles": [{"op": "POST /exports/*", "allow": ["admin"]}]}
    outcome, _ = play(
        label, policy=policy, document=_unnamed, alter=lambda q, r: Response.problem(403) if q.operation == label else r
    )
    assert isinstance(outcome, Unproven)
    assert "{kind}, for which no existing value is known" in outcome.reason
    assert outcome.add == "in the document: an example of {kind} that exists"
