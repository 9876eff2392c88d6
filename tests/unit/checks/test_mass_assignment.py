"""authz/mass-assignment where there is nothing to send along: the reason says what of the contract speaks against it."""

from __future__ import annotations

from typing import Any

from upheld import sample
from upheld.check import Example, Lane, Outcome, Unproven
from upheld.checks import catalogue
from upheld.exchange import Request, Response
from upheld.rehearse import Stage

CHECK = catalogue()["authz/mass-assignment"]
ITEMS = "POST /api/v1/items"


def play(policy: dict[str, Any]) -> Outcome:
    example = Example("", subject=ITEMS, policy=policy, alter=_only_the_name)
    contract = sample.contract(example)
    assert CHECK.converse is not None
    assert CHECK.subjects is not None
    subjects = {one.label: one for one in CHECK.subjects(contract)}
    return Stage(example).play(CHECK.converse(Lane(contract, subjects[ITEMS], "t3st")))


def _only_the_name(request: Request, response: Response) -> Response:
    read = request.method == "GET" and request.path.startswith("/api/v1/items/") and response.ok
    return Response.of(200, {"name": response.json()["name"]}) if read else response


def test_a_property_that_is_protected_and_taken_is_told() -> None:
    outcome = play({"ownership": {"protected": ["name"]}})
    assert outcome == Unproven(
        f"upheld.yaml protects name, and the document lets {ITEMS} set it", "in the document: readOnly: true for name"
    )


def test_where_nothing_is_closed_the_line_to_add_is_told() -> None:
    outcome = play({})
    assert outcome == Unproven(
        f"GET /api/v1/items/{{item_id}} shows nothing that {ITEMS} may not set",
        "ownership: {protected: [role, owner_id]}",
    )
