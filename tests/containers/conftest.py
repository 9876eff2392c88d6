"""An engine that somebody named, and the images that stand in for those of registries: made once, kept by the engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import NoReturn

import pytest
from docker import DockerClient
from docker.errors import BuildError
from tests import services
from tests.containers import images
from tests.test_architecture import REPO

NEEDS = "needs a container engine: scripts/engine python -m pytest tests/containers"


def pytest_itemcollected(item: pytest.Item) -> None:
    # One process of several makes the images, and two processors have enough to do with one stack at a time.
    item.add_marker(pytest.mark.xdist_group("containers"))


def lacking(reason: str) -> NoReturn:
    if os.environ.get("UPHELD_TEST_REQUIRE_ENGINE") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def engine() -> DockerClient:
    """The engine at $DOCKER_HOST. One that nobody named is left alone, though it may answer."""
    if not os.environ.get("DOCKER_HOST"):
        lacking(NEEDS)
    try:
        return services.engine()
    except services.Unavailable as error:
        lacking(f"{NEEDS}; {error}")


def packed(engine: DockerClient, image: Callable[[], images.Image]) -> str:
    try:
        return images.made(engine, image())
    except services.Unavailable as error:
        lacking(str(error))


@pytest.fixture(scope="session")
def redis_image(engine: DockerClient) -> str:
    return packed(engine, images.redis)


@pytest.fixture(scope="session")
def postgres_image(engine: DockerClient) -> str:
    return packed(engine, images.postgres)


@pytest.fixture(scope="session")
def python_image(engine: DockerClient) -> str:
    """What the Dockerfile builds on, with all that pip would download."""
    return packed(engine, images.python)


@pytest.fixture(scope="session")
def reference_image(engine: DockerClient, python_image: str) -> str:
    """Built by this repository's Dockerfile: the backend on port 8500, and the command."""
    name = "local/upheld:test"
    try:
        engine.images.build(path=str(REPO), tag=name, buildargs={"PYTHON_IMAGE": python_image}, rm=True)
    except BuildError as error:
        pytest.fail("".join(str(line.get("stream", "")) for line in error.build_log) + str(error), pytrace=False)
    return name


@pytest.fixture(scope="session")
def compose_plugin(engine: DockerClient) -> None:
    said = subprocess.run(["docker", "compose", "version", "--short"], capture_output=True, text=True)
    if said.returncode or not said.stdout.lstrip("v").startswith("2"):
        lacking(f"needs Compose 2 as a plugin of the docker command: {said.stdout or said.stderr}".strip())
