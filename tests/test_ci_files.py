"""What is handed to other people's pipelines: the action, and the examples in docs/guides/ci.md. They name what exists, and do it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from upheld.cli import main

REPO = Path(__file__).parents[1]
ACTION: dict[str, Any] = yaml.safe_load((REPO / ".github/actions/upheld/action.yml").read_text())
STEPS = {step.get("id") or step.get("name") or step["uses"]: step for step in ACTION["runs"]["steps"]}
GUIDE = (REPO / "docs/guides/ci.md").read_text()
SARIF = {"runs": [{"results": [{"kind": "fail"}, {"kind": "open"}, {"kind": "fail", "suppressions": [{}]}]}]}


def options(text: str) -> list[str]:
    """Long options of ``upheld check`` that a script uses and that there are not."""
    parameters = main.commands["check"].params
    known = {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert used, "it uses none"
    return sorted(used - known)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def stub(folder: Path, status: int = 0, *, sarif: bool = False) -> Path:
    """An ``upheld`` that writes its words and a summary, and ends so."""
    folder.mkdir(parents=True)
    file = folder / "upheld"
    file.write_text(
        "#!/bin/bash\n"
        'printf "%s\\n" "$@" > words\n'
        "mkdir -p out\n"
        "echo summary > out/summary.md\n"
        + (f"echo '{json.dumps(SARIF)}' > out/upheld.sarif\n" if sarif else "")
        + f"exit {status}\n"
    )
    file.chmod(0o755)
    return folder


# -- the action ----------------------------------------------------------------------------------------------------------


def test_the_action_uses_only_options_that_exist() -> None:
    assert options(STEPS["check"]["run"]) == []


def test_every_input_is_used_and_every_one_that_is_used_is_declared() -> None:
    runs = yaml.safe_dump(ACTION["runs"])
    assert set(re.findall(r"inputs\.([\w-]+)", runs)) == set(ACTION["inputs"])
    assert [name for name, told in ACTION["inputs"].items() if not told["description"] or "default" not in told] == []


def test_no_input_is_written_into_a_script() -> None:
    assert [name for name, step in STEPS.items() if "${{" in step.get("run", "")] == []


def test_what_it_passes_on_it_writes() -> None:
    written = set(re.findall(r'"(\w+)=', STEPS["check"]["run"]))
    passed = {re.search(r"steps\.check\.outputs\.(\w+)", told["value"])[1] for told in ACTION["outputs"].values()}  # type: ignore[index]
    assert passed == set(ACTION["outputs"]) == written


def test_the_reports_are_kept_whatever_the_verdict() -> None:
    keep = STEPS["Keep the reports"]
    assert keep["uses"].startswith("actions/upload-artifact@")
    assert "always()" in keep["if"]


def test_what_is_installed_lies_above_the_action() -> None:
    ours = STEPS["Install"]["env"]["OURS"].replace("${{ github.action_path }}", str(REPO / ".github/actions/upheld"))
    assert (Path(ours).resolve() / "pyproject.toml").is_file()


def run_check(
    folder: Path, status: int = 0, *, sarif: bool = False, **inputs: str
) -> tuple[int, list[str], Mapping[str, str]]:
    """The step ``check`` as a runner has it: its status, the words that ``upheld`` was given, and its outputs."""
    stub(folder / "temp/upheld/bin", status, sarif=sarif)
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    step = STEPS["check"]
    own = {
        name: given.get(found[1], ACTION["inputs"][found[1]]["default"])
        for name, value in step["env"].items()
        if (found := re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", value))
    }
    files = {"GITHUB_STEP_SUMMARY": "summary", "GITHUB_OUTPUT": "output"}
    environment = {**os.environ, **own, **files, "RUNNER_TEMP": str(folder / "temp"), "REPORT": "out"}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=30)
    told = dict(line.split("=", 1) for line in (folder / "output").read_text().splitlines())
    return ended.returncode, (folder / "words").read_text().splitlines(), told


@pytest.mark.parametrize("status", [0, 1, 3])
def test_it_ends_as_the_check_did_and_writes_the_summary(tmp_path: Path, status: int) -> None:
    ended, words, told = run_check(tmp_path, status)
    assert (ended, told["status"]) == (status, str(status))
    assert (tmp_path / "summary").read_text() == "summary\n"
    assert words == ["check", "--report", "out", "--sarif", "out/upheld.sarif", "--markdown", "out/summary.md"]


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq, which runners of GitHub have")
def test_what_code_scanning_gets_are_findings_alone(tmp_path: Path) -> None:
    _, _, told = run_check(tmp_path, 1, sarif=True)
    assert json.loads((tmp_path / told["sarif"]).read_text()) == {"runs": [{"results": [{"kind": "fail"}]}]}


def test_inputs_become_words_and_nothing_else(tmp_path: Path) -> None:
    odd = 'a "b" $(touch owned) `touch owned`; touch owned'
    _, words, _ = run_check(
        tmp_path, contract=odd, target="http://127.0.0.1:1", only="http,auth", quick="true", baseline="known.yaml",
        since="origin/main", seed="7", allow_host="api.example.test",
    )  # fmt: skip
    assert words[-2:] == ["--", odd]
    assert "--quick" in words
    pairs = set(pairwise(words))
    assert {
        ("--target", "http://127.0.0.1:1"), ("--only", "http,auth"), ("--baseline", "known.yaml"), ("--since", "origin/main"),
        ("--seed", "7"), ("--allow-host", "api.example.test"),
    } <= pairs  # fmt: skip
    assert not (tmp_path / "owned").exists()


# -- examples ------------------------------------------------------------------------------------------------------------


def test_the_guide_uses_the_action_as_it_is() -> None:
    inputs, outputs = set(), set()
    for block in blocks("yaml"):
        for step in yaml.safe_load(block) if block.startswith("- ") else ():
            if "actions/upheld@" in step.get("uses", ""):
                path = step["uses"].partition("@")[0].removeprefix("OWNER/upheld/")
                assert (REPO / path / "action.yml").is_file()
                inputs |= set(step.get("with", {}))
            outputs |= set(re.findall(r"steps\.upheld\.outputs\.(\w+)", str(step)))
    assert {"contract", "target"} <= inputs <= set(ACTION["inputs"])
    assert {"sarif"} <= outputs <= set(ACTION["outputs"])
    named = re.search(r"Inputs, none of which is needed: (.+?)\. Outputs", GUIDE, re.DOTALL)
    assert named is not None
    assert set(re.findall(r"`([a-z-]+)`", named[1])) == set(ACTION["inputs"])


def gitlab() -> dict[str, Any]:
    (job,) = (job for block in blocks("yaml") if "script:" in block for job in yaml.safe_load(block).values())
    read: dict[str, Any] = job
    return read


@pytest.mark.parametrize("base", ["", "0123abcd"])
def test_the_job_for_gitlab_checks(tmp_path: Path, base: str) -> None:
    job = gitlab()
    (line,) = (line for line in job["script"] if line.startswith("upheld "))
    assert options(line) == []
    environment = {**os.environ, "PATH": f"{stub(tmp_path / 'bin', 1)}:{os.environ['PATH']}"}
    environment |= {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base}
    ended = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, timeout=30)
    assert ended.returncode == 1
    narrowed = ["--quick", "--since", base] if base else []
    words = (tmp_path / "words").read_text().splitlines()
    assert words == ["check", "contracts/shop", "--report", "upheld-report", *narrowed]
    assert job["artifacts"]["reports"]["junit"] == f"{job['artifacts']['paths'][0]}/junit.xml"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("status", [0, 1])
def test_the_hook_lets_a_push_through_or_not(tmp_path: Path, status: int) -> None:
    (hook,) = blocks("sh")
    assert options(hook) == []
    here, there = tmp_path / "here", tmp_path / "there"
    who = ("-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "commit.gpgsign=false", "-c", f"core.hooksPath={tmp_path}")  # fmt: skip
    environment = {**os.environ, "PATH": f"{stub(tmp_path / 'bin', status)}:{os.environ['PATH']}"}

    def git(*words: str) -> int:
        done = subprocess.run(["git", *who, *words], env=environment, capture_output=True, timeout=30)
        return done.returncode

    assert git("init", "--quiet", "--bare", str(there)) == 0
    assert git("init", "--quiet", str(here)) == 0
    assert git("-C", str(here), "commit", "--quiet", "--allow-empty", "-m", "x") == 0
    (tmp_path / "pre-push").write_text(hook)
    (tmp_path / "pre-push").chmod(0o755)
    assert (git("-C", str(here), "push", "--quiet", str(there), "HEAD:refs/heads/main") == 0) == (status == 0)
    words = (here / "words").read_text().splitlines()
    assert words == ["check", "contracts/shop", "--quick", "--no-fuzz", "--since", "origin/main"]
