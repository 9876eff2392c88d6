"""Ctrl-C and SIGTERM in every phase: status 130, what was done is reported, and nothing is left behind."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.live.apps import notes as app
from tests.live.apps.notes import Asked, Notes, Said
from tests.live.calls import AUTH, contract, start

pytestmark = pytest.mark.live
ENDS_WITHIN = 12.0


class Slow(Notes):
    """Answers at its leisure, so that there is something to interrupt."""

    async def answer(self, asked: Asked) -> Said:
        import asyncio

        await asyncio.sleep(0.3)
        return self.kept(asked)


@pytest.fixture
def slow() -> Iterator[Slow]:
    with Slow() as running:
        yield running


def _when(happens: Callable[[], object], within: float = 20.0) -> None:
    end = time.monotonic() + within
    while not happens():
        assert time.monotonic() < end, "it never came to be interrupted"
        time.sleep(0.02)


def _ended(process: subprocess.Popen[str], number: int) -> tuple[int, str, str]:
    """How it ends after the signal, and that none of its children is left."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=ENDS_WITHIN)
    finally:
        process.kill()
    _, left = psutil.wait_procs(children, timeout=3)
    assert not left
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_between_dialogues(slow: Slow, tmp_path: Path, number: int) -> None:
    contract(tmp_path / "shop")
    process = start("check", "shop", "--target", slow.url, "--no-fuzz", cwd=tmp_path)
    _when(lambda: slow.asked.total() > 25)
    status, out, err = _ended(process, number)
    assert status == 130, err
    report = json.loads((tmp_path / ".upheld/report/report.json").read_text())
    assert report["stopped"] == "interrupted"
    assert report["requests"] > 10
    assert "Stopped before the end" in out
    assert "Traceback" not in err
    assert (tmp_path / ".upheld/report/junit.xml").exists()


def test_with_several_contracts_the_others_are_not_begun(slow: Slow, tmp_path: Path) -> None:
    for name in ("a", "b"):
        contract(tmp_path / "contracts" / name, target=slow.url)
    process = start("check", "--no-fuzz", cwd=tmp_path)
    _when(lambda: slow.asked.total() > 10)
    status, _, err = _ended(process, signal.SIGINT)
    assert status == 130, err
    assert (tmp_path / ".upheld/report/a/report.json").exists()
    assert not (tmp_path / ".upheld/report/b/report.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_the_target_starts(tmp_path: Path, number: int) -> None:
    policy = "target: {start: 'echo up > started; sleep 60', cwd: '.', profiles: {raised: {env: {A: b}}}}\n" + AUTH
    folder = contract(tmp_path / "shop", policy)
    process = start("check", "shop", cwd=tmp_path)
    _when((folder / "started").exists)
    status, _, err = _ended(process, number)
    assert status == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err


def test_a_started_target_is_stopped(tmp_path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} {shlex.quote(app.__file__)} {{port}} 0.3"
    policy = f"target: {{start: {json.dumps(command)}, health: /health, env: {{PYTHONPATH: {Path.cwd()}}}}}\n" + AUTH
    contract(tmp_path / "shop", policy)
    process = start("check", "shop", cwd=tmp_path)
    lines = iter(process.stdout.readline, "")  # type: ignore[union-attr]
    assert any("dialogues: begins" in line for line in lines)
    status, _, err = _ended(process, signal.SIGTERM)
    assert status == 130, err
    assert "Traceback" not in err


def test_while_it_is_fuzzed(tmp_path: Path) -> None:
    with Notes() as target:
        contract(tmp_path / "shop", "fuzz: {seconds: 60}\n" + AUTH)
        process = start("check", "shop", "--target", target.url, "--only", "body", cwd=tmp_path)
        _when(lambda: any("schemathesis" in asked.target for asked in target.log), within=40)
        status, _, err = _ended(process, signal.SIGINT)
        assert status == 130, err
        report = json.loads((tmp_path / ".upheld/report/report.json").read_text())
        assert report["stopped"] == "interrupted"
        assert "Traceback" not in err
        sent = target.asked.total()
        time.sleep(0.3)
        assert target.asked.total() == sent


def test_while_it_is_loaded(tmp_path: Path) -> None:
    with Notes() as target:
        contract(tmp_path / "shop", "load: {users: 2, rate: 20/s, duration: 60s}\n" + AUTH)
        process = start("load", "shop", "--target", target.url, "--seconds", "60", cwd=tmp_path)
        _when(lambda: target.asked.total() > 60, within=40)
        status, _, err = _ended(process, signal.SIGINT)
        assert status == 130, err
        assert "Traceback" not in err
        report = json.loads((tmp_path / ".upheld/load/report.json").read_text())
        assert report["stopped"] == "interrupted"


def test_a_second_time_it_ends_at_once(slow: Slow, tmp_path: Path) -> None:
    contract(tmp_path / "shop")
    process = start("check", "shop", "--target", slow.url, "--no-fuzz", cwd=tmp_path)
    _when(lambda: slow.asked.total() > 10)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    status, _, err = _ended(process, signal.SIGINT)
    assert status == 130, err
