"""The engine's configuration."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from upheld.run.fuzz import config

from .conftest import MakeContract


def parsed(contract: Any, **changes: Any) -> dict[str, Any]:
    given = {
        "origin": "http://127.0.0.1:8500",
        "hooks": "some.hooks",
        "seconds": 60,
        "max_examples": 50,
        "phases": ("coverage", "stateful"),
        "seed": 7,
        "marker": "t1",
    }
    return tomllib.loads(config.engine_config(contract, **{**given, **changes}))


def test_what_must_always_be_said_is_said(make_contract: MakeContract) -> None:
    read = parsed(make_contract())
    assert read["workers"] == 1
    assert read["continue-on-failure"] is True
    assert read["seed"] == 7
    assert read["base-url"] == "http://127.0.0.1:8500"
    assert read["hooks"] == "some.hooks"
    assert read["cache"] == {"enabled": False}
    assert read["auth"] == {"auto-signup": False}
    assert read["generation"]["database"] == "none"
    assert read["generation"]["max-examples"] == 50
    assert read["checks"]["object_level_authorization"] == {"enabled": False}
    assert read["headers"]["X-Upheld-Run"] == "t1"
    assert read["request-timeout"] > 0


def test_only_the_wanted_phases_run(make_contract: MakeContract) -> None:
    phases = parsed(make_contract())["phases"]
    assert phases["coverage"]["operation-ordering"] == "none"
    assert {name: phase["enabled"] for name, phase in phases.items()} == {
        "examples": False,
        "coverage": True,
        "fuzzing": False,
        "stateful": True,
    }


def test_without_a_bound_the_engine_keeps_its_own(make_contract: MakeContract) -> None:
    assert "max-examples" not in parsed(make_contract(), max_examples=None)["generation"]


def entries(read: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["include-name"]: entry for entry in read.get("operations", [])}


def test_dangerous_operations_are_off_but_stay_documented(make_contract: MakeContract) -> None:
    read = parsed(make_contract({"never": ["DELETE /items/*"]}))
    assert entries(read)["DELETE /items/{item_id}"]["enabled"] is False
    assert "GET /items/{item_id}" not in entries(read)


def test_credential_probes_need_exactly_one_alternative(make_contract: MakeContract, document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"]["key"] = {"type": "apiKey", "in": "header", "name": "X-Key"}
    document["paths"]["/me"]["get"]["security"] = [{"bearer": []}, {"key": []}]
    read = entries(parsed(make_contract({"public": ["GET /orders"]})))
    assert read["GET /me"]["checks"]["ignored_auth"]["enabled"] is False
    assert read["GET /orders"]["checks"]["ignored_auth"]["enabled"] is False
    assert "POST /orders" not in read


def test_operations_that_hash_get_few_examples(make_contract: MakeContract) -> None:
    policy = {"auth": {"login": {"op": "POST /items", "body": {"name": "$user", "sku": "$password"}}}}
    assert entries(parsed(make_contract(policy)))["POST /items"]["generation"]["max-examples"] == config.SLOW_EXAMPLES
    few = entries(parsed(make_contract(policy), max_examples=5))
    assert "POST /items" not in few


def test_strings_are_toml(make_contract: MakeContract) -> None:
    assert parsed(make_contract(), marker='a"b\\c\x7f\nü')["headers"]["X-Upheld-Run"] == 'a"b\\c\x7f\nü'


@pytest.mark.parametrize(
    ("wanted", "phases"),
    [(None, config.PHASES), (("stateful", "coverage"), ("coverage", "stateful")), ((), ())],
)
def test_phases_come_in_the_engines_order(wanted: Any, phases: tuple[str, ...]) -> None:
    assert config.phases_of(wanted) == phases
