"""The reference in containers as a stranger would have it: a contract, a Compose file, an image with parts."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from docker import DockerClient

from upheld.run.prepare import bundled
from upheld.targets import ports
from upheld.targets.containers.leftovers import LABEL

PASSWORD = "geheim-im-test"
DATABASE = {
    "UPHELD_REFERENCE_DATABASE_URL": f"postgresql+asyncpg://postgres:{PASSWORD}@db/postgres",
    "UPHELD_REFERENCE_REDIS_URL": "redis://redis:6379/0",
    "UPHELD_REFERENCE_BCRYPT_COST": "4",
}
PROFILES = {"raised": {"env": {"UPHELD_REFERENCE_PROFILE": "raised"}}}
INHERITED = ("UPHELD_REFERENCE_ADMIN_PASSWORD", "UPHELD_REFERENCE_JWT_KEY")
READY = {"db": "pg_isready -h 127.0.0.1 -U postgres", "redis": "redis-cli ping"}
LONG = "600s"
"""Nobody waits so long in a test: what has failed has to be noticed before."""


def compose_file(reference: str, postgres: str, redis: str, **api: Any) -> dict[str, Any]:
    """As a developer has it, with names and ports of this host and volumes that are his; ``api`` says otherwise."""

    def healthy(command: str) -> dict[str, Any]:
        return {"test": command, "interval": "500ms", "timeout": "5s", "retries": 60}

    own = {"environment": DATABASE, "ports": ["8500:8500"], "container_name": "shop_api", "image": reference}
    needs = {"db": {"condition": "service_healthy"}, "redis": {"condition": "service_healthy"}}
    return {
        "name": "shop",
        "services": {
            "api": {key: value for key, value in {**own, "depends_on": needs, **api}.items() if value is not None},
            "db": {
                "image": postgres,
                "environment": {"POSTGRES_PASSWORD": PASSWORD},
                "volumes": ["data:/var/lib/postgresql", "archive:/archive"],
                "healthcheck": healthy(READY["db"]),
            },
            "redis": {"image": redis, "healthcheck": healthy(READY["redis"])},
            # Such a one ends, and that is no trouble.
            "migrate": {"image": redis, "command": "sh -c 'exit 0'"},
        },
        "volumes": {"data": {"name": "shopdata"}, "archive": {"name": "shoparchive", "external": True}},
    }


def parts(postgres: str, redis: str) -> dict[str, Any]:
    """The same beside an image."""
    return {
        "db": {"image": postgres, "env": {"POSTGRES_PASSWORD": PASSWORD}, "ready": READY["db"]},
        "redis": {"image": redis, "ready": READY["redis"]},
    }


def contract(folder: Path, target: Mapping[str, Any]) -> Path:
    """The reference's own contract with this target."""
    policy = yaml.safe_load((bundled() / "upheld.yaml").read_text())
    policy["target"] = {"health": "/health", "served_spec": "/openapi.json", "ready_within": LONG, **target}
    policy["rate_limit"]["on_restart"] = "keep"
    folder.mkdir(exist_ok=True)
    (folder / "upheld.yaml").write_text(json.dumps(policy))
    (folder / "openapi.yaml").write_text((bundled() / "openapi.yaml").read_text())
    return folder


def ours(engine: DockerClient) -> list[str]:
    """What there is of what was made for targets: containers, networks, volumes."""
    its = {"label": LABEL}
    containers = engine.containers.list(all=True, filters=its, ignore_removed=True)
    return [
        *(f"container {one.name}" for one in containers),
        *(f"network {one.name}" for one in engine.networks.list(filters=its)),
        *(f"volume {one.name}" for one in engine.volumes.list(filters=its)),
    ]


def until(there: Callable[[], object], seconds: float = 60.0) -> bool:
    """Whether it comes to be so."""
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def left(engine: DockerClient) -> list[str]:
    """What there still is when the last warden of an interrupted run has gone: what was about to be made then comes later."""
    name = "upheld.targets.containers.warden"

    def wardens() -> bool:
        return any(name in (one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))

    assert until(lambda: not wardens())
    return ours(engine)


@contextmanager
def taken_first(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port on which somebody listens is the first that is chosen."""
    choose = ports.free_port
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port: int = listener.getsockname()[1]
        first = iter([port])
        monkeypatch.setattr(ports, "free_port", lambda: next(first, 0) or choose())
        yield port


def environment() -> dict[str, str]:
    """With what the contract names and its containers inherit."""
    return {**os.environ, **dict.fromkeys(INHERITED, "for-this-test-only-and-nothing-else-at-all")}
