"""What the tests of targets share."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SERVICE = Path(__file__).with_name("service.py")


@pytest.fixture
def service() -> Callable[..., str]:
    """A shell line that starts `service.py` with these habits."""
    return lambda *habits: shlex.join([sys.executable, "-S", str(SERVICE), *habits])


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Whether a process is there and is more than a zombie."""

    def look(pid: int) -> bool:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in "ZX"

    return look


@pytest.fixture
def gone(alive: Callable[[int], bool]) -> Callable[..., bool]:
    """Whether all of these processes end within some seconds."""

    def wait(pids: list[int], seconds: float = 15.0) -> bool:
        end = time.monotonic() + seconds
        while any(map(alive, pids)) and time.monotonic() < end:
            time.sleep(0.02)
        return not any(map(alive, pids))

    return wait


@pytest.fixture
def family(tmp_path: Path) -> Callable[[], list[int]]:
    """The process ids that the service left in the file named by $PIDS."""

    def read() -> list[int]:
        file, end = tmp_path / "pids", time.monotonic() + 20
        while not file.exists():
            assert time.monotonic() < end, "the service never came up"
            time.sleep(0.02)
        return [int(pid) for pid in file.read_text().split()]

    return read
