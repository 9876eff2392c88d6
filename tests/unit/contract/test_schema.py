"""The JSON Schema of upheld.yaml keeps step with the model and says what the model says."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest

from upheld.contract.load import parse_policy, standard
from upheld.contract.policy import Policy
from upheld.contract.schema import json_schema
from upheld.contract.source import Located, read
from upheld.errors import ContractError

from .test_policy import COMPLETE

SCHEMA = json_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True)


def test_the_committed_file_is_up_to_date() -> None:
    text = resources.files("upheld.contract").joinpath("upheld.schema.json").read_text("utf-8")
    assert json.loads(text) == SCHEMA, "run: upheld schema > src/upheld/contract/upheld.schema.json"


def test_complete_files_conform() -> None:
    for value in (read(COMPLETE, "f.yaml").value, {"upheld": 1, **standard()}, {"upheld": 1}):
        assert [error.message for error in VALIDATOR.iter_errors(value)] == []
        parse_policy(Located(value, "f.yaml"))


@pytest.mark.parametrize(
    "change",
    [
        {"rate_limts": []},
        {"latency": {"crud": 200}},
        {"latency": {"crud": "200"}},
        {"rate_limits": [{"op": "items", "quota": "1/s"}]},
        {"rate_limits": [{"op": "/items", "quota": "lots"}]},
        {"head": "off"},
        {"ownership": {"foreign": 200}},
        {"load": {"max_error_rate": 0.1}},
        {"limits": {"body": "big"}},
        {"identities": {"a": {"password_env": "my secret"}}},
        {"prefix": "api"},
        {"errors": {"malformed": [40]}},
        {"upheld": 2},
        {"waive": [{"id": "x", "reason": "y"}]},
        {"target": {"url": "localhost"}},
    ],
)
def test_the_editor_sees_the_mistakes_that_the_reader_sees(change: dict[str, Any]) -> None:
    value = {"upheld": 1, **change}
    assert not VALIDATOR.is_valid(value)
    with pytest.raises(ContractError):
        parse_policy(Located(value, "f.yaml"))


def descriptions(node: Any, path: str = "") -> list[str]:
    found = []
    for name, field in node.get("properties", {}).items():
        text = field.get("description") or SCHEMA["$defs"].get(field.get("$ref", "").rpartition("/")[2], {}).get(
            "description"
        )
        if not text or not text.endswith("."):
            found.append(f"{path}/{name}")
    return found


def test_every_key_is_described_in_a_sentence() -> None:
    bare = descriptions(SCHEMA)
    for name, definition in SCHEMA["$defs"].items():
        bare += descriptions(definition, name)
        if definition.get("type") == "object":
            assert definition["description"].endswith("."), name
    assert bare == []
    assert set(SCHEMA["properties"]) == set(Policy.model_fields)
