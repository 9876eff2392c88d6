"""Unusual requests: made once by the engine, kept by what they depend on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from upheld import sample
from upheld.check import Example
from upheld.run import corpus as module
from upheld.run.corpus import KEPT, corpus

POLICY = {"load": {"weights": {"GET /items": 0}}}


def test_valid_cases_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the engine itself, in its process."""
    contract = sample.contract(Example("", policy=POLICY))
    made, notes = corpus(contract, seed=3, folder=tmp_path)
    assert notes == []
    create = contract.operation("POST /api/v1/items")
    assert create is not None
    assert create.body is not None
    bodies = [json.loads(case.body or "null") for case in made[create.label]]
    assert 5 < len(bodies) <= KEPT
    assert all(contract.validator(create.body.json_schema or {}, "request").is_valid(body) for body in bodies)
    # Neither what is never sent nor what signs in or out, nor what has weight 0, nor a change of a member.
    assert not {label for label in made if "/auth/" in label or label.startswith(("PUT ", "DELETE ", "PATCH "))}
    assert "GET /api/v1/items" not in made

    monkeypatch.setattr(module, "MODULE", "no.such.module")
    assert corpus(contract, seed=3, folder=tmp_path) == (made, [])


def test_a_schema_that_changed_is_made_anew() -> None:
    def longer(document: dict[str, Any]) -> None:
        document["components"]["schemas"]["NewItem"]["properties"]["name"]["maxLength"] = 99

    before, after = sample.contract(), sample.contract(Example("", document=longer))
    changed = {
        label
        for label in before.by_label
        if module._digest(before, before.by_label[label], 0) != module._digest(after, after.by_label[label], 0)
    }
    assert "POST /api/v1/items" in changed
    assert "GET /api/v1/items" not in changed
    create = before.by_label["POST /api/v1/items"]
    assert module._digest(before, create, 0) != module._digest(before, create, 1)


def test_without_an_engine_there_is_a_note_and_a_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MODULE", "no.such.module")
    made, (note,) = corpus(sample.contract(), folder=tmp_path)
    assert made == {}
    assert "No module named 'no'" in note
    assert "with the usual ones alone" in note
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_no_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = sample.contract()
    monkeypatch.setattr(module, "MODULE", "no.such.module")
    create = contract.by_label["POST /api/v1/items"]
    file = tmp_path / f"{module._digest(contract, create, 0)}.json"
    file.write_text('[{"query": [], "headers": [], "body": "{\\"name\\": \\"a\\"}"}]')
    assert set(corpus(contract, folder=tmp_path)[0]) == {create.label}
    for damage in ("[", "{}x", '[{"query": []}]', '[{"query": [], "headers": [], "body": "{"}]'):
        file.write_text(damage)
        assert corpus(contract, folder=tmp_path)[0] == {}


def test_whoever_is_interrupted_waits_for_no_engine() -> None:
    stop, pipe = threading.Event(), subprocess.PIPE
    stop.set()
    endless = "import threading; print('{}', flush=True); threading.Event().wait()"
    with subprocess.Popen([sys.executable, "-c", endless], text=True, stdout=pipe, stderr=pipe) as engine:
        said, _, why = module._heard(engine, stop)
    assert why == "it was interrupted"
    assert said in ("", "{}\n")
    assert engine.returncode < 0
