"""authz/mass-assignment where there is nothing to send along: the reason says what of the contract speaks against it."""

from __future__ import annotations

from typing import Any

from upheld import sample
from upheld.check import Example, Finding, Lane, NotApplicable, Outcome, Unproven
from upheld.checks import catalogue
from upheld.exchange import Request, Response
from upheld.rehearse import Stage

CHECK = catalogue()["authz/mass-assignment"]
ITEMS = "POST /api/v1/items"


def play(example: Example) -> Outcome:
    contract = sample.contract(example)
    assert CHECK.converse is not None
    assert CHECK.subjects is not None
    found = CHECK.subjects(contract)
    assert not isinstance(found, Unproven | NotApplicable)
    subjects = {one.label: one for one in found}
    return Stage(example).play(CHECK.converse(Lane(contract, subjects[ITEMS], "t3st")))


def named(policy: dict[str, Any]) -> Example:
    return Example("", subject=ITEMS, policy=policy, alter=_only_the_name)


def _only_the_name(request: Request, response: Response) -> Response:
    read = request.method == "GET" and request.path.startswith("/api/v1/items/") and response.ok
    return Response.of(200, {"name": response.json()["name"]}) if read else response


def test_a_property_that_is_protected_and_taken_is_told() -> None:
    outcome = play(named({"ownership": {"protected": ["name"]}}))
    assert outcome == Unproven(
        f"upheld.yaml protects name, and the document lets {ITEMS} set it", "in the document: readOnly: true for name"
    )


def test_where_nothing_is_closed_the_line_to_add_is_told() -> None:
    outcome = play(named({}))
    assert outcome == Unproven(
        f"GET /api/v1/items/{{item_id}} shows nothing that {ITEMS} may not set",
        "ownership: {protected: [role, owner_id]}",
    )


def _icons(*, closed: bool) -> Example:
    """Items show an icon and take one, of which the document of the request says nothing."""

    def document(spec: dict[str, Any]) -> None:
        schema = spec["paths"]["/api/v1/items"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        properties = spec["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        properties.pop("additionalProperties", None)
        if closed:
            properties["additionalProperties"] = False

    icons: dict[str, str] = {}

    def alter(request: Request, response: Response) -> Response:
        if request.method == "GET" and request.path.startswith("/api/v1/items/") and response.ok:
            return Response.of(200, {"id": "i0", "icon": icons.get("last", "star")})
        if request.method == "POST" and request.path == "/api/v1/items":
            icons["last"] = request.json().get("icon", "star")
            return Response.of(201, {"id": "i0"})
        return response

    return Example("", subject=ITEMS, alter=alter, document=document)


def test_a_property_that_the_document_forgot_accuses_only_where_it_takes_no_more() -> None:
    assert isinstance(play(_icons(closed=False)), Unproven)
    finding = play(_icons(closed=True))
    assert isinstance(finding, Finding)
    assert "icon: 'starx'" in finding.actual
