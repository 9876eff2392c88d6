"""The contract of the notes, and what a run may have found out about it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.live.apps.notes import document

from upheld.contract import Contract
from upheld.contract.load import from_parts

POLICY: dict[str, Any] = {
    "auth": {
        "register": {"op": "POST /auth/register", "body": {"email": "$user", "password": "$password"}},
        "login": {
            "op": "POST /auth/login",
            "body": {"email": "$user", "password": "$password"},
            "access": "/access_token",
        },
    },
    "rate_limits": [{"op": "POST /auth/login", "quota": "10/min", "key": "ip"}],
    "never": ["DELETE /me"],
}


def with_models() -> dict[str, Any]:
    """The document, its schemas under names: Notes is made of Note."""
    made = document()
    components = made["components"]
    one = made["paths"]["/notes/{id}"]["get"]["responses"]["200"]["content"]["application/json"]
    many = made["paths"]["/notes"]["get"]["responses"]["200"]["content"]["application/json"]
    components["schemas"] = {"Note": one["schema"], "Notes": many["schema"], "Unused": {"type": "object"}}
    components["schemas"]["Notes"] = {
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/Note"}}},
    }
    asked = made["paths"]["/notes"]["post"]["requestBody"]["content"]["application/json"]
    components["schemas"]["Written"] = asked["schema"]
    asked["schema"] = {"$ref": "#/components/schemas/Written"}
    one["schema"] = {"$ref": "#/components/schemas/Note"}
    many["schema"] = {"$ref": "#/components/schemas/Notes"}
    return made


@pytest.fixture
def contract() -> Contract:
    return from_parts(POLICY, with_models())
