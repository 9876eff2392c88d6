"""The Compose file that is run in place of the author's: his, resolved by Compose itself, and so that it touches nothing of his.

A document is what ``docker compose config --format json`` prints. Nothing here is read or started.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from upheld.errors import UsageError

Document = Mapping[str, Any]

KEEPS_DATA = re.compile(r"^/(var/lib|data|bitnami)(/|$)|/data$")
"""Where images of databases keep what they store, so that a folder mounted there is somebody's data."""
OTHERS_NETWORK = re.compile(r"^(host|none|service:.+|container:.+)$")


def entry(document: Document, service: str | None, port: int | None) -> tuple[str, int]:
    """(the service that answers, its port inside the container). Raises `UsageError` where upheld.yaml has to say which."""
    services = document.get("services") or {}
    if service is not None and service not in services:
        known = ", ".join(services) or "none"
        raise UsageError(f"target.service: the Compose file has no service {service!r}; it has {known}")
    name = service or _only(services, port)
    mode = str(services[name].get("network_mode") or "")
    if OTHERS_NETWORK.match(mode):
        raise UsageError(
            f"target.service: {name!r} has network_mode {mode}, so that no port of its own can be published"
        )
    ports = list(dict.fromkeys((*_published(services[name]), *_exposed(services[name]))))
    if port is None and len(ports) != 1:
        has = f"has the ports {', '.join(map(str, ports))}" if ports else "names none"
        raise UsageError(f"which port of {name!r} answers? The Compose file {has}: say `target: {{port: …}}`")
    return name, port or ports[0]


def _only(services: Mapping[str, Any], port: int | None) -> str:
    """The only service that publishes a port, or where none does the only one that exposes one; ``port`` where it is known."""
    for ports in (_published, _exposed):
        found = [name for name, one in services.items() if ports(one)]
        if len(found) > 1 and port is not None:
            found = [name for name in found if port in ports(services[name])]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"which service answers? {', '.join(found)} have ports: say `target: {{service: {found[0]}}}`"
            )
    if len(services) == 1:
        return next(iter(services))
    known = ", ".join(services) or "none at all"
    raise UsageError(f"which service answers? The Compose file has {known}: say `target: {{service: …, port: …}}`")


def _published(service: Mapping[str, Any]) -> list[int]:
    ports = (port for port in service.get("ports") or () if port.get("protocol", "tcp") == "tcp")
    return [int(port["target"]) for port in ports]


def _exposed(service: Mapping[str, Any]) -> list[int]:
    return [number for text in service.get("expose") or () for number in _numbers(str(text))]


def _numbers(text: str) -> Iterator[int]:
    """``8000``, ``8000/tcp`` and ``8000-8002``."""
    numbers, _, protocol = text.partition("/")
    if protocol in ("", "tcp"):
        first, _, last = numbers.partition("-")
        yield from range(int(first), int(last or first) + 1)


def images(document: Document) -> tuple[str, ...]:
    """The images that are not built."""
    services = document["services"].values()
    return tuple(dict.fromkeys(str(one["image"]) for one in services if "build" not in one and one.get("image")))


def built(document: Document) -> tuple[str, ...]:
    """The services that are."""
    return tuple(name for name, one in document["services"].items() if "build" in one)


def environment(document: Document, outside: Mapping[str, str]) -> dict[str, str]:
    """What all services will find in their environments, for nobody to print. One without a value has that of ``outside``."""
    services = document["services"].items()
    return {
        f"{name}.{key}": outside.get(key, "") if value is None else str(value).replace("$$", "$")
        for name, one in services
        for key, value in (one.get("environment") or {}).items()
    }


def isolated(document: Document, *, project: str, builds: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """A copy that stands beside the author's own stack and beside others like it, and can be removed whole.

    No container has a name or a port of the host; networks and volumes are named after ``project``. What the author has stored is
    not used: a volume of his that is written to, and a folder mounted where a database keeps its data, are replaced by empty
    volumes. An image that is built and has no name is called after ``builds``, so that building again gives no further name.
    """
    made: dict[str, Any] = copy.deepcopy(dict(document))
    made["name"] = project
    written = _written(made)
    volumes = made["volumes"] = {
        name: {} if name in written and _is_stored(one or {}) else dict(one or {})
        for name, one in (made.get("volumes") or {}).items()
    }
    networks = made["networks"] = {name: dict(one or {}) for name, one in (made.get("networks") or {}).items()}
    for kind in (volumes, networks):
        for name, one in kind.items():
            if not one.get("external"):
                one |= {"name": f"{project}_{name}", "labels": {**(one.get("labels") or {}), **labels}}
    for name, service in made["services"].items():
        service.pop("container_name", None)
        service.pop("ports", None)
        service["labels"] = {**(service.get("labels") or {}), **labels}
        service["volumes"] = [_thrown_away(mount) for mount in service.get("volumes") or ()]
        if "build" in service:
            service.setdefault("image", f"{builds}-{name}".lower())
    return made


def _written(document: Mapping[str, Any]) -> set[str]:
    """Names of volumes that some service may write to."""
    mounts = (mount for one in document["services"].values() for mount in one.get("volumes") or ())
    return {
        mount["source"]
        for mount in mounts
        if mount["type"] == "volume" and mount.get("source") and not mount.get("read_only")
    }


def _is_stored(volume: Mapping[str, Any]) -> bool:
    """What is in it was there before: it is external, or a folder or share by another name."""
    device = str((volume.get("driver_opts") or {}).get("device", ""))
    return bool(volume.get("external")) or device.startswith(("/", ":"))


def _thrown_away(mount: Mapping[str, Any]) -> Mapping[str, Any]:
    stored = mount["type"] == "bind" and not mount.get("read_only") and KEEPS_DATA.search(mount["target"].rstrip("/"))
    return {"type": "volume", "target": mount["target"]} if stored else mount


def answering(
    document: Mapping[str, Any], service: str, port: int, *, at: tuple[str, int], env: Mapping[str, str]
) -> dict[str, Any]:
    """A copy of an `isolated` document in which one container of ``service``, with ``env`` too, is published ``at`` an address and
    port of the host."""
    made: dict[str, Any] = copy.deepcopy(dict(document))
    one = made["services"][service]
    address, number = at
    one["ports"] = [
        {"mode": "ingress", "target": port, "published": str(number), "host_ip": address, "protocol": "tcp"}
    ]
    one.pop("scale", None)
    (one.get("deploy") or {}).pop("replicas", None)
    # Compose fills in variables once more when it reads this.
    one["environment"] = {
        **(one.get("environment") or {}),
        **{key: value.replace("$", "$$") for key, value in env.items()},
    }
    return made
