"""``upheld diff``: a contract against what its target serves, and against another revision."""

from __future__ import annotations

import json
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tests.live.apps.notes import Asked, Notes, Said, document
from tests.live.calls import contract, run

pytestmark = pytest.mark.live


class Drifted(Notes):
    """Serves a document of its own."""

    served: dict[str, Any]

    async def answer(self, asked: Asked) -> Said:
        return Said(200, self.served) if asked.path == "/openapi.json" else self.kept(asked)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_is_served_is_the_contract() -> None:
    with Notes() as notes:
        same = run("diff", contract(Path("shop")), "--target", notes.url)
    assert (same.status, same.out.splitlines()[-1]) == (0, "no changes"), same.all
    assert set(notes.asked) <= {"GET /health", "GET /openapi.json"}


def test_undocumented_and_missing_operations_are_told() -> None:
    served = deepcopy(document())
    served["paths"]["/debug"] = {"get": {"responses": {"200": {"description": "ok"}}}}
    with Drifted() as notes:
        notes.served = served
        more = run("diff", contract(Path("shop"), target=notes.url))
        assert more.status == 0
        assert "WARNING   GET /debug: is undocumented: served, and not in the contract" in more.out
        del served["paths"]["/notes"]["get"]
        less = run("diff", "shop", "--json")
        assert less.status == 1
        told = json.loads(less.out)
        assert (told["schema"], told["breaking"], told["warning"]) == ("upheld.diff/1", 1, 1)
        missing = {
            "effect": "breaking",
            "operation": "GET /notes",
            "text": "is missing: in the contract, and not served",
        }
        assert told["changes"][0] == missing


def test_nothing_is_compared_with_itself() -> None:
    contract(Path("shop"), "openapi: /openapi.json\n")
    refused = run("diff", "shop", "--target", "http://127.0.0.1:1")
    assert (refused.status, "--rev" in refused.err) == (2, True)
    assert run("diff", "shop", "--target", "http://127.0.0.1:1", "--rev", "HEAD").status == 2


def commit() -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "x")):
        subprocess.run(["git", *who, *words], check=True, capture_output=True)


def test_another_revision() -> None:
    contract(Path("shop"))
    commit()
    assert run("diff", "shop", "--rev", "HEAD").out.splitlines()[-1] == "no changes"
    changed = deepcopy(document())
    del changed["paths"]["/me"]["delete"]
    changed["paths"]["/new"] = {"get": {"responses": {"200": {"description": "ok"}}}}
    contract(Path("shop"), spec=changed)
    told = run("diff", "shop", "--rev", "HEAD")
    assert told.status == 1, told.all
    assert told.out.splitlines()[1:] == [
        "BREAKING  DELETE /me: is missing",
        "HARMLESS  GET /new: is added",
        "2 changes: 1 breaking, 0 warning, 1 harmless",
    ]
    assert run("diff", "shop", "--rev", "HEAD~1").status == 2


def test_the_revision_that_upheld_yaml_names_is_the_default() -> None:
    contract(Path("shop"), "target: {base_ref: HEAD}\n")
    commit()
    told = run("diff", "shop")
    assert (told.status, "at HEAD" in told.out) == (0, True), told.all
