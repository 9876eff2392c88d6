"""A service from an image, with the parts that it needs on a network of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from upheld.errors import UsageError
from upheld.targets.containers.container import Container, Hide, hiding
from upheld.targets.containers.engine import PATIENCE, asking
from upheld.targets.containers.target import InContainers, Stack, Started, Wanted, publishing

CLIENT = {"timeout": PATIENCE}


@dataclass(frozen=True)
class Part:
    """A container that stands before the service, and that it reaches by a name."""

    image: str
    env: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    ready: str | None = None


class Image(InContainers):
    """``image`` with its ``parts``, each by its name, in this order."""

    def __init__(self, image: str, wanted: Wanted, parts: Mapping[str, Part]) -> None:
        super().__init__(wanted)
        self.image = image
        self.parts = dict(parts)

    @property
    def name(self) -> str:
        return self.image

    def _start(self, stack: Stack) -> Started:
        env = self.wanted.whole_env
        of_parts = {f"{name}.{key}": value for name, part in self.parts.items() for key, value in part.env.items()}
        hide = hiding({**of_parts, **env}, self.wanted.inherited.values())
        port = self.wanted.port or self._only_port(stack)
        with asking("a network"):
            network = Network(CLIENT, {"labels": stack.labels}).create()
        others = [self._part(name, part, stack, network, hide) for name, part in self.parts.items()]
        stack.engine.image(self.image, self.wanted.tell, stack.over)

        def start(host_port: int) -> DockerContainer:
            made = _container(self.image, env, stack, network)
            # The engine's own client takes an address too.
            made.ports[f"{port}/tcp"] = (stack.engine.publishes_on, host_port)  # type: ignore[assignment]
            with publishing(), asking(self.image):
                try:
                    return made.start()
                except BaseException:
                    made.stop()
                    raise

        service, host_port = stack.on_a_free_port(start)
        return Started(Container(self.image, service.get_wrapped_container(), hide), others, host_port)

    def _part(self, name: str, part: Part, stack: Stack, network: Network, hide: Hide) -> Container:
        stack.engine.image(part.image, self.wanted.tell, stack.over)
        made = _container(part.image, part.env, stack, network, command=part.command).with_network_aliases(name)
        with asking(f"the part {name}"):
            made.start()
        container = Container(name, made.get_wrapped_container(), hide, part.ready)
        container.until_ready(self.wanted.within, stack.over)
        return container

    def _only_port(self, stack: Stack) -> int:
        attributes = stack.engine.image(self.image, self.wanted.tell, stack.over)
        exposed = (attributes.get("Config") or {}).get("ExposedPorts") or {}
        found = sorted(int(port.partition("/")[0]) for port in exposed if port.endswith("/tcp"))
        if len(found) != 1:
            has = f"exposes {', '.join(map(str, found))}" if found else "exposes none"
            raise UsageError(f"which port of {self.image} answers? The image {has}: say `target: {{port: …}}`")
        return found[0]


def _container(image: str, env: Mapping[str, str], stack: Stack, network: Network, **more: Any) -> DockerContainer:
    return DockerContainer(image, docker_client_kw=CLIENT, env=dict(env), network=network, labels=stack.labels, **more)
