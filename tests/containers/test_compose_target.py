"""``target.compose``: the service and everything beside it come up apart from the author's own stack, and are gone afterwards."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from tests.containers import stacks
from tests.live import calls

from upheld.contract.sections.running import Target
from upheld.errors import TargetDied, TargetUnreachable
from upheld.targets import open_target
from upheld.targets.http import ask

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("compose_plugin")]

Write = Callable[..., Path]
ONLY = ("ratelimit/retry-after", "ratelimit/restart", "ratelimit/store-outage", "errors/router")


@pytest.fixture(autouse=True)
def nothing_is_left(engine: DockerClient) -> Iterator[None]:
    yield
    assert stacks.ours(engine) == []


@pytest.fixture
def his_own(engine: DockerClient, redis_image: str) -> Iterator[None]:
    """What the author of the Compose file has on this engine already: his volumes, and a container that runs."""
    with ExitStack() as undo:
        for name in ("shopdata", "shoparchive"):
            undo.callback(engine.volumes.create(name).remove)
        his = engine.containers.run(redis_image, name="shop_api", ports={"6379/tcp": ("127.0.0.1", 8500)}, detach=True)
        undo.callback(his.remove, force=True)
        yield
        his.reload()
        assert his.status == "running"
        assert {volume.name for volume in engine.volumes.list()} >= {"shopdata", "shoparchive"}


@pytest.fixture
def write(tmp_path: Path, reference_image: str, postgres_image: str, redis_image: str) -> Write:
    """The contract and the Compose file, with more said of its service `api`."""

    def made(**api: Any) -> Path:
        document = stacks.compose_file(reference_image, postgres_image, redis_image, **api)
        (tmp_path / "compose.yaml").write_text(json.dumps(document))
        own = {"compose": "compose.yaml", "profiles": stacks.PROFILES, "store": {"part": "redis"}}
        return stacks.contract(tmp_path, {**own, "inherit": stacks.INHERITED})

    return made


def target(folder: Path, **more: Any) -> Any:
    file = Target.model_validate({"compose": "compose.yaml", "health": "/health", "ready_within": "600s", **more})
    return open_target(file, folder=folder)


@pytest.mark.usefixtures("his_own")
def test_a_check_in_two_profiles_with_a_restart_and_without_the_store(write: Write) -> None:
    folder = write(environment={**stacks.DATABASE, **dict.fromkeys(stacks.INHERITED)})
    environment = {**stacks.environment(), "COMPOSE_PROJECT_NAME": "shop"}
    words = [word for name in ONLY for word in ("--only", name)]
    ended = calls.run("check", folder, "--no-fuzz", *words, "--report", folder / "report", env=environment)
    assert ended.status == 0, ended.all
    assert ended.verdicts["ratelimit/restart[service]"] == "upheld", ended.all
    assert ended.verdicts["ratelimit/store-outage[service]"] == "upheld", ended.all
    assert ended.verdicts["ratelimit/retry-after[** 100/60s]"] == "upheld", ended.all
    assert ended.verdicts["ratelimit/retry-after[POST /auth/login 10/60s]"] == "unproven"
    assert any("sees one address, whoever calls" in reason for reason in ended.reasons), ended.all
    assert "target: {start:" in ended.all
    assert ended.report["notes"] == [], "the administrator signs in with the password that was inherited"
    assert all(stacks.PASSWORD not in text for text in ended.files.values())


def lone(folder: Path, **api: Any) -> Path:
    """A Compose file with a service and nothing beside it."""
    (folder / "compose.yaml").write_text(json.dumps({"services": {"api": api}}))
    return folder


def test_a_service_that_ends_is_not_waited_for(tmp_path: Path, reference_image: str) -> None:
    secret = "much-too-short"
    folder = lone(tmp_path, image=reference_image, environment={"UPHELD_REFERENCE_JWT_KEY": secret})
    with pytest.raises(TargetDied, match="'api' was never ready: it ended with status 1") as caught:
        target(folder, port=8500).open()
    assert "at least 32 bytes" in str(caught.value)
    assert secret not in str(caught.value)


def test_a_part_that_ends_is_quoted(write: Write) -> None:
    folder = write()
    document = json.loads((folder / "compose.yaml").read_text())
    document["services"]["db"]["environment"] = {}
    (folder / "compose.yaml").write_text(json.dumps(document))
    with pytest.raises(TargetUnreachable, match="'db': it ended with status") as caught:
        target(folder).open()
    assert "POSTGRES_PASSWORD" in str(caught.value)


def test_a_port_that_somebody_else_takes(tmp_path: Path, reference_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lone(tmp_path, image=reference_image)
    with stacks.taken_first(monkeypatch) as taken, target(folder, port=8500) as running:
        assert not running.url.endswith(f":{taken}")
        assert ask(running.url, "/health").status == 200


@pytest.fixture
def no_image_is_left(engine: DockerClient) -> Iterator[Callable[[], list[str]]]:
    """The images that were built for targets, which are removed afterwards."""

    def built() -> list[str]:
        return [tag for image in engine.images.list() for tag in image.tags if tag.startswith("upheld-")]

    yield built
    for tag in built():
        engine.images.remove(tag)


def test_what_is_built_has_one_name(
    tmp_path: Path, reference_image: str, no_image_is_left: Callable[[], list[str]], engine: DockerClient
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {reference_image}\nENV UPHELD_REFERENCE_ADMIN_EMAIL=a@example.test\n")
    folder = lone(tmp_path, build=".")
    before = len(engine.images.list(filters={"dangling": True}))
    with target(folder, port=8500) as first, target(folder, port=8500) as second:
        assert ask(first.url, "/health").status == ask(second.url, "/health").status == 200
    assert len(no_image_is_left()) == 1
    assert len(engine.images.list(filters={"dangling": True})) == before


def test_interrupted_while_it_starts(write: Write, engine: DockerClient) -> None:
    folder = write()
    process = calls.start("check", folder, cwd=folder, env=stacks.environment())
    assert stacks.until(lambda: stacks.ours(engine) or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert stacks.left(engine) == []


def test_killed_while_it_starts(write: Write, engine: DockerClient) -> None:
    folder = write()
    process = calls.start("check", folder, cwd=folder, env=stacks.environment())
    assert stacks.until(lambda: stacks.ours(engine) or process.poll() is not None)
    process.kill()
    process.communicate(timeout=60)
    assert stacks.left(engine) == []
