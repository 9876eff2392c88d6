"""Every contract of this repository against a running backend, as its users run it: `pytest contracts/`.

The embedded reference is started; `UPHELD_TARGET=URL pytest tests/contract` tests another backend that should keep the same
contract.
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

CONTRACTS = Path(__file__).parents[2] / "contracts"


@pytest.mark.parametrize("contract", sorted(path.parent.name for path in CONTRACTS.glob("*/upheld.yaml")))
def test_every_promise_is_kept(contract: str, tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(CONTRACTS / contract),
        "--rootdir",
        str(tmp_path),
        "-q",
        "-p",
        "no:locust",
    ]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}", "--upheld-quick", "--upheld-no-fuzz"]
    if target := os.environ.get("UPHELD_TARGET"):
        command.append(f"--upheld-target={target}")
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:]
    suite = ET.parse(report).getroot().find("testsuite")
    assert suite is not None
    kept = int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
    assert kept > 300, "most promises can be judged without fuzzing and without waiting"
    assert suite.get("failures") == suite.get("errors") == "0"
