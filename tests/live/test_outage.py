"""A service that is started again, and one whose Redis is stopped: the reference, right and wrong."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import services
from tests.live.calls import Ended, run

from upheld.reference.mutants import Mutant, registry
from upheld.run.prepare import bundled
from upheld.targets.ports import free_port

pytestmark = [pytest.mark.live, pytest.mark.services]

OURS = ("ratelimit/restart", "ratelimit/store-outage")
MUTANTS = [mutant for mutant in registry().values() if mutant.requirement in OURS]


class Redis:
    """A Redis that commands start and stop. Whatever it counts is gone with it."""

    def __init__(self, folder: Path, program: str) -> None:
        self.port = free_port()
        pid = folder / "redis.pid"
        options = f"--port {self.port} --bind 127.0.0.1 --save '' --dir {folder} --daemonize yes --pidfile {pid}"
        self.start = f"{shlex.quote(program)} {options}"
        self.stop = f"P=$(cat {pid}); kill $P; while kill -0 $P 2>/dev/null; do sleep 0.05; done"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    try:
        made = Redis(tmp_path, services.redis_program())
    except services.Unavailable as error:
        (pytest.fail if services.required() else pytest.skip)(str(error))
    subprocess.run(made.start, shell=True, check=True, stdout=subprocess.DEVNULL)
    yield made
    subprocess.run(made.stop, shell=True, check=True)


def checked(folder: Path, redis: Redis, *words: str, mutant: str = "", **target: Any) -> Ended:
    """A run with the reference's contract, whose counters are in this Redis and outlive a restart."""
    policy = yaml.safe_load((bundled() / "upheld.yaml").read_text())
    environment = {"UPHELD_REFERENCE_REDIS_URL": redis.url, "UPHELD_REFERENCE_BCRYPT_COST": "4"}
    if mutant:
        environment["UPHELD_REFERENCE_MUTANT"] = mutant
    store = {"start": redis.start, "stop": redis.stop}
    policy["target"] = {"embedded": True, "env": environment, "store": store, **target}
    policy["rate_limit"]["on_restart"] = "keep"
    contract = folder / "contract"
    contract.mkdir()
    (contract / "upheld.yaml").write_text(yaml.safe_dump(policy))
    (contract / "openapi.yaml").write_text((bundled() / "openapi.yaml").read_text())
    return run("check", contract, "--no-fuzz", *words, "--report", contract / "report")


def only(*names: str) -> list[str]:
    return [word for name in names for word in ("--only", name)]


def test_the_reference_keeps_quotas_over_a_restart_and_answers_without_redis(tmp_path: Path, redis: Redis) -> None:
    ended = checked(tmp_path, redis, *only(*OURS, "http/server-error", "ratelimit/refusal"))
    assert ended.verdicts["ratelimit/restart[service]"] == "upheld", ended.all
    assert ended.verdicts["ratelimit/store-outage[service]"] == "upheld", ended.all
    assert ended.status == 0, ended.all
    assert ended.report["phases"][-1]["name"] == "one at a time", "after everything else"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_only_its_own_check_sees_a_mutant(tmp_path: Path, redis: Redis, mutant: Mutant) -> None:
    ended = checked(tmp_path, redis, *only(*OURS, "http/server-error", "ratelimit/quota"), mutant=mutant.name)
    red = {name.partition("[")[0] for name, verdict in ended.verdicts.items() if verdict in ("advisory", "breached")}
    assert red == {mutant.requirement}, ended.all


def test_every_such_requirement_has_a_mutant() -> None:
    assert {mutant.requirement for mutant in MUTANTS} == set(OURS)


def test_a_store_that_nobody_can_stop_leaves_it_unproven(tmp_path: Path, redis: Redis) -> None:
    ended = checked(tmp_path, redis, *only("ratelimit/store-outage"), store=None)
    assert ended.verdicts == {"ratelimit/store-outage[service]": "unproven"}
    assert "target: {store:" in ended.all


def test_what_was_stopped_is_started_again_whatever_happens(tmp_path: Path, redis: Redis) -> None:
    # The read that is asked for does not wait for the store; the time for everything is over while it is away.
    stuck = f"{redis.stop}; sleep 4"
    store = {"start": redis.start, "stop": stuck}
    ended = checked(tmp_path, redis, *only("ratelimit/store-outage"), "--seconds", "3", store=store)
    assert ended.verdicts == {"ratelimit/store-outage[service]": "unproven"}, ended.all
    answer = subprocess.run(["/bin/sh", "-c", f"kill -0 $(cat {tmp_path}/redis.pid)"], check=False)
    assert answer.returncode == 0
