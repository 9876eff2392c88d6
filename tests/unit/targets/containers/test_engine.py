"""An engine that is not there, or not where we may go."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound
from testcontainers.core.config import testcontainers_config

from upheld.errors import TargetUnreachable, UsageError
from upheld.targets.containers import engine
from upheld.targets.containers.engine import Engine, asking
from upheld.targets.ports import free_port


@pytest.fixture(autouse=True)
def no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testcontainers_config, "tc_host_override", None)


def test_no_reaper_is_pulled() -> None:
    assert testcontainers_config.ryuk_disabled


def test_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(
        TargetUnreachable, match=r"no container engine at unix://.*none\.sock: there is no such socket\. Start"
    ):
        Engine()


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://localhost:{free_port()}")
    with pytest.raises(TargetUnreachable, match="nothing listens there"):
        Engine()


def test_an_engine_elsewhere_has_to_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker:2375")
    with pytest.raises(UsageError, match="--allow-host docker"):
        Engine()


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://[::1")
    with pytest.raises(UsageError, match="is no address"):
        Engine()


@pytest.mark.parametrize(
    ("address", "allowed", "host", "publishes_on"),
    [
        ("unix:///run/docker.sock", (), "127.0.0.1", "127.0.0.1"),
        ("tcp://localhost:2375", (), "127.0.0.1", "127.0.0.1"),
        ("tcp://docker:2375", ("docker",), "docker", "0.0.0.0"),
        ("ssh://me@build.example.test", ("build.example.test",), "build.example.test", "0.0.0.0"),
    ],
)
def test_where_ports_are_published_and_reached(
    address: str, allowed: tuple[str, ...], host: str, publishes_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = SimpleNamespace(ping=lambda: True)
    monkeypatch.setattr(engine, "DockerClient", lambda **_: SimpleNamespace(client=client))
    monkeypatch.setenv("DOCKER_HOST", address)
    made = Engine(allowed)
    assert (made.host, made.publishes_on, made.url(8000)) == (host, publishes_on, f"http://{host}:8000")


class Images:
    """Of an engine that has none of them until they are pulled."""

    def __init__(self, *steps: dict[str, Any]) -> None:
        self.steps = steps
        self.pulled: list[tuple[str, str]] = []

    def get(self, name: str) -> Any:
        if not self.pulled:
            raise ImageNotFound(name)
        return SimpleNamespace(attrs={"Id": name})

    def pull(self, repository: str, tag: str, **_: Any) -> Any:
        self.pulled.append((repository, tag))
        return iter(self.steps)


@pytest.fixture
def with_images(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(images: Images) -> Engine:
        client = SimpleNamespace(ping=lambda: True, images=images, api=images)
        monkeypatch.setattr(engine, "DockerClient", lambda **_: SimpleNamespace(client=client))
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        return Engine()

    return make


@pytest.mark.parametrize(
    ("name", "repository", "tag"),
    [
        ("redis", "redis", "latest"),
        ("redis:7-alpine", "redis", "7-alpine"),
        ("host.test:5000/a/b", "host.test:5000/a/b", "latest"),
        ("host.test:5000/a/b:c", "host.test:5000/a/b", "c"),
        ("redis@sha256:ab", "redis", "sha256:ab"),
    ],
)
def test_an_image_that_is_not_there_is_pulled_and_that_is_said(
    name: str, repository: str, tag: str, with_images: Any
) -> None:
    images, said = Images({"status": "Pulling"}), list[str]()
    assert with_images(images).image(name, said.append, threading.Event()) == {"Id": name}
    assert images.pulled == [(repository, tag)]
    assert said == [f"pulling the image {name}, which is not here yet"]


def test_an_image_that_cannot_be_pulled(with_images: Any) -> None:
    made = with_images(Images({"error": "manifest unknown"}))
    with pytest.raises(TargetUnreachable, match="the image shop:9 cannot be pulled: manifest unknown"):
        made.image("shop:9", print, threading.Event())


def test_a_pull_ends_when_the_target_is_left(with_images: Any) -> None:
    over = threading.Event()
    over.set()
    with pytest.raises(TargetUnreachable, match="interrupted"):
        with_images(Images({"status": "Pulling"}, {"status": "Pulling"})).image("shop", print, over)


def test_which_images_are_missing(with_images: Any) -> None:
    assert with_images(Images()).missing(["redis", "postgres", "redis"]) == ["redis", "postgres"]


def test_what_the_engine_refuses_is_no_traceback() -> None:
    with pytest.raises(TargetUnreachable, match="asked about a start of db: no space left"), asking("a start of db"):
        raise APIError("500 Server Error", explanation="no space left")
