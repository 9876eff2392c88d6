"""The real services that other tests run on: they are real, they are ours alone, and they end with us."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import services

REPO = Path(__file__).parents[1]
pytestmark = pytest.mark.live


def listening(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), 2).close()
    except OSError:
        return False
    return True


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process of its own, from this folder, with our conftest as a plugin and this environment."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("UPHELD_TEST_", "PYTEST_"))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:upheld",
        "-p",
        "no:locust",
        "-p",
        "no:schemathesis",
        "-p",
        "tests.conftest",
        *words,
    ]
    return subprocess.run(command, cwd=REPO, env=clean | env, capture_output=True, text=True, timeout=120)


def test_redis_is_real(redis_url: str) -> None:
    redis = pytest.importorskip("redis")
    with redis.Redis.from_url(redis_url) as client:
        assert client.eval("return redis.call('INCRBY', KEYS[1], 2)", 1, f"test:{os.getpid()}") == 2


def test_postgres_is_real_and_empty(postgres_url: str) -> None:
    asyncio, asyncpg = pytest.importorskip("asyncio"), pytest.importorskip("asyncpg")

    async def tables() -> int:
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute("CREATE TABLE proof (id serial PRIMARY KEY, said jsonb)")
            found: int = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            return found
        finally:
            await connection.close()

    assert asyncio.run(tables()) == 1


def test_asking_for_a_service_marks_the_test(request: pytest.FixtureRequest, redis_url: str) -> None:
    assert request.node.get_closest_marker("services")


STARTS = """
import sys, time
from tests import services
with services.redis() as redis, services.postgres() as postgres:
    print(redis, postgres, flush=True)
    time.sleep(60)
"""


@pytest.mark.services
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT], ids=lambda ending: ending.name)
def test_they_end_with_the_process_that_started_them(
    ending: signal.Signals, redis_url: str, postgres_server: str
) -> None:
    if services.way() == "url":
        pytest.skip("nothing is started where URLs are given")
    env = os.environ | {"UPHELD_TEST_SERVICES": "local", "PYTHONPATH": str(REPO)}
    process = subprocess.Popen(
        [sys.executable, "-c", STARTS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
    )
    try:
        assert process.stdout is not None
        urls = process.stdout.readline().split()
        assert len(urls) == 2
        assert all(map(listening, urls))
        process.send_signal(ending)
        end = time.monotonic() + 15
        while any(map(listening, urls)) and time.monotonic() < end:
            time.sleep(0.05)
        assert not any(map(listening, urls))
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A test module elsewhere that needs Redis."""
    file = tmp_path / "test_elsewhere.py"
    file.write_text("def test_it(redis_url):\n    pass\n\ndef test_other():\n    pass\n")
    return file


NOWHERE = {"PATH": "/nowhere", "DOCKER_HOST": "unix:///nowhere/docker.sock"}


def test_on_a_desk_without_the_service_its_tests_are_skipped_with_the_reason(module: Path) -> None:
    done = run("-rs", str(module), **NOWHERE)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    for reason in (
        "UPHELD_TEST_REDIS_URL is not set",
        "apt-get install redis-server",
        "no container engine answers at unix:///nowhere",
    ):
        assert reason in done.stdout


@pytest.mark.parametrize(
    "env",
    [{"UPHELD_TEST_REQUIRE_SERVICES": "1"}, *({"UPHELD_TEST_SERVICES": way} for way in services.WAYS if way != "auto")],
)
def test_where_it_has_to_be_there_that_is_an_error(module: Path, env: dict[str, str]) -> None:
    done = run(str(module), **NOWHERE, **env)
    assert done.returncode == 1, done.stdout
    assert "a service that has to be there is not" in done.stdout


def test_where_it_has_to_be_there_a_run_that_tries_none_of_them_fails(module: Path) -> None:
    done = run(str(module), "-k", "test_other", UPHELD_TEST_REQUIRE_SERVICES="1")
    assert done.returncode == 1, done.stdout
    assert "no test with a real service ran" in done.stdout
    assert run(str(module), "-k", "test_other").returncode == 0


def test_a_given_url_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPHELD_TEST_SERVICES", "url")
    monkeypatch.setenv("UPHELD_TEST_REDIS_URL", "redis://127.0.0.1:1/5")
    with services.redis() as url:
        assert url == "redis://127.0.0.1:1/5"
    monkeypatch.delenv("UPHELD_TEST_POSTGRES_URL", raising=False)
    with pytest.raises(services.Unavailable, match="UPHELD_TEST_POSTGRES_URL is not set"), services.postgres():
        pass


def test_a_way_that_we_do_not_know_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPHELD_TEST_SERVICES", "cloud")
    with pytest.raises(ValueError, match="one of auto, url, local, containers"):
        services.way()
