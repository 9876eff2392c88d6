"""A command that we start: when it is ready, what we say when it is not, and that nothing of it outlives us."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from upheld.errors import TargetDied, TargetUnreachable, UsageError
from upheld.targets import Command, Running, ports
from upheld.targets import command as module

pytestmark = pytest.mark.live

Service = Callable[..., str]
Family = Callable[[], list[int]]
Gone = Callable[..., bool]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        text: str = response.read().decode()
        return text


def ended(running: Running) -> bool:
    """Whether it is known to have ended, within some seconds."""
    end = time.monotonic() + 10
    while running.alive() and time.monotonic() < end:
        time.sleep(0.02)
    return not running.alive()


def test_it_runs_between_entering_and_leaving(service: Service) -> None:
    target = Command(service(), env={"GREETING": "on {port}"})
    with target as running:
        assert get(f"{running.url}/health") == f"on {running.url.rpartition(':')[2]}"
        assert running.alive()
        assert running.can == {"restart", "logs"}
    assert not running.alive()
    assert "serving" in running.output, "the last lines are there for the report after the target is left"


def test_the_port_stands_in_the_line_and_in_the_environment() -> None:
    line = f"{sys.executable} -S -m http.server {{port}} --bind 127.0.0.1 2>&1 | sed -u s/^/port-$PORT:/"
    with Command(line) as running:
        port = running.url.rpartition(":")[2]
        end = time.monotonic() + 5
        while f"port-{port}:" not in running.output and time.monotonic() < end:
            time.sleep(0.05)
    assert f"port-{port}:" in running.output


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="without /proc nobody knows")
def test_it_knows_how_much_memory_all_of_it_holds() -> None:
    hold = "import sys, time; held = bytearray(int(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    script = (
        "import http.server, os, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {hold!r}, '40000000'], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    target = Command([sys.executable, "-c", script])
    with target as running:
        assert running.memory is not None
        # The child's forty megabytes too.
        assert 40_000_000 < running.memory < 400_000_000
    assert running.memory is None


def test_a_sequence_is_run_without_a_shell() -> None:
    with Command([sys.executable, "-S", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]) as running:
        assert running.alive()


def test_it_is_awaited_until_its_health_is_good(service: Service) -> None:
    started = time.monotonic()
    with Command(service("warms-up")) as running:
        assert time.monotonic() - started > 0.4
        get(f"{running.url}/health")


def test_without_a_health_path_another_path_will_do(service: Service) -> None:
    with Command(service(), env={"HEALTH": "/openapi.json"}, paths=["/openapi.json"]) as running:
        assert running.alive()


def test_it_says_what_a_sick_target_answers(service: Service) -> None:
    with (
        pytest.raises(TargetUnreachable, match=r"(?s)not healthy within 1 s.*/ answers 503.*\| serving"),
        Command(service("sick"), timeout=1.0),
    ):
        pass


def test_it_says_how_a_target_died_with_its_last_lines() -> None:
    with (
        pytest.raises(TargetDied, match=r"(?s)ended with status 3\n  \| no database"),
        Command("echo no database; exit 3"),
    ):
        pass
    with pytest.raises(TargetDied, match="ended by SIGKILL"), Command("kill -9 $$"):
        pass


def test_it_says_that_there_is_no_such_command() -> None:
    with pytest.raises(TargetDied, match="does not find the command"), Command("upheld-no-such-command"):
        pass
    with pytest.raises(TargetDied, match="No such file"), Command(["upheld-no-such-command"]):
        pass
    with pytest.raises(UsageError, match="not a folder"):
        Command("true", cwd=Path("/upheld-no-such-folder"))


def test_a_prescribed_port_that_is_taken_is_not_tested(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        target = Command(service(), url=f"http://127.0.0.1:{port}")
        with pytest.raises(TargetUnreachable, match=f"port {port} is taken.*another process would be tested"), target:
            pass


def test_a_port_that_is_taken_in_between_is_given_up_for_another(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one who takes it answers health checks well, so only the owner of the listening socket tells the two apart.
    with Command(service()) as other:
        taken = int(other.url.rpartition(":")[2])
        free = ports.free_port()
        choices = iter([taken, free])
        monkeypatch.setattr(ports, "free_port", lambda: next(choices))
        monkeypatch.setattr(ports, "is_free", lambda port: True)
        with Command(service()) as running:
            assert running.url.endswith(f":{free}")


def test_a_listener_that_is_no_child_of_the_command_is_accepted_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOREIGN_LISTENER_SETTLES_IN", 0.3)
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    server = subprocess.Popen(
        [sys.executable, "-S", "-m", "http.server", "0", "--bind", "127.0.0.1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline().split(b"port ")[1].split()[0])
        with Command("sleep 60", url=f"http://127.0.0.1:{port}") as running:
            assert running.alive()
    finally:
        server.kill()
        server.communicate()


def test_a_restart_keeps_the_url_and_the_output(service: Service, tmp_path: Path, family: Family) -> None:
    with Command(service(), env={"PIDS": str(tmp_path / "pids")}) as running:
        url, first = running.url, family()
        running.restart()
        assert running.url == url
        assert family() != first
        get(f"{url}/health")
        assert running.output.count("serving") == 2


def test_a_restart_of_a_target_that_died(service: Service, tmp_path: Path, family: Family, gone: Gone) -> None:
    with Command(service(), env={"PIDS": str(tmp_path / "pids")}) as running:
        os.kill(family()[0], signal.SIGKILL)
        assert gone(family())
        assert ended(running)
        running.restart()
        assert running.alive()


def test_its_output_is_bounded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upheld.targets.process.LOG_LIMIT", 100_000)
    with Command(service("chatty")) as running:
        scratch = next(path for path in Path(running._scratch).parent.iterdir() if path == running._scratch)  # type: ignore[attr-defined]
        assert sum(file.stat().st_size for file in scratch.iterdir()) <= 200_000
        assert len(running.output) <= 64 * 1024
        assert running.output.endswith("serving\n") or "GET" in running.output
        assert running.output.startswith("line ")


def test_the_scratch_folder_lives_as_long_as_the_target(service: Service) -> None:
    with Command(service(), env={"GREETING": "{scratch}"}) as running:
        scratch = Path(get(f"{running.url}/health"))
        (scratch / "kept").touch()
        running.restart()
        assert (scratch / "kept").exists()
    assert not scratch.exists()


@pytest.mark.parametrize(
    "habits",
    [("forks",), ("setsid",), ("forks", "setsid", "stubborn"), ("daemon",)],
    ids=lambda habits: "+".join(habits),
)
def test_nothing_of_it_outlives_the_target(
    service: Service, tmp_path: Path, family: Family, gone: Gone, alive: Callable[[int], bool], habits: tuple[str, ...]
) -> None:
    with Command(service(*habits), env={"PIDS": str(tmp_path / "pids")}, grace=0.5):
        pids = family()
        assert all(map(alive, pids))
    assert gone(pids, 0.1)


def test_nothing_of_it_outlives_a_command_that_fails(
    service: Service, tmp_path: Path, family: Family, gone: Gone
) -> None:
    line = f"{service('forks', 'setsid')} & until [ -e over ]; do sleep 0.05; done; exit 4"
    with Command(line, cwd=tmp_path, env={"PIDS": str(tmp_path / "pids")}, grace=0.3) as running:
        pids = family()
        (tmp_path / "over").touch()
        assert gone(pids)
        assert ended(running)


def test_nothing_of_it_outlives_an_exception(service: Service, tmp_path: Path, family: Family, gone: Gone) -> None:
    def interrupted() -> None:
        with Command(service("forks"), env={"PIDS": str(tmp_path / "pids")}, grace=0.3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert gone(family(), 0.1)


PARENT = """
    import sys
    from upheld.targets import Command
    with Command(sys.argv[1], env={"PIDS": sys.argv[2]}, grace=0.5, timeout=float(sys.argv[3])) as running:
        print(running._scratch, flush=True)
        input()
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda ending: ending.name)
@pytest.mark.parametrize("moment", ["while it runs", "while it is awaited"])
def test_nothing_of_it_outlives_us(
    service: Service, tmp_path: Path, family: Family, gone: Gone, ending: signal.Signals, moment: str
) -> None:
    habits = ("forks", "setsid", "stubborn", *(["sick"] if "awaited" in moment else []))
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), service(*habits), str(tmp_path / "pids"), "60"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert parent.stdout is not None
        pids = family()
        scratch = Path(parent.stdout.readline().strip()) if "runs" in moment else None
        parent.send_signal(ending)
        assert gone([*pids, parent.pid] if ending != signal.SIGKILL else pids)
        end = time.monotonic() + 5
        while scratch and scratch.exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert not scratch or not scratch.exists()
    finally:
        parent.kill()
        parent.communicate()


def test_a_shim_that_is_killed_takes_the_command_with_it(
    service: Service, tmp_path: Path, family: Family, gone: Gone
) -> None:
    with Command(service("forks"), env={"PIDS": str(tmp_path / "pids")}) as running:
        os.kill(running._process._shim.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        assert ended(running)
        assert gone(family(), 2)
