"""What only shows under load is seen by a short load run: each mutant by its own requirement."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.mutants.harness import CHEAP

from upheld.contract.load import load
from upheld.run.examine import Options, press
from upheld.run.prepare import bundled, enter
from upheld.targets.embedded import Embedded
from upheld.verdict import Result, Run, Verdict

pytestmark = [pytest.mark.live, pytest.mark.mutants]

READ = "GET /api/v1/products/{product_id}"
WEIGHTS = 'weights: {"GET /products/*": 30}'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The reference's contract, whose load is mostly of one read."""
    folder = Path(shutil.copytree(bundled(), tmp_path / "reference"))
    policy = folder / "upheld.yaml"
    lines = [line for line in policy.read_text().splitlines() if not line.startswith("load:")]
    policy.write_text("\n".join([*lines, f"load: {{rate: 40/s, {WEIGHTS}}}", ""]))
    return folder


def pressed(place: Path, mutant: str) -> Run:
    with ExitStack() as stack:
        embedded = Embedded("raised", env={**CHEAP, "UPHELD_REFERENCE_MUTANT": mutant})
        running = enter(stack, {"raised": embedded})
        how = Options(fuzz=False, load_seconds=5.0, seed=1, again="upheld load x")
        return press(load(place), running, how)


def told(run: Run, id: str) -> Result:
    return next(result for result in run.results if result.id == id)


def test_a_slow_read_is_over_its_target(place: Path) -> None:
    run = pressed(place, "latency/slow-product")
    seen = told(run, f"latency/p95[{READ}]")
    # Another's work on this machine excuses a miss, and says so.
    busy = seen.verdict is Verdict.UNPROVEN and "itself" in seen.reason
    assert seen.verdict is Verdict.BREACHED or busy, (seen, run.stopped, run.notes)
    assert seen.verdict is not Verdict.UPHELD
    failing = told(run, "latency/error-rate[service]")
    assert failing.verdict is not Verdict.BREACHED, failing.evidence
    if not busy:
        assert seen.evidence is not None
        assert seen.evidence.again == "upheld load x --seconds 5"
        assert run.exit_status == 1


def test_errors_under_load_are_above_their_rate(place: Path) -> None:
    run = pressed(place, "latency/tenth-product-fails")
    seen = told(run, "latency/error-rate[service]")
    assert seen.verdict is Verdict.BREACHED, (seen.reason, run.stopped, run.notes, run.load)
    assert seen.evidence is not None
    assert f"{READ} " in seen.evidence.actual
    assert " x 500" in seen.evidence.actual
    # One cause is told once: what fails is not called slow.
    assert told(run, f"latency/p95[{READ}]").verdict is Verdict.UNPROVEN
    assert run.exit_status == 1
