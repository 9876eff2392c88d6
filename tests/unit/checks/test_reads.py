"""A check says which keys of upheld.yaml it reads: the pages of the keys are made from that."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import upheld.checks
from upheld.checks import catalogue
from upheld.contract.policy import Policy

FOLDER = Path(upheld.checks.__file__).parent


def asked_for(id: str) -> set[str]:
    """Keys that the check's file takes from the policy."""
    file = FOLDER / f"{id.replace('-', '_')}.py"
    return {
        node.attr
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "policy"
    } & set(Policy.model_fields)


@pytest.mark.parametrize("id", catalogue())
def test_what_a_check_reads_it_declares(id: str) -> None:
    declared = {path.split(".")[0] for path in catalogue()[id].requirement.reads}
    assert asked_for(id) - declared == set()


def test_there_are_such_keys() -> None:
    assert {"normalised", "secrets"} <= asked_for("robust/text")
