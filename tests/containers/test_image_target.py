"""``target.image`` with its parts, on a network of their own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from tests.containers import stacks
from tests.live import calls

from upheld.contract.sections.running import Target
from upheld.errors import TargetDied, TargetUnreachable, UsageError
from upheld.targets import open_target
from upheld.targets.http import ask

pytestmark = pytest.mark.live


@pytest.fixture(autouse=True)
def nothing_is_left(engine: DockerClient) -> Iterator[None]:
    yield
    assert stacks.ours(engine) == []


@pytest.fixture
def shop(reference_image: str, postgres_image: str, redis_image: str) -> dict[str, Any]:
    return {
        "image": reference_image,
        "parts": stacks.parts(postgres_image, redis_image),
        "env": stacks.DATABASE,
        "health": "/health",
        "store": {"part": "redis"},
        "ready_within": stacks.LONG,
    }


def opened(said: dict[str, Any], **more: Any) -> Any:
    return open_target(Target.model_validate({**said, **more}))


def test_it_reaches_its_parts_and_is_started_again_where_it_was(shop: dict[str, Any], engine: DockerClient) -> None:
    with opened(shop) as running:
        url = running.url
        assert ask(url, "/api/v1/products").status == 200, "the port that the image exposes, and a database"
        assert running.alive()
        running.restart()
        assert running.url == url
        assert ask(url, "/api/v1/products").status == 200
        (redis,) = [
            one for one in engine.containers.list() if one.attrs["Config"]["Image"] == shop["parts"]["redis"]["image"]
        ]
        running.store.down()
        assert engine.containers.get(redis.id).status == "exited"
        running.store.up()
        assert engine.containers.get(redis.id).status == "running"
        assert "/api/v1/products" in running.output
        assert len(stacks.ours(engine)) == 4, "three containers and a network"
    assert not running.alive()
    assert "/api/v1/products" in running.output, "reports quote it later"


def test_two_stand_side_by_side_where_nobody_else_does(shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    alone = {"image": shop["image"], "ready_within": stacks.LONG}
    with stacks.taken_first(monkeypatch) as taken, opened(alone) as first, opened(alone) as second:
        assert len({first.url, second.url, f"http://127.0.0.1:{taken}"}) == 3
        assert ask(first.url, "/health").status == ask(second.url, "/health").status == 200


def test_a_service_that_ends_is_not_waited_for(shop: dict[str, Any]) -> None:
    with pytest.raises(TargetDied, match="was never ready: it ended with status 1") as caught:
        opened(shop, env={"UPHELD_REFERENCE_JWT_KEY": "much-too-short"}, parts={}, store=None).open()
    assert "at least 32 bytes" in str(caught.value)
    assert "much-too-short" not in str(caught.value)


def test_a_part_that_ends_is_not_waited_for_either(shop: dict[str, Any]) -> None:
    shop["parts"]["db"]["env"] = {}
    with pytest.raises(TargetDied, match="'db' was never ready: it ended with status") as caught:
        opened(shop).open()
    assert "POSTGRES_PASSWORD" in str(caught.value)


def test_an_image_that_exposes_nothing(shop: dict[str, Any], python_image: str) -> None:
    with pytest.raises(UsageError, match=r"The image exposes none: say `target: \{port: …\}`"):
        opened({"image": python_image}).open()


def test_an_image_that_is_nowhere() -> None:
    said: list[str] = []
    name = "local/there-is-no-such-image:1"
    nowhere = open_target(Target(image=name), tell=said.append)
    with pytest.raises(TargetUnreachable, match=f"{name} .*cannot be pulled"):
        nowhere.open()
    assert said == [f"pulling the image {name}, which is not here yet"]


def test_killed_while_it_runs(shop: dict[str, Any], tmp_path: Path, engine: DockerClient) -> None:
    folder = stacks.contract(tmp_path / "contract", shop)
    process = calls.start("check", folder, cwd=tmp_path, env=stacks.environment())
    assert stacks.until(lambda: len(stacks.ours(engine)) == 4 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert stacks.until(lambda: not stacks.ours(engine)), stacks.ours(engine)
