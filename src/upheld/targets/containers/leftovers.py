"""What was made for one target and is taken away again. All of it has one label, so nothing else is ever touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from docker.errors import APIError, NotFound

if TYPE_CHECKING:
    from docker import DockerClient

LABEL = "upheld.target"
"""Of every container, network and volume; its value is the target's own."""


def labels(own: str) -> dict[str, str]:
    """The label of one target."""
    return {LABEL: own}


def remove(client: DockerClient, own: str) -> int:
    """Remove all that has the label, containers first and their anonymous volumes with them. How many things there were.

    Raises `docker.errors.APIError` for what the engine will not remove, and goes on with the rest before.
    """
    its = {"label": f"{LABEL}={own}"}
    refused: list[APIError] = []
    containers = client.containers.list(all=True, filters=its, ignore_removed=True)
    for container in containers:
        with _gone(refused):
            container.remove(force=True, v=True)
    networks = client.networks.list(filters=its)
    for network in networks:
        with _gone(refused):
            network.remove()
    volumes = client.volumes.list(filters=its)
    for volume in volumes:
        with _gone(refused):
            volume.remove(force=True)
    if refused:
        raise refused[0]
    return len(containers) + len(networks) + len(volumes)


@contextmanager
def _gone(refused: list[APIError]) -> Iterator[None]:
    try:
        yield
    except NotFound:
        pass
    except APIError as error:
        # Somebody else removes it at this moment, and it will be gone.
        if "already in progress" not in str(error):
            refused.append(error)
