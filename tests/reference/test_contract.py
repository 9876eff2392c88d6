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
                of_oauth = path == "/api/v1/oauth/token" and status in ("400", "401")  # RFC 6749 §5.2
                wanted = "application/json" if of_oauth else "application/problem+json"
                assert list(content) == [wanted], (method, path, status)


def test_every_secured_operation_documents_401_and_every_created_thing_its_location(committed) -> None:
    for method, path, operation in operations(committed):
        assert not operation["security"] or "401" in operation["responses"], (method, path)
        if "201" in operation["responses"]:
            assert "Location" in operation["responses"]["201"]["headers"], (method, path)


def test_every_input_is_bounded(committed) -> None:
    """Strings have a longest length, numbers a range, arrays a size, objects no other members."""
    requests = {
        media["schema"]["$ref"].rpartition("/")[2]: media_type
        for _, _, op in operations(committed)
        if "requestBody" in op
        for media_type, media in op["requestBody"]["content"].items()
    }
    for name, media_type in requests.items():
        schema = committed["components"]["schemas"][name]
        # RFC 6749 §3.2: "The authorization server MUST ignore unrecognized request parameters."
        assert schema.get("additionalProperties", True) is (media_type != "application/json"), name
        for key, member in schema["properties"].items():
            for option in member.get("anyOf", [member]):
                bounded = {"maxLength", "maximum", "maxItems", "enum", "const", "format", "$ref"} & set(option)
                assert bounded or option["type"] in ("boolean", "null"), (name, key)
