"""A real Redis and a real PostgreSQL for the tests that need them.

``UPHELD_TEST_SERVICES`` says where they come from:

* ``url``    UPHELD_TEST_REDIS_URL and UPHELD_TEST_POSTGRES_URL name servers that run already
* ``local``  this machine's own binaries, started on free loopback ports with their data in a throw-away folder
* ``containers``  UPHELD_REDIS_IMAGE and UPHELD_POSTGRES_IMAGE (redis:7-alpine, postgres:16-alpine), by the engine at $DOCKER_HOST
* ``auto``   for each of the two: its URL where one is set, else the local binary, else a container (the default)

A test process has servers of its own (each xdist worker too), started when the first test asks, and they die with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from upheld.targets.ports import free_port
from upheld.targets.process import Process

if TYPE_CHECKING:
    from docker import DockerClient

WAYS = ("auto", "url", "local", "containers")
READY_WITHIN = 60.0
QUICK_AND_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


class Unavailable(Exception):
    """The service is not to be had here; the message is the reason and what to do."""


def way() -> str:
    """Where services come from. Raises `ValueError` for a word that we do not know."""
    chosen = os.environ.get("UPHELD_TEST_SERVICES", "auto")
    if chosen not in WAYS:
        raise ValueError(f"UPHELD_TEST_SERVICES is {chosen!r}; it is one of {', '.join(WAYS)}")
    return chosen


def required() -> bool:
    """Whether a missing service is an error rather than a reason to skip: in CI, and where somebody chose the way."""
    return os.environ.get("UPHELD_TEST_REQUIRE_SERVICES") == "1" or way() != "auto"


Found = TypeVar("Found")


def first(ways: Mapping[str, Callable[[], Found]]) -> Found:
    """What the chosen way gives, or with ``auto`` the first that can. Raises `Unavailable` with the reason of each."""
    reasons = []
    for name, provide in ways.items():
        if way() in ("auto", name):
            try:
                return provide()
            except Unavailable as error:
                reasons.append(f"{name}: {error}")
    raise Unavailable("; ".join(reasons))


def given(variable: str) -> str:
    """The URL of a server that runs already. Raises `Unavailable`."""
    if url := os.environ.get(variable):
        return url
    raise Unavailable(f"{variable} is not set")


def engine() -> DockerClient:
    """The container engine that the environment names. Raises `Unavailable`."""
    try:
        import docker
        import testcontainers.core  # noqa: F401
    except ImportError as error:
        raise Unavailable("containers need testcontainers: pip install 'upheld[containers]'") from error
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        at = os.environ.get("DOCKER_HOST", "its usual place")
        raise Unavailable(f"no container engine answers at {at}; scripts/engine brings one") from error
    return client


def redis_image() -> str:
    return os.environ.get("UPHELD_REDIS_IMAGE") or "redis:7-alpine"


def postgres_image() -> str:
    return os.environ.get("UPHELD_POSTGRES_IMAGE") or "postgres:16-alpine"


def redis_program() -> str:
    """redis-server or what has replaced it. Raises `Unavailable`."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if not program:
        raise Unavailable("no redis-server or valkey-server on PATH (Debian: apt-get install redis-server)")
    return program


def postgres_folder() -> Path:
    """Where initdb and postgres are, the newest first. Raises `Unavailable`."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(found, key=lambda path: float(path.parts[-3]), reverse=True)
    on_path = shutil.which("initdb")
    for initdb in [*newest, *([Path(on_path).resolve()] if on_path else [])]:
        if (initdb.parent / "postgres").exists():
            return initdb.parent
    raise Unavailable("no PostgreSQL server (Debian: apt-get install postgresql-15)")


def described() -> str:
    """One line for the header of a test run."""

    def version(program: str) -> str:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20).stdout
        found = re.search(r"\d+\.\d+(\.\d+)?", said)
        return found[0] if found else said.strip()

    def of(name: str, variable: str, program: Callable[[], str], image: str) -> str:
        ways: dict[str, Callable[[], str]] = {
            "url": lambda: f"by {variable}" if given(variable) else "",
            "local": lambda: version(program()),
            "containers": lambda: f"in {image}" if engine() else "",
        }
        try:
            return f"{name} {first(ways)}"
        except (Unavailable, OSError, subprocess.SubprocessError) as error:
            return f"no {name}: {error}"

    redis = of("Redis", "UPHELD_TEST_REDIS_URL", redis_program, redis_image())
    postgres = of("PostgreSQL", "UPHELD_TEST_POSTGRES_URL", lambda: f"{postgres_folder()}/postgres", postgres_image())
    return f"services ({way()}): {redis}, {postgres}"


@contextmanager
def redis() -> Iterator[str]:
    """The URL of a Redis that holds nothing yet (one of our own), or as much as it holds (a given one)."""
    with ExitStack() as stack:
        ways: dict[str, Callable[[], str]] = {
            "url": lambda: given("UPHELD_TEST_REDIS_URL"),
            "local": lambda: stack.enter_context(_local_redis()),
            "containers": lambda: stack.enter_context(_redis_container()),
        }
        yield first(ways)


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL on which databases may be made."""
    with ExitStack() as stack:
        ways: dict[str, Callable[[], str]] = {
            "url": lambda: given("UPHELD_TEST_POSTGRES_URL"),
            "local": lambda: stack.enter_context(_local_postgres()),
            "containers": lambda: stack.enter_context(_postgres_container()),
        }
        yield first(ways)


@contextmanager
def _redis_container() -> Iterator[str]:
    engine()
    from testcontainers.community.redis import RedisContainer

    with _running(RedisContainer(redis_image())) as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"


@contextmanager
def _postgres_container() -> Iterator[str]:
    engine()
    from testcontainers.community.postgres import PostgresContainer

    settings = " ".join(f"-c {name}={value}" for name, value in QUICK_AND_FORGETFUL.items())
    with _running(PostgresContainer(postgres_image(), driver=None).with_command(settings)) as container:
        yield container.get_connection_url()


@contextmanager
def _running(container: Any) -> Iterator[Any]:
    """Raises `Unavailable` where the engine cannot start it, as without its image."""
    from docker.errors import APIError

    with ExitStack() as stack:
        try:
            stack.enter_context(container)
        except APIError as error:
            raise Unavailable(f"the engine does not start {container.image}: {error}") from error
        yield container


@contextmanager
def _local_redis() -> Iterator[str]:
    program = redis_program()
    with _scratch() as scratch:

        def start(port: int) -> Process:
            options = {"port": str(port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": str(scratch)}
            words = [word for name, value in options.items() for word in (f"--{name}", value)]
            return Process([program, *words], scratch=scratch, cwd=scratch, env=os.environ, grace=2)

        process, port = _started(start, _redis_answers)
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.stop()


@contextmanager
def _local_postgres() -> Iterator[str]:
    programs = postgres_folder()
    with _scratch() as scratch:
        home, password = scratch / "home", secrets.token_hex(12)
        home.mkdir(mode=0o700)
        as_user = _not_root(home)
        env = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(home)}
        secret = scratch / "password"
        secret.write_text(password)
        secret.chmod(0o644)
        data = home / "data"
        arguments = ["-D", str(data), "-U", "upheld", f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8"]
        made = subprocess.run(
            [*as_user, str(programs / "initdb"), *arguments, "--no-locale", "--no-sync", "--no-instructions"],
            cwd=home,
            env=env,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr.strip()[-800:]}")
        secret.unlink()

        def start(port: int) -> Process:
            settings = QUICK_AND_FORGETFUL | {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(home)}
            words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            command = [*as_user, str(programs / "postgres"), "-D", str(data), "-p", str(port), *words]
            return Process(command, scratch=scratch, cwd=home, env=env, grace=5)

        def answers(port: int) -> bool:
            check = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "upheld"]
            return subprocess.run(check, env=env).returncode == 0

        process, port = _started(start, answers)
        try:
            yield f"postgresql://upheld:{password}@127.0.0.1:{port}/postgres"
        finally:
            # SIGINT is its "fast shutdown", which does not wait for clients and frees its shared memory.
            with contextlib.suppress(OSError):
                os.kill(process.pid, signal.SIGINT)
            end = time.monotonic() + 10
            while process.returncode is None and time.monotonic() < end:
                time.sleep(0.01)
            process.stop()


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """A fresh, empty database of this name on the server, dropped at the end with whoever is still connected."""
    _execute(server, f'CREATE DATABASE "{name}"')
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        _execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _execute(server: str, statement: str) -> None:
    import asyncpg

    async def run() -> None:
        connection = await asyncpg.connect(server, timeout=20)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


@contextmanager
def _scratch() -> Iterator[Path]:
    # Not pytest's tmp_path: it is closed to everybody else, and PostgreSQL runs as somebody else when we are root.
    folder = Path(tempfile.mkdtemp(prefix="upheld-test-", dir="/tmp" if os.access("/tmp", os.W_OK) else None))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _not_root(home: Path) -> list[str]:
    """What to put before a command so that it runs as another user, to whom ``home`` then belongs: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return []
    known = {user.pw_name: user for user in pwd.getpwall()}
    user = known.get("postgres") or known.get("nobody")
    if user is None or not shutil.which("setpriv"):
        raise Unavailable("PostgreSQL refuses to run as root, and there is no setpriv, or no user postgres or nobody")
    os.chown(home, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def _started(start: Callable[[int], Process], answers: Callable[[int], bool]) -> tuple[Process, int]:
    """The process and its port. The port can be lost between the choice and the bind, so there is a second try."""
    for last in (False, False, True):
        port = free_port()
        process = start(port)
        try:
            end = time.monotonic() + READY_WITHIN
            while process.returncode is None:
                if answers(port):
                    return process, port
                if time.monotonic() > end:
                    raise RuntimeError(f"not ready within {READY_WITHIN:g} s: {process.output()[-800:]}")
                time.sleep(0.01)
        except BaseException:
            process.stop()
            raise
        if last:
            raise RuntimeError(f"it does not start; {process.ended}: {process.output()[-800:]}")
    raise AssertionError("unreachable")


def _redis_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
