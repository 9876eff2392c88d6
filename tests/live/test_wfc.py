"""Identities of a WFC file, held against a service that knows them; the file that `upheld wfc` writes."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from schemathesis.wfc.loader import load_from_file
from tests.live.apps.shared import WFC, Shared, document
from tests.live.calls import contract, run

pytestmark = pytest.mark.live
AUTH = ("--no-fuzz", "--only", "auth")
CARL = {"SHARED_CARL_PASSWORD": "Carl-password-3"}
SECRETS = (
    "Ann-password-1", "Ben-password-2", "Carl-password-3", "Dora-password-4", "ZG9yYTpEb3JhLXBhc3N3b3JkLTQ=", "Staff-key-0815",
    "notes-token", "notes-session", "notes-service-token",
)  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shared() -> Iterator[Shared]:
    with Shared() as running:
        yield running


def described(identities: str, *, target: Shared) -> Path:
    """A contract of the shared notes with this line about its identities."""
    folder = contract(Path("shop"), identities, spec=document(), target=target.url)
    (folder / "wfc.yaml").write_text(WFC)
    return folder


def test_everybody_in_the_file_signs_in_as_it_says(shared: Shared) -> None:
    ended = run("check", described("identities: wfc.yaml\n", target=shared), *AUTH, env=CARL)
    assert ended.status == 0, ended.all
    assert ended.report["notes"] == []
    assert ended.verdicts["auth/credentials-required[GET /me]"] == "upheld"
    assert {"ann@example.test", "ben@example.test", "carl", "dora", "root"} <= shared.callers
    written = "".join(ended.files.values())
    assert [secret for secret in SECRETS if secret in ended.all + written] == []


def test_one_who_is_refused_is_told_by_name_and_no_secret_is_shown(shared: Shared) -> None:
    shared.users["dora"] = "Another-password"
    folder = described("identities: {extends: wfc.yaml, dora: {role: machine}}\n", target=shared)
    ended = run("check", folder, *AUTH, env={"SHARED_CARL_PASSWORD": "wrong-password-17"})
    assert ended.status == 3, ended.all
    said = " ".join(ended.report["notes"])
    assert "carl can't sign in: POST /login was answered with 302" in said
    assert "dora can't sign in: GET /service/token was answered with 401" in said
    assert "wrong-password-17" not in ended.all


def test_a_variable_of_the_file_that_is_not_set(shared: Shared) -> None:
    ended = run("check", described("identities: wfc.yaml\n", target=shared), *AUTH, env={"SHARED_CARL_PASSWORD": None})
    assert ended.status == 2, ended.all
    assert "SHARED_CARL_PASSWORD" in ended.report["notes"][0]


def test_the_plan_says_what_is_odd_and_sends_nothing(shared: Shared) -> None:
    folder = described("identities: wfc.yaml\n", target=shared)
    planned = json.loads(run("plan", folder, "--json", "--only", "auth").out)
    assert [note["note"] for note in planned["notes"]] == [
        "carl signs in with POST /login, which is not in the document; the document has POST /auth/login",
        "dora signs in with GET /service/token, which is not in the document",
    ]
    assert planned["notes"][0]["place"] == "shop/wfc.yaml:16"
    assert shared.asked.total() == 0
    shown = run("plan", folder, "--only", "auth").out
    assert "GET /service/token, which is not in the document" in " ".join(shown.split())


def test_a_mistake_in_the_file_ends_the_run_before_anything_is_sent(shared: Shared) -> None:
    folder = described("identities: wfc.yaml\n", target=shared)
    (folder / "wfc.yaml").write_text(WFC.replace("expectCookies", "expectCokies"))
    ended = run("check", folder, *AUTH, env=CARL)
    assert ended.status == 2
    assert (
        "shop/wfc.yaml:22: unknown key 'expectCokies' in auth[2].loginEndpointAuth; did you mean 'expectCookies'?"
        in ended.err
    )
    assert shared.asked.total() == 0


def test_what_is_written_opens_the_same_doors(shared: Shared) -> None:
    folder = described("identities: wfc.yaml\n", target=shared)
    ended = run("wfc", folder, "-o", "again.yaml", "--with-secrets", env=CARL)
    assert ended.status == 0, ended.all
    assert stat.S_IMODE(Path("again.yaml").stat().st_mode) == 0o600
    assert [entry.name for entry in load_from_file("again.yaml")] == ["ann", "ben", "carl", "dora", "root"]
    (folder / "wfc.yaml").write_text(Path("again.yaml").read_text())
    ended = run("check", folder, *AUTH, env={"SHARED_CARL_PASSWORD": None})
    assert ended.status == 0, ended.all
    assert {"ann@example.test", "ben@example.test", "carl", "dora", "root"} <= shared.callers


def test_secrets_are_named_unless_they_are_asked_for(shared: Shared) -> None:
    folder = described("identities: wfc.yaml\n", target=shared)
    ended = run("wfc", folder, env={"SHARED_CARL_PASSWORD": None})
    assert ended.status == 0
    assert [secret for secret in SECRETS if secret in ended.all] == []
    assert "password: ${SHARED_CARL_PASSWORD}" in ended.out
    assert "password: ${WFC_ANN_PASSWORD}" in ended.out
    missing = run("wfc", folder, "--with-secrets", env={"SHARED_CARL_PASSWORD": None})
    assert (missing.status, missing.out) == (2, "")
    assert "SHARED_CARL_PASSWORD" in missing.err


def test_no_file_is_overwritten_unasked(shared: Shared) -> None:
    folder = described("identities: wfc.yaml\n", target=shared)
    Path("mine.yaml").write_text("mine")
    ended = run("wfc", folder, "-o", "mine.yaml", env=CARL)
    assert ended.status == 2
    assert "mine.yaml exists; --force replaces it" in ended.err
    assert Path("mine.yaml").read_text() == "mine"
    assert run("wfc", folder, "-o", "mine.yaml", "--force", env=CARL).status == 0
    assert [entry.name for entry in load_from_file("mine.yaml")] == ["ann", "ben", "carl", "dora", "root"]


def test_a_file_that_is_named_so_is_json(shared: Shared) -> None:
    run("wfc", described("identities: wfc.yaml\n", target=shared), "-o", "wfc.json", env=CARL)
    assert json.loads(Path("wfc.json").read_text())["schemaVersion"] == "0.2.0"
    assert [entry.name for entry in load_from_file("wfc.json")] == ["ann", "ben", "carl", "dora", "root"]


def test_nobody_who_could_be_written(shared: Shared) -> None:
    ended = run("wfc", described("identities: {alice: {role: user}}\n", target=shared), "-o", "empty.yaml")
    assert ended.status == 2
    assert "alice is left out: each run registers it" in ended.err
    assert not Path("empty.yaml").exists()
