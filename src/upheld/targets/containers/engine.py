"""The container engine: where it is, where the ports that it publishes are reached, which images it has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.docker_client import DockerClient, get_docker_host

from upheld.errors import TargetError, TargetUnreachable, UsageError
from upheld.targets.url import checked, is_loopback

Tell = Callable[[str], None]
"""Shows a sentence to whoever waits."""

# Another image to pull, and the engine's socket inside of it; what is left behind is removed by `warden`.
testcontainers_config.ryuk_disabled = True

DEFAULT = "unix:///var/run/docker.sock"
PATIENCE = 60
"""Seconds without a sign of life from the engine."""


class Engine:
    """A connection to the engine that Docker's own tools would take: DOCKER_HOST, else their context, else the socket.

    Raises `TargetUnreachable` when there is none, `UsageError` when it is on a host that is not allowed.
    """

    def __init__(self, allow_hosts: Iterable[str] = ()) -> None:
        self.address = get_docker_host() or DEFAULT
        self.host = _reached_at(self.address)
        checked(f"http://{self.host}", allow_hosts)
        self.publishes_on = "127.0.0.1" if is_loopback(self.host) else "0.0.0.0"
        try:
            self.client: docker.DockerClient = DockerClient(timeout=PATIENCE).client
            self.client.ping()
        except (DockerException, OSError) as error:
            raise TargetUnreachable(
                f"no container engine at {self.address}: {_why(error)}. Start one (Docker, or `podman system service`), or say "
                "with DOCKER_HOST where it is"
            ) from error

    def url(self, port: int) -> str:
        """Where a published port is reached."""
        return f"http://{self.host}:{port}"

    def image(self, name: str, tell: Tell, ended: threading.Event) -> Mapping[str, Any]:
        """What the engine says of an image, pulled where it is not there. Raises `TargetUnreachable`.

        Where testcontainers is told to put something before all names, such as a mirror, that is the image.
        """
        name = f"{testcontainers_config.hub_image_name_prefix}{name}"
        with asking(f"the image {name}"):
            try:
                found = self.client.images.get(name)
            except ImageNotFound:
                self._pull(name, tell, ended)
                found = self.client.images.get(name)
            attributes: Mapping[str, Any] = found.attrs
            return attributes

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those images that the engine would have to pull."""

        def is_here(name: str) -> bool:
            try:
                self.client.images.get(name)
            except ImageNotFound:
                return False
            return True

        with asking("its images"):
            return [name for name in dict.fromkeys(names) if not is_here(name)]

    def _pull(self, name: str, tell: Tell, ended: threading.Event) -> None:
        tell(f"pulling the image {name}, which is not here yet")
        repository, tag = _tagged(name)
        try:
            for step in self.client.api.pull(repository, tag=tag, stream=True, decode=True):
                if ended.is_set():
                    raise TargetUnreachable(f"the pull of {name} was interrupted")
                if "error" in step:
                    raise TargetUnreachable(f"the image {name} cannot be pulled: {step['error']}")
        except (DockerException, OSError) as error:
            raise TargetUnreachable(f"the image {name} is not here and cannot be pulled: {_why(error)}") from error

    def close(self) -> None:
        self.client.close()


@contextmanager
def asking(what: str) -> Iterator[None]:
    """What the engine answers to a question of ours becomes a `TargetUnreachable`."""
    try:
        yield
    except TargetError:
        raise
    except (DockerException, OSError) as error:
        raise TargetUnreachable(f"the container engine, asked about {what}: {_why(error)}") from error


def _reached_at(address: str) -> str:
    if testcontainers_config.tc_host_override:
        return testcontainers_config.tc_host_override
    try:
        host = urlsplit(address).hostname if address.startswith(("tcp:", "http:", "https:", "ssh:")) else None
    except ValueError as error:
        raise UsageError(f"DOCKER_HOST {address!r} is no address: {error}") from error
    # Ports are published on IPv4, and the name localhost may mean IPv6.
    return "127.0.0.1" if host is None or is_loopback(host) else host


def _tagged(name: str) -> tuple[str, str]:
    """``redis:7-alpine`` → (``redis``, ``7-alpine``). A registry's port is no tag, a digest is one."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")


def _why(error: BaseException) -> str:
    """The innermost reason, in words."""
    reasons = [error]
    while inner := _below(reasons[-1]):
        if inner in reasons:
            break
        reasons.append(inner)
    for reason in reversed(reasons):
        if isinstance(reason, FileNotFoundError):
            return "there is no such socket"
        if isinstance(reason, PermissionError):
            return "this user may not open it (on Linux, members of the group docker may)"
        if isinstance(reason, ConnectionRefusedError):
            return "nothing listens there"
        if isinstance(reason, APIError) and reason.explanation:
            return str(reason.explanation).strip()
    return str(reasons[-1]) or type(reasons[-1]).__name__


def _below(error: BaseException) -> BaseException | None:
    given = next((part for part in error.args if isinstance(part, BaseException)), None)
    return given or error.__cause__ or error.__context__
