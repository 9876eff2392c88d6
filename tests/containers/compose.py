"""A project of Docker Compose that is ours alone, and is gone afterwards."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 120.0
"""Seconds that one command of Compose may take."""


class Failed(Exception):
    """A command of Compose ended with another status than 0; the message is what it said."""


@dataclass(frozen=True)
class Project:
    """One file under a name of its own; ``environment`` is what its variables are set to, whatever they are here."""

    file: Path
    environment: dict[str, str]
    name: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``docker compose WORDS``, whatever its status."""
        command = ["docker", "compose", "--file", str(self.file), "--project-name", self.name, "--progress", "quiet"]
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "UPHELD_"))}
        return subprocess.run(
            [*command, *words], env=ours | self.environment, capture_output=True, text=True, timeout=PATIENCE
        )

    def __call__(self, *words: str) -> str:
        """What ``docker compose WORDS`` prints. Raises `Failed`, with the containers' last lines."""
        done = self.run(*words)
        if done.returncode:
            raise Failed(f"{' '.join(words)}: {done.stdout}{done.stderr}\n{self.run('logs', '--tail', '20').stdout}")
        return done.stdout

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """What Compose tells of them, ended ones too."""
        words = [service] if service else []
        return [json.loads(line) for line in self("ps", "--all", "--format", "json", *words).splitlines()]


@contextmanager
def project(file: Path, **environment: str) -> Iterator[Project]:
    """The file, of which nothing is started yet. Afterwards its containers, networks and volumes are removed."""
    made = Project(file, environment, f"upheld-test-{secrets.token_hex(4)}")
    try:
        yield made
    finally:
        made("down", "--volumes", "--remove-orphans", "--timeout", "5")
