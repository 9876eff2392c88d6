"""What the README shows is what its command prints."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.live.calls import COMMAND

pytestmark = pytest.mark.live
README = Path(__file__).parents[2] / "README.md"
CHANGING = (
    # What differs from run to run: the port, who was registered in which order, ids.
    (re.compile(r"(127\.0\.0\.1):\d+"), r"\1:PORT"),
    (re.compile(r"\buser\d+\b"), "SOMEBODY"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),
)


def steady(text: str) -> str:
    for pattern, same in CHANGING:
        text = pattern.sub(same, text)
    return " ".join(text.split())


def test_the_breach_that_it_shows_is_printed(tmp_path: Path) -> None:
    before, fence, after = README.read_text().partition("```text\n")
    shown = after.partition("```")[0]
    ((mutant, words),) = re.findall(r"`UPHELD_REFERENCE_MUTANT=(\S+) upheld ([^`]+)`", before)
    assert fence
    env = {**os.environ, "UPHELD_REFERENCE_MUTANT": mutant}
    done = subprocess.run([*COMMAND, *words.split()], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert steady(shown) in steady(done.stdout)
