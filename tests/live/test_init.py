"""A first contract from a running service: what is asked of it and of its author, and what comes of it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.live.apps.notes import Asked, Notes, Said, document, problem
from tests.live.calls import COMMAND, run, start

from upheld.targets.embedded import Embedded

pytestmark = pytest.mark.live
SHOP = "contracts/upheld-reference-shop"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def notes() -> Iterator[Notes]:
    with Notes() as running:
        yield running


class Invited(Notes):
    """Nobody can register here."""

    def kept(self, asked: Asked) -> Said:
        if asked.path == "/openapi.json":
            return Said(200, {**document(), "paths": self.paths()})
        return problem(404) if asked.path == "/auth/register" else super().kept(asked)

    def paths(self) -> dict[str, Any]:
        return {path: item for path, item in document()["paths"].items() if path != "/auth/register"}


@pytest.fixture
def invited() -> Iterator[Notes]:
    with Invited() as running:
        yield running


def test_the_reference_has_a_contract_that_can_be_planned() -> None:
    with Embedded("shipped") as reference:
        begun = run("init", reference.url)
        assert begun.status == 0, begun.all
        planned = run("plan", SHOP, "--json")
    assert planned.status == 0, planned.all
    plan = json.loads(planned.out)
    assert plan["notes"] == []
    assert len(plan["operations"]) > 30
    written = Path(SHOP, "upheld.yaml").read_text()
    assert '#  - {op: "**", quota: 100/min, key: user-or-ip, exempt: [/health]}' in written
    assert "#rate_limit: {headers: draft-10}" in written
    assert "#prefix: /api/v1" in written
    assert f"upheld check {SHOP} --quick" in begun.out
    assert "RateLimit-Policy" in begun.out


def test_the_commands_of_the_guide() -> None:
    guide = Path(__file__).parents[2] / "docs/guides/first-contract.md"
    lines = re.findall(r"^\$ upheld (.+)$", guide.read_text().partition("```console\n")[2].partition("```")[0], re.M)
    assert [line.split()[0] for line in lines] == ["init", "plan", "check"]
    with Embedded("raised") as reference:
        for line in lines:
            words = line.replace("http://127.0.0.1:8500", reference.url).split()
            fewer = ["--no-fuzz", "--only", "http/challenge"] if words[0] == "check" else []
            ended = run(*words, *fewer)
            assert ended.status == 0, ended.all
    assert "upheld" in ended.verdicts.values()


def test_a_few_gets_without_credentials_and_nothing_else(notes: Notes) -> None:
    begun = run("init", notes.url)
    assert begun.status == 0, begun.all
    assert {asked.method for asked in notes.log} == {"GET"}
    assert not any("authorization" in asked.headers for asked in notes.log)
    refused = [asked.path for asked in notes.log if asked.path == "/me"]
    assert len(refused) == 1
    assert len(notes.log) <= 8


def test_what_comes_of_it_is_checked_without_an_edit(notes: Notes) -> None:
    assert run("init", notes.url, "-o", "shop").status == 0
    checked = run("check", "shop", "--no-fuzz", "--only", "auth/credentials-required", "--only", "http/challenge")
    assert checked.status == 0, checked.all
    assert checked.verdicts["auth/credentials-required[GET /me]"] == "upheld"
    assert yaml.safe_load(Path("shop/openapi.yaml").read_text()) == document()


def test_what_is_there_is_refused_before_anybody_is_asked(notes: Notes) -> None:
    Path("shop").mkdir()
    Path("shop/upheld.yaml").write_text("upheld: 1\n")
    refused = run("init", notes.url, "-o", "shop")
    assert refused.status == 2
    assert "shop/upheld.yaml exists, and nothing is overwritten; `--output FOLDER`" in refused.err
    assert notes.asked.total() == 0
    assert Path("shop/upheld.yaml").read_text() == "upheld: 1\n"


def test_a_field_for_the_document_alone(notes: Notes) -> None:
    header = ("--header", "Authorization: Bearer ${SHOP_TOKEN}")
    missing = run("init", notes.url, *header, env={"SHOP_TOKEN": None})
    assert missing.status == 2
    assert "SHOP_TOKEN is not set" in missing.err
    begun = run("init", f"{notes.url}/openapi.json", *header, env={"SHOP_TOKEN": "s3cret-s3cret"})
    assert begun.status == 0, begun.all
    sent = {asked.path for asked in notes.log if asked.headers.get("authorization") == "Bearer s3cret-s3cret"}
    assert sent == {"/openapi.json"}
    written = "".join(path.read_text() for path in Path("contracts").rglob("*.yaml"))
    assert "s3cret" not in begun.all + written
    assert "served_spec" not in written


def test_off_a_terminal_nothing_is_asked(invited: Notes, here: Path) -> None:
    process = start("init", invited.url, cwd=here)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "who signs in: identities" in out
    assert "?" not in err
    assert "\x1b" not in out + err


class Terminal:
    """``upheld init`` with somebody in front of it."""

    def __init__(self, *args: str) -> None:
        self.ours, theirs = pty.openpty()

        def at_the_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.process = subprocess.Popen(
            [*COMMAND, "init", *args], stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=at_the_terminal
        )
        os.close(theirs)
        self.said = ""

    def until(self, text: str, *, again: str = "") -> None:
        """Read what it says until this is there, or it ends. ``again`` is typed once more whenever it says nothing."""
        for _ in range(60):
            if text in self.said:
                break
            if not select.select([self.ours], [], [], 1)[0]:
                self.type(again)
                continue
            try:
                read = os.read(self.ours, 4096)
            except OSError:  # how Linux says that nobody holds the other end any more
                read = b""
            if not read:
                break
            self.said += read.decode()
        assert text in self.said, self.said

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def end(self) -> int:
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()
            os.close(self.ours)


def test_on_a_terminal_it_asks_who_signs_in(invited: Notes) -> None:
    terminal = Terminal(invited.url, "-o", "shop")
    for question, answer in (("User who may sign in", "ann@example.test"), ("Role of", ""), ("Another user", "")):
        terminal.until(question)
        terminal.type(answer + "\n")
    terminal.until("shop --quick")
    assert terminal.end() == 0
    said = yaml.safe_load(Path("shop/upheld.yaml").read_text())["identities"]
    [(name, identity)] = said.items()
    assert name == "ann"
    assert (identity["role"], identity["user"]) == ("user", "ann@example.test")
    assert f"export {identity['password_env']}=" in terminal.said


def test_yes_asks_nothing_on_a_terminal(invited: Notes) -> None:
    terminal = Terminal(invited.url, "-o", "shop", "--yes")
    terminal.until("shop --quick")
    assert terminal.end() == 0
    assert "User who may sign in" not in terminal.said


def test_ctrl_c_at_a_question_leaves_nothing(invited: Notes, here: Path) -> None:
    terminal = Terminal(invited.url)
    terminal.until("User who may sign in")
    terminal.type("\x03")
    # Python's input() misses a signal that comes just before it begins to read.
    terminal.until("interrupted", again="\x03")
    assert terminal.end() == 130
    assert list(here.iterdir()) == []
