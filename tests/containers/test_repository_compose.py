"""compose.yaml at the top: the reference with PostgreSQL and Redis, as ``docker compose up --build`` brings it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.containers.compose import Project, project
from tests.live import calls
from tests.test_architecture import REPO

from upheld.targets.ports import free_port

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("compose_plugin")]

CREDENTIALS = {
    "UPHELD_REFERENCE_ADMIN_PASSWORD": "an administrator of this test",
    "UPHELD_REFERENCE_OAUTH_CLIENT_SECRET": "a client of this test and of nothing else",
}
PORT = "UPHELD_REFERENCE_PORT"
WORKERS = """
from pathlib import Path
commands = (file.read_bytes().split(b"\\0") for file in Path("/proc").glob("[0-9]*/cmdline"))
print(sum(b"--multiprocessing-fork" in words for words in commands))
"""
RIGHTS = """
import json, os
told = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
try:
    written = bool(open("/written", "w"))
except OSError as error:
    written = error.strerror
print(json.dumps([os.getuid(), int(told["CapEff"], 16), told["NoNewPrivs"], written]))
"""


@pytest.fixture(scope="module")
def shop(reference_image: str, python_image: str, postgres_image: str, redis_image: str) -> Iterator[Project]:
    images = {
        "UPHELD_IMAGE": reference_image,
        "UPHELD_PYTHON_IMAGE": python_image,
        "UPHELD_POSTGRES_IMAGE": postgres_image,
        "UPHELD_REDIS_IMAGE": redis_image,
    }
    with project(REPO / "compose.yaml", **images, **CREDENTIALS, **{PORT: str(free_port())}) as made:
        made("up", "--build", "--wait")
        yield made


@pytest.fixture(scope="module")
def url(shop: Project) -> str:
    return f"http://127.0.0.1:{shop.environment[PORT]}"


def test_only_the_backend_has_a_port_and_only_on_this_machine(shop: Project) -> None:
    published = {
        (container["Service"], port["URL"], port["TargetPort"])
        for container in shop.containers()
        for port in container["Publishers"] or ()
        if port["PublishedPort"]
    }
    assert published == {("reference", "127.0.0.1", 8500)}


def test_its_workers_are_two_and_accept_each_other_s_tokens(shop: Project, url: str) -> None:
    assert shop("exec", "-T", "reference", "python", "-c", WORKERS) == "2\n"
    body = {"email": "admin@example.test", "password": CREDENTIALS["UPHELD_REFERENCE_ADMIN_PASSWORD"]}
    answer = httpx.post(f"{url}/api/v1/auth/login", json=body)
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    # Each on a connection of its own: whichever worker takes it.
    assert {httpx.get(f"{url}/api/v1/users/me", headers=bearer).status_code for _ in range(16)} == {200}


def test_the_backend_may_do_no_more_than_it_needs(shop: Project) -> None:
    said = shop("exec", "-T", "reference", "python", "-c", RIGHTS)
    assert json.loads(said) == [10001, 0, "1", "Read-only file system"]


def test_a_check_through_its_port_accuses_it_of_nothing_and_says_what_the_port_hides(url: str, tmp_path: Path) -> None:
    only = [word for name in ("ratelimit/quota", "errors/router", "cache") for word in ("--only", name)]
    ended = calls.run(
        "check", "contracts/reference", "--target", url, "--quick", "--no-fuzz", *only, "--report", tmp_path, env=CREDENTIALS
    )  # fmt: skip
    assert ended.status == 0, ended.all
    assert ended.verdicts["ratelimit/quota[** 100/60s]"] == "upheld", ended.all
    assert ended.verdicts["ratelimit/quota[POST /auth/login 10/60s]"] == "unproven"
    assert [reason for reason in ended.reasons if "sees one address, whoever calls" in reason]


def test_a_check_beside_it_finds_the_limits_shared_by_its_workers(shop: Project) -> None:
    """In its container, where each lane's address is seen."""
    only = [
        word for name in ("ratelimit/quota", "ratelimit/processes", "ratelimit/isolation") for word in ("--only", name)
    ]
    command = (
        "upheld",
        "check",
        "--target",
        "http://127.0.0.1:8500",
        "--no-fuzz",
        *only,
        "--report",
        "r",
        "--json",
        "-",
    )
    ended = shop.run("exec", "-T", "--workdir", "/tmp", "reference", *command)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(ended.stdout)
    verdicts = [promise["verdict"] for promise in report["promises"] if promise["id"].startswith("ratelimit/")]
    assert len(verdicts) > 10
    assert set(verdicts) == {"upheld"}


def test_no_secret_is_anybody_s_but_what_the_caller_gives() -> None:
    with project(REPO / "compose.yaml") as made:
        told = json.loads(made("config", "--format", "json"))
    own = told["services"]["reference"]["environment"]
    assert {name: own[name] for name in own if name.endswith(("KEY", "PASSWORD", "SECRET")) and own[name]} == {}
