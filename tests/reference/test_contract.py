"""The committed contract is the served one, and it says what the backend does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from upheld.reference.app import create_app
from upheld.reference.core.settings import Settings

pytestmark = pytest.mark.anyio
COMMITTED = Path(__file__).parents[2] / "contracts/reference/openapi.yaml"


@pytest.fixture(scope="module")
def committed() -> Any:
    return yaml.safe_load(COMMITTED.read_text())


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [(method, path, op) for path, item in document["paths"].items() for method, op in item.items()]


async def test_served_document_equals_the_committed_one(shop, committed) -> None:
    async with shop.client() as client:
        served = (await client.get("/openapi.json")).json()
    assert served == committed, "run: python -m upheld.reference.openapi > contracts/reference/openapi.yaml"


@pytest.mark.parametrize("profile", ["shipped", "raised"])
def test_document_is_the_same_in_every_profile(profile, committed) -> None:
    app = create_app(Settings(profile=profile, fault_route=True))
    assert app.openapi() == committed


def test_every_error_is_a_problem_document(committed) -> None:
    for method, path, operation in operations(committed):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                name = response["$ref"].rpartition("/")[2]
                content = committed["components"]["responses"][name]["content"]
                assert list(content) == ["application/problem+json"], (method, path, status)


def test_every_secured_operation_documents_401_and_every_created_thing_its_location(committed) -> None:
    for method, path, operation in operations(committed):
        assert not operation["security"] or "401" in operation["responses"], (method, path)
        if "201" in operation["responses"]:
            assert "Location" in operation["responses"]["201"]["headers"], (method, path)


def test_every_input_is_bounded(committed) -> None:
    """Strings have a longest length, numbers a range, arrays a size, objects no other members."""
    requests = {
        op["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for _, _, op in operations(committed)
        if "requestBody" in op
    }
    for name in requests:
        schema = committed["components"]["schemas"][name]
        assert schema["additionalProperties"] is False, name
        for key, member in schema["properties"].items():
            for option in member.get("anyOf", [member]):
                bounded = {"maxLength", "maximum", "maxItems", "enum", "const", "format", "$ref"} & set(option)
                assert bounded or option["type"] in ("boolean", "null"), (name, key)
