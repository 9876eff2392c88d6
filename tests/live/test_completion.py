"""``upheld completion``: the script of each shell, and what it is given when Tab is pressed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.live.calls import COMMAND, contract, run

from upheld.checks import catalogue, names

HEAVY = {"httpx", "pydantic", "yaml", "rich", "schemathesis", "hypothesis", "locust", "jinja2"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def tab(line: str) -> list[str]:
    """What bash is offered at the end of this line."""
    words = line.split(" ")
    given = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_UPHELD_COMPLETE": "bash_complete"}
    ended = subprocess.run(COMMAND, env={**os.environ, **given}, capture_output=True, text=True, timeout=30)
    assert ended.stderr == ""
    return [item.partition(",")[2] for item in ended.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    ended = run("completion", shell)
    assert ended.status == 0
    assert f"_UPHELD_COMPLETE={shell}_complete" in ended.out
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=ended.out, text=True, timeout=30).returncode == 0


def test_another_shell_is_told_which_there_are() -> None:
    ended = run("completion", "tcsh")
    assert (ended.status, "'bash', 'zsh', 'fish'" in ended.err) == (2, True), ended.all


def test_bash_takes_the_script_and_asks_upheld(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "upheld"
    command.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m upheld \"$@\"\n")
    command.chmod(0o755)
    script = (
        'eval "$(upheld completion bash)"\n'
        'COMP_WORDS=(upheld explain http/al) COMP_CWORD=2\n_upheld_completion upheld\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    ended = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.stdout.splitlines() == ["http/allow"], ended.stderr


def test_commands_and_options() -> None:
    assert {"check", "completion", "replay"} <= set(tab("upheld "))
    assert "--baseline" in tab("upheld check --ba")
    assert "--at-least" in tab("upheld load capacity --at")


def test_requirements() -> None:
    assert tab("upheld explain http/al") == ["http/allow"]
    assert tab("upheld check --only http/al") == ["http/allow"]
    assert tab("upheld check --only http/allow,ratelimit/retry") == ["http/allow,ratelimit/retry-after"]
    assert tab("upheld check --skip jw")[0] == "jwt"
    assert list(names()) == list(catalogue())


def test_contracts() -> None:
    contract(Path("contracts/shop"))
    contract(Path("other"))
    Path("contracts/empty").mkdir()
    assert tab("upheld check ") == ["contracts/shop", "other"]
    assert tab("upheld diff contracts/") == ["contracts/shop"]
    assert tab("upheld load ") == ["compare", "capacity", "soak", "contracts/shop", "other"]
    assert tab("upheld load other co") == ["contracts/shop"]
    assert tab("upheld check zz") == ["zz"]  # a file of any name


def test_conversations() -> None:
    Path("x/replays").mkdir(parents=True)
    Path("x/replays/http-allow.json").write_text("{}")
    assert tab("upheld replay --report x ") == ["x/replays/http-allow.json"]


def test_what_answers_a_key_loads_nothing_heavy() -> None:
    given = {"COMP_WORDS": "upheld check --only http", "COMP_CWORD": "3", "_UPHELD_COMPLETE": "bash_complete"}
    command = [sys.executable, "-X", "importtime", *COMMAND[1:]]
    ended = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, timeout=30)
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if line.startswith("import time")}
    assert "plain,http" in ended.stdout
    assert {name.split(".")[0] for name in loaded} & HEAVY == set()
    assert [name for name in loaded if name.startswith("upheld.checks.")] == []
