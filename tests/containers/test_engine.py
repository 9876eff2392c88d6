"""scripts/engine: the command's status, and nothing left however it ends. Here it runs inside itself."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tests.containers.stacks import until
from tests.test_architecture import REPO

pytestmark = pytest.mark.live

ENGINE = str(REPO / "scripts" / "engine")


def run(home: Path, *words: str, user: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ENGINE, *words],
        env=os.environ | {"UPHELD_ENGINE_DIR": str(home)},
        user=user,
        capture_output=True,
        text=True,
        timeout=60,
    )


def left(home: Path) -> list[str]:
    """What of an engine with its data there still runs."""
    lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return [" ".join(line) for line in lines if any(str(home) in word for word in line)]


@contextmanager
def running(home: Path) -> Iterator[subprocess.Popen[str]]:
    """An engine whose command waits for ever."""
    command = [ENGINE, "bash", "-c", "echo it runs; cat"]
    with subprocess.Popen(
        command,
        env=os.environ | {"UPHELD_ENGINE_DIR": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "it runs\n"
            assert left(home)
            yield process
        finally:
            process.kill()


def test_the_status_is_the_command_s_and_its_engine_is_another_one(tmp_path: Path) -> None:
    ended = run(tmp_path, "bash", "-c", "docker info --format {{.DockerRootDir}}; docker images --quiet; exit 7")
    assert ended.returncode == 7, ended.stderr
    assert ended.stdout == f"{tmp_path}/data\n", "and it has no images yet"
    assert left(tmp_path) == []


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=lambda ending: ending.name)
def test_nothing_is_left_when_it_is_killed(tmp_path: Path, ending: signal.Signals) -> None:
    with running(tmp_path) as process:
        process.send_signal(ending)
        assert until(lambda: not left(tmp_path), 15), left(tmp_path)


def test_an_interrupt_is_the_command_s_to_heed(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(15) == 128 + signal.SIGINT
        assert until(lambda: not left(tmp_path), 15), left(tmp_path)


def test_its_data_have_one_engine_at_a_time(tmp_path: Path) -> None:
    with running(tmp_path):
        ended = run(tmp_path, "true")
    assert (ended.returncode, ended.stdout) == (97, "")
    assert f"another one uses {tmp_path}" in ended.stderr


def test_a_machine_that_cannot_says_why(tmp_path: Path) -> None:
    ended = run(tmp_path, "true", user=65534)
    assert ended.returncode == 97
    assert "only root" in ended.stderr


def test_a_command_is_needed(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 2
