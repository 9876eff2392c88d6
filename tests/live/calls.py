"""The commands as their users call them: in this process where that is enough, in one of their own where signals are sent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from tests.live.apps.notes import document

from upheld.cli import main

AUTH = """\
auth:
  register: {op: POST /auth/register, body: {email: $user, password: $password}}
  login: {op: POST /auth/login, body: {email: $user, password: $password}, access: /access_token}
"""
ANN = "identities: {ann: {role: user, user: ann@example.test, password_env: NOTES_ANN_PASSWORD}}\n"
COMMAND = [sys.executable, "-c", "from upheld.cli import main; main()"]


@dataclass
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def all(self) -> str:
        return self.out + self.err

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report that it wrote."""
        loaded: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return loaded

    @property
    def verdicts(self) -> dict[str, str]:
        return {promise["id"]: promise["verdict"] for promise in self.report["promises"]}

    @property
    def files(self) -> dict[str, str]:
        """Everything that it wrote into the folder of the reports, by path in there."""
        found = sorted(self.folder.rglob("*"))
        return {str(file.relative_to(self.folder)): file.read_text() for file in found if file.is_file()}

    @property
    def reasons(self) -> set[str]:
        return {promise["reason"] for promise in self.report["promises"] if promise["verdict"] == "unproven"}


def contract(
    folder: Path, policy: str = AUTH, *, spec: Mapping[str, Any] | str | None = None, target: str | None = None
) -> Path:
    """Write a contract into ``folder``; its document is that of the notes unless one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    head = "upheld: 1\n" + ("" if target is None else f'target: {{url: "{target}"}}\n')
    (folder / "upheld.yaml").write_text(head + policy)
    text = spec if isinstance(spec, str) else json.dumps(document() if spec is None else spec, indent=1)
    (folder / "openapi.json").write_text(text)
    return folder


def run(*args: object, env: Mapping[str, str | None] | None = None) -> Ended:
    """Call ``upheld`` in this process. Reports go where ``--report`` says, and to the working folder's .upheld/report."""
    words = [str(arg) for arg in args]
    result = CliRunner().invoke(main, words, env=dict(env or {}))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    folder = Path(words[words.index("--report") + 1]) if "--report" in words else Path(".upheld/report").absolute()
    return Ended(result.exit_code, result.stdout, result.stderr, folder)


def start(*args: object, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start ``upheld`` in a process and a group of its own."""
    return subprocess.Popen(
        [*COMMAND, *map(str, args)],
        cwd=cwd,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that runs the tests in the background makes its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
