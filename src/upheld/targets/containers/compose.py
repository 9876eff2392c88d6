"""A service of a Compose file, with everything else in it, apart from the author's own stack."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import tempfile
import threading
from functools import cached_property
from pathlib import Path

from testcontainers.compose import DockerCompose

from upheld.errors import TargetUnreachable, UsageError
from upheld.targets.containers import document
from upheld.targets.containers.container import Container, Hide, hiding, in_trouble
from upheld.targets.containers.engine import asking
from upheld.targets.containers.leftovers import LABEL
from upheld.targets.containers.target import InContainers, PortTaken, Stack, Started, Wanted, publishing
from upheld.targets.process import Process

RESOLVES_WITHIN = 60.0
GRACE = 2.0
"""Seconds for a command of Compose to end when it is told to; shorter than a warden waits for what is still coming."""
SERVICE = "com.docker.compose.service"
NO_PLUGIN = (
    "is not a docker command",
    "unknown command: docker compose",
    "unknown shorthand flag",
    "unknown flag: --project",
)
MISSING = "target.compose needs Docker Compose 2 as a plugin of the command `docker`"
_building = threading.Lock()
"""Two profiles that build one image at once would each make it, and leave one of the two behind without a name."""


class Compose(InContainers):
    """``service`` of the Compose file ``file``; None for the only one that has a port."""

    def __init__(self, file: Path, wanted: Wanted, service: str | None = None) -> None:
        super().__init__(wanted)
        self.file = file
        self.service = service
        if not file.is_file():
            raise UsageError(f"target.compose: {file} is not there")

    @property
    def name(self) -> str:
        return f"{self.file.name} {self.service}" if self.service else self.file.name

    def _start(self, stack: Stack) -> Started:
        env = self.wanted.whole_env
        resolved = _Project(stack, self.file, self.file.parent).resolved()
        service, port = document.entry(resolved, self.service, self.wanted.port)
        self._find_store(resolved)
        hide = hiding({**document.environment(resolved, os.environ), **env}, self.wanted.inherited.values())
        folder = hashlib.sha256(os.fsencode(self.file.resolve())).hexdigest()[:10]
        own = document.isolated(resolved, project=stack.name, builds=f"upheld-{folder}", labels=stack.labels)
        project = _Project(stack, stack.scratch / "compose.json", self.file.parent, hide)
        for name in stack.engine.missing(document.images(own)):
            self.wanted.tell(f"pulling the image {name}, which is not here yet")
        builds = document.built(own)

        def start(host_port: int) -> None:
            at = (stack.engine.publishes_on, host_port)
            project.write(document.answering(own, service, port, at=at, env=env))
            if builds:
                with _building:
                    self.wanted.tell(f"building {', '.join(builds)}")
                    project.make()
            try:
                with publishing():
                    project.start()
            except PortTaken:
                stack.clear()
                raise
            except TargetUnreachable as error:
                raise TargetUnreachable(f"{error}{in_trouble(_containers(stack, hide))}") from error

        _, host_port = stack.on_a_free_port(start)
        containers = _containers(stack, hide)
        answers = next((one for one in containers if one.name == service), None)
        if answers is None:
            raise TargetUnreachable(f"Compose has started no container of {service!r}")
        return Started(answers, [one for one in containers if one is not answers], host_port)

    def _find_store(self, resolved: document.Document) -> None:
        store, services = self.wanted.store, resolved["services"]
        if store is not None and store not in services:
            raise UsageError(f"target.store: the Compose file has no service {store!r}; it has {', '.join(services)}")


def _containers(stack: Stack, hide: Hide) -> list[Container]:
    with asking("the containers of the Compose file"):
        found = stack.engine.client.containers.list(all=True, filters={"label": f"{LABEL}={stack.name}"})
    return [Container(raw.labels[SERVICE], raw, hide) for raw in found if SERVICE in raw.labels]


class _Project(DockerCompose):
    """One Compose file as one project, whatever the environment or the file call it."""

    def __init__(self, stack: Stack, file: Path, folder: Path, hide: Hide = str) -> None:
        super().__init__(context=folder, compose_file_name=str(file), wait=False)
        self._stack = stack
        self._file = file
        self._hide = hide

    @cached_property
    def compose_command_property(self) -> list[str]:
        command: list[str] = super().compose_command_property
        return [*command, "--project-name", self._stack.name, "--project-directory", str(self.context)]

    def resolved(self) -> document.Document:
        """The file as Compose understands it. Raises `UsageError` with its complaint."""
        command = [*self.compose_command_property, "config", "--format", "json"]
        try:
            # Not by `get_config`, which warns of itself. Standard error apart: it may hold warnings beside a good document.
            ended = subprocess.run(
                command, cwd=self.context, env=_environment(), capture_output=True, text=True, timeout=RESOLVES_WITHIN
            )
        except FileNotFoundError as error:
            raise UsageError(f"{MISSING}, and there is no {command[0]} on PATH") from error
        except subprocess.TimeoutExpired as error:
            raise UsageError(f"`{command[0]} compose config` did not end within {RESOLVES_WITHIN:g} s") from error
        if ended.returncode:
            if any(words in ended.stderr for words in NO_PLUGIN):
                raise UsageError(
                    f"{MISSING}, and it is not installed (Debian: docker-compose-v2 or docker-compose-plugin)"
                )
            raise UsageError(f"target.compose: {ended.stderr.strip()}")
        made: document.Document = json.loads(ended.stdout)
        return made

    def write(self, made: document.Document) -> None:
        """Make ``made`` the file that is run. It holds what the author's variables held."""
        self._file.touch(mode=0o600)
        self._file.write_text(json.dumps(made), encoding="utf-8")

    def make(self) -> None:
        """Build what is built. Raises `TargetUnreachable`."""
        self._run_command([*self.compose_command_property, "build"])

    def _run_command(self, cmd: str | list[str], context: str | None = None) -> subprocess.CompletedProcess[bytes]:
        """As a process that ends with us, and when the target is left meanwhile."""
        argv = cmd if isinstance(cmd, list) else shlex.split(cmd)
        verb = argv[len(self.compose_command_property)]
        scratch = Path(tempfile.mkdtemp(dir=self._stack.scratch))
        process = Process(argv, scratch=scratch, cwd=Path(self.context), env=_environment(), grace=GRACE)
        try:
            while process.returncode is None and not self._stack.over.wait(0.05):
                pass
            said, ended = process.output(), process.ended
            if self._stack.over.is_set():
                raise TargetUnreachable(f"`docker compose {verb}` was stopped while the target was being started")
            if process.returncode != 0:
                last = "\n".join(f"  | {line}" for line in self._hide(said).strip().splitlines()[-20:])
                raise TargetUnreachable(f"`docker compose {verb}`: {ended}\n{last}")
        finally:
            process.stop()
        return subprocess.CompletedProcess(argv, 0, said.encode(), b"")


def _environment() -> dict[str, str]:
    """Ours, without what would name another project or other files."""
    return {name: value for name, value in os.environ.items() if name not in ("COMPOSE_PROJECT_NAME", "COMPOSE_FILE")}
