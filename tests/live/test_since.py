"""``--since``: only what a change of the contract touches is checked."""

from __future__ import annotations

import subprocess
from copy import deepcopy
from pathlib import Path

import pytest
from tests.live.apps.notes import Notes, document
from tests.live.calls import AUTH, contract, run

pytestmark = pytest.mark.live


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    contract(Path("shop"))
    who = ("-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "x")):
        subprocess.run(["git", *who, *words], check=True, capture_output=True)


def test_nothing_is_sent_where_nothing_differs() -> None:
    with Notes() as notes:
        same = run("check", "shop", "--target", notes.url, "--since", "HEAD")
        assert (same.status, notes.asked.total()) == (0, 0), same.all
    assert "nothing differs from HEAD" in same.out


def test_only_the_operation_that_differs_is_judged_and_fuzzed() -> None:
    changed = deepcopy(document())
    changed["paths"]["/me"]["get"]["responses"]["418"] = {"description": "teapot"}
    contract(Path("shop"), spec=changed)
    with Notes() as notes:
        ended = run("check", "shop", "--target", notes.url, "--since", "HEAD", "--quick", "--seed", "1")
        assert ended.status == 0, ended.all
        assert {promise["subject"] for promise in ended.report["promises"]} <= {"GET /me", "/me"}
        assert ended.report["summary"]["upheld"] > 5
        fuzzed = [
            asked for asked in notes.log if "upheld (" in asked.headers.get("user-agent", "") and asked.path != "/me"
        ]
        assert len(fuzzed) < notes.asked["GET /me"]
    assert "only what differs from HEAD is checked, 1 of " in ended.report["notes"][0]


def test_a_key_for_all_operations_leaves_nothing_out() -> None:
    contract(Path("shop"), AUTH + "errors: {format: rfc9457}\n")
    with Notes() as notes:
        whole = run("check", "shop", "--target", notes.url, "--since", "HEAD", "--no-fuzz", "--only", "http/allow")
    assert len(whole.verdicts) > 3, whole.all
    assert "errors of upheld.yaml changed: every operation is checked" in whole.report["notes"][0]


def test_a_served_document_has_no_revisions() -> None:
    contract(Path("shop"), "openapi: /openapi.json\n")
    refused = run("check", "shop", "--target", "http://127.0.0.1:1", "--since", "HEAD")
    assert (refused.status, "--since compares documents in git" in refused.err) == (2, True)


def test_what_is_never_fuzzed_is_not_fuzzed_here_either() -> None:
    changed = deepcopy(document())
    changed["paths"]["/me"]["delete"]["responses"]["418"] = {"description": "teapot"}
    contract(Path("shop"), spec=changed)
    with Notes() as notes:
        ended = run("check", "shop", "--target", notes.url, "--since", "HEAD", "--quick", "--seed", "1")
    assert ended.status == 0, ended.all
    assert "fuzzing" not in {phase["name"] for phase in ended.report["phases"]}
    assert not [note for note in ended.report["notes"] if "defect" in note], ended.report["notes"]
