"""The seed that a run prints has the same requests generated again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.live.apps.notes import Notes
from tests.live.calls import AUTH, contract, run

pytestmark = pytest.mark.live
LITTLE = AUTH + "fuzz: {seconds: 90, max_examples: 20}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def generated(*seed: str) -> tuple[str, list[bytes]]:
    """The seed that the last line tells, and the bodies that were generated for what has no unique fields."""
    with Notes() as notes:
        ended = run(
            "check", contract(Path("shop"), LITTLE), "--target", notes.url, "--only", "http/server-error", *seed
        )
        assert ended.status == 0, ended.all
        told = re.search(r"seed (\d+); report", ended.out)
        assert told is not None, ended.out
        bodies = [asked.body for asked in notes.log if (asked.method, asked.path) == ("POST", "/notes")]
    assert len(bodies) > 40
    assert told[1] == str(ended.report["seed"])
    return told[1], bodies


def test_the_printed_seed_repeats_what_was_generated() -> None:
    seed, bodies = generated()
    assert generated("--seed", seed) == (seed, bodies)
    assert generated("--seed", str(int(seed) + 1))[1] != bodies
