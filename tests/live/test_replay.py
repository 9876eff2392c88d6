"""``upheld replay``: a breach is kept as a conversation, and had again with a service that still breaks it, or does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live.apps.notes import Asked, Notes, Said, problem
from tests.live.calls import AUTH, contract, run

pytestmark = pytest.mark.live
PROMISE = "http/challenge[GET /me]"


class Bare(Notes):
    """Refuses without a challenge."""

    async def answer(self, asked: Asked) -> Said:
        said = self.kept(asked)
        said.headers.pop("WWW-Authenticate", None)
        return said


class Boom(Notes):
    """Fails at whatever is written."""

    async def answer(self, asked: Asked) -> Said:
        said = self.kept(asked)
        return problem(500) if asked.path == "/notes" and said.status == 201 else said


class Closed(Notes):
    """Lets nobody write."""

    async def answer(self, asked: Asked) -> Said:
        said = self.kept(asked)
        return problem(404) if asked.path == "/notes" and said.status == 201 else said


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def kept() -> Iterator[Notes]:
    with Notes() as notes:
        yield notes


def _files() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(Path(".upheld/report/replays").glob("*.json"))]


def test_a_dialogue_is_had_again(kept: Notes) -> None:
    with Bare() as bare:
        shop = contract(Path("shop"), target=bare.url)
        checked = run(
            "check", shop, "--no-fuzz", "--only", "auth/bearer-challenge,auth/credentials-required,http/challenge"
        )
        assert checked.status == 1, checked.all
        assert PROMISE in {file["id"] for file in _files()}
        listed = run("replay")
        assert (listed.status, PROMISE in listed.out) == (0, True)

        still = run("replay", PROMISE)
        assert still.status == 1, still.all
        assert f"STILL BROKEN  {PROMISE}" in still.out
        assert "recorded  401" in still.out
        assert "now       401" in still.out

        mended = run("replay", PROMISE, "--target", kept.url)
        assert mended.status == 0, mended.all
        assert f"KEPT NOW  {PROMISE}" in mended.out
        assert "only here: WWW-Authenticate: Bearer" in mended.out


def test_a_generated_request_is_sent_again(kept: Notes) -> None:
    with Boom() as boom:
        # Where the command names the target, the file does too.
        shop = contract(Path("shop"), AUTH + "fuzz: {seconds: 90, max_examples: 5}\n")
        checked = run("check", shop, "--only", "http/server-error", "--seed", "5", "--target", boom.url)
        assert checked.status == 1, checked.all
        (file,) = (each for each in _files() if each["id"] == "http/server-error[POST /notes]")
        assert (file["seed"], file["target"], file["recording"]["exchanges"][0]["role"]) == (5, boom.url, "user")
        text = json.dumps(file)
        assert not [token for token in boom.tokens if token in text]

        still = run("replay", "http/server-error[POST /notes]")
        assert still.status == 1, still.all
        assert "POST /notes as user" in still.out
        assert "expected" in still.out

    assert run("replay", "http/server-error[POST /notes]", "--target", kept.url).status == 0
    with Closed() as closed:
        other = run("replay", "http/server-error[POST /notes]", "--target", closed.url)
    assert other.status == 2, other.all
    assert "answered with 404 now, and 500 was recorded" in other.out
    assert "upheld check shop --target" in other.out
    assert "--only http/server-error --seed 5" in other.out


def test_a_run_that_keeps_everything_keeps_no_conversation(kept: Notes) -> None:
    with Bare() as bare:
        shop = contract(Path("shop"), target=bare.url)
        run("check", shop, "--no-fuzz", "--only", "http/challenge,auth/credentials-required")
    assert _files()
    assert run("check", shop, "--no-fuzz", "--only", "http/challenge,auth/credentials-required", "--target", kept.url).status == 0  # fmt: skip
    assert _files() == []


def test_what_cannot_be_had_again_is_told(kept: Notes) -> None:
    with Bare() as bare:
        shop = contract(Path("shop"), target=bare.url)
        run("check", shop, "--no-fuzz", "--only", "http/challenge,auth/credentials-required")
    unknown = run("replay", "http/trace-off")
    assert (unknown.status, "no conversation is kept of 'http/trace-off'" in unknown.err) == (2, True), unknown.all
    moved = Path("elsewhere")
    shop.rename(moved)
    gone = run("replay", PROMISE)
    assert (gone.status, "name it with --contract" in gone.err) == (2, True), gone.all
    assert run("replay", PROMISE, "--contract", "elsewhere", "--target", kept.url).status == 0
    refused = run("replay", PROMISE, "--contract", "elsewhere", "--target", "http://service.example.test")
    assert (refused.status, "--allow-host" in refused.err) == (2, True), refused.all
    (moved / "upheld.yaml").write_text("upheld: 1\nopenapi: openapi.json\n" + AUTH)
    document = json.loads((moved / "openapi.json").read_text())
    del document["paths"]["/me"]
    (moved / "openapi.json").write_text(json.dumps(document))
    lost = run("replay", PROMISE, "--contract", "elsewhere", "--target", kept.url)
    assert (lost.status, "does not promise" in lost.err) == (2, True), lost.all
