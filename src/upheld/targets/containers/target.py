"""What targets in containers share: one label for all that is made, one way to start, restart and leave."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from docker.errors import DockerException

from upheld.errors import TargetError, TargetUnreachable, UpheldError, UsageError
from upheld.targets import ports
from upheld.targets.base import Capability, Running, Target
from upheld.targets.containers.container import Container, Outage, in_trouble
from upheld.targets.containers.engine import Engine, Tell, asking
from upheld.targets.containers.leftovers import labels, remove
from upheld.targets.containers.warden import Warden
from upheld.targets.http import ask

T = TypeVar("T")
STARTS = 4
GRACE = 5
"""Seconds for the service to end when it is left."""
TAKEN = ("port is already allocated", "address already in use", "ports are not available")


@dataclass(frozen=True)
class Wanted:
    """What upheld.yaml says of a target in containers, for one profile."""

    port: int | None
    """Inside the container; None for the only one that there is."""
    paths: Sequence[str]
    """It is healthy when one of them answers 2xx to 4xx."""
    env: Mapping[str, str] = field(default_factory=dict)
    inherit: Sequence[str] = ()
    store: str | None = None
    """The part or service that keeps its counters."""
    within: float = 60.0
    """Seconds until it has to be healthy, and each part before it."""
    can: frozenset[Capability] = frozenset()
    allow_hosts: frozenset[str] = frozenset()
    tell: Tell = lambda _: None

    @property
    def inherited(self) -> dict[str, str]:
        """Variables of this process. Raises `UsageError` for one that is not set."""
        if missing := [name for name in self.inherit if name not in os.environ]:
            raise UsageError(f"target.inherit: {', '.join(missing)} is not set in this environment")
        return {name: os.environ[name] for name in self.inherit}

    @property
    def whole_env(self) -> dict[str, str]:
        """What the service's container is given."""
        return {**self.inherited, **self.env}


class PortTaken(TargetUnreachable):
    """Somebody else has the port of the host that we chose."""


@contextlib.contextmanager
def publishing() -> Iterator[None]:
    """A port that the engine cannot have becomes a `PortTaken`."""
    try:
        yield
    except TargetError as error:
        if any(words in str(error).lower() for words in TAKEN):
            raise PortTaken(str(error)) from error
        raise


class Stack:
    """Where the containers, networks and volumes of one entered target belong: they go with it, or when we are killed."""

    def __init__(self, allow_hosts: Iterable[str]) -> None:
        self.engine = Engine(allow_hosts)
        self.name = f"upheld-{secrets.token_hex(5)}"
        self.labels = labels(self.name)
        self.over = threading.Event()
        """Set when it is to be left, perhaps by another thread than the one that starts it."""
        self.opening = threading.RLock()
        self.scratch = Path(tempfile.mkdtemp(prefix="upheld-containers-"))
        self._warden = Warden(self.name, self.scratch)

    def clear(self) -> None:
        """Remove what was made, not the stack itself. Raises `TargetUnreachable` where the engine refuses."""
        with asking("the removal of what was started"):
            remove(self.engine.client, self.name)

    def close(self, *, complete: bool = True) -> None:
        """Remove everything. May be called twice.

        What the engine does not give away now is left to the warden, and so is what it may still be making of a start that was
        not ``complete``.
        """
        try:
            remove(self.engine.client, self.name)
            if complete:
                self._warden.dismiss()
        except (DockerException, OSError):
            pass
        finally:
            self._warden.leave()
            self.engine.close()
            shutil.rmtree(self.scratch, ignore_errors=True)

    def on_a_free_port(self, start: Callable[[int], T]) -> tuple[T, int]:
        """``start`` with a port of the host that nobody has: what it gives, and the port."""
        for _ in range(STARTS - 1):
            port = ports.free_port()
            with contextlib.suppress(PortTaken):
                return start(port), port
        port = ports.free_port()
        return start(port), port


@dataclass(frozen=True)
class Started:
    """What a kind of target has started."""

    service: Container
    others: Sequence[Container]
    port: int
    """Of the host."""


class InContainers(Target):
    """A service that runs in a container of its own, with what it needs beside it."""

    sees_addresses = False

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.can = wanted.can | {"restart", "logs"}
        self._stack: Stack | None = None
        self._running: _Running | None = None

    @abstractmethod
    def _start(self, stack: Stack) -> Started:
        """Make everything, with the labels of the stack. Raises `TargetError`, `UsageError`."""

    def open(self) -> Running:
        if self._stack is not None:
            raise UsageError(f"{self.name} is already running; a target is entered once")
        stack = self._stack = Stack(self.wanted.allow_hosts)
        with stack.opening:
            try:
                self._running = running = _Running(self.wanted, stack, self._start(stack), self.can)
                running.until_it_answers()
            except BaseException as error:
                # Here, and not only in `close`: whoever closes it meanwhile cannot know what is still made.
                interrupted = stack.over.is_set() or not isinstance(error, UpheldError)
                stack.over.set()
                stack.close(complete=not interrupted)
                raise
        return running

    def close(self) -> None:
        stack, self._stack = self._stack, None
        running, self._running = self._running, None
        if stack is None:
            return
        stack.over.set()
        with stack.opening:
            if running is not None:
                running.leave()
            stack.close()


class _Running(Running):
    """The service while it is entered, over its restarts."""

    sees_addresses = False

    def __init__(self, wanted: Wanted, stack: Stack, started: Started, can: frozenset[Capability]) -> None:
        self.can = can
        self.env = MappingProxyType[str, str]({})
        self.url = stack.engine.url(started.port)
        self._wanted = wanted
        self._service = started.service
        self._others = started.others
        self._over = stack.over
        self._last_words: str | None = None
        stores = [one for one in started.others if one.name == wanted.store]
        self.store = Outage(stores, wanted.within) if stores else None

    @property
    def output(self) -> str:
        return self._service.output() if self._last_words is None else self._last_words

    @property
    def memory(self) -> int | None:
        return self._service.memory if self._last_words is None else None

    def alive(self) -> bool:
        return self._last_words is None and self._service.ended is None

    def restart(self) -> None:
        self._service.stop()
        self._service.start()
        self.until_it_answers()

    def until_it_answers(self) -> None:
        """Raises `TargetError` with its last words, and those of whoever beside it is not well."""
        try:
            self._service.until(self._unanswered, self._wanted.within, self._over)
        except TargetError as error:
            raise type(error)(f"{error}{in_trouble(self._others)}") from error

    def leave(self) -> None:
        """It is about to be removed: let it end in its own way, and keep its last words, which reports quote."""
        with contextlib.suppress(TargetError):
            self._service.stop(GRACE)
        self._last_words = self._service.output()

    def _unanswered(self, left: float) -> str | None:
        last = ""
        for path in self._wanted.paths:
            answer = ask(self.url, path, timeout=min(5.0, max(0.2, left)))
            if answer.ready:
                return None
            last = f"{self.url}{path} answers {answer.status}" if answer.status else f"{self.url}: {answer.reason}"
            if answer.status is None:
                break
        return f"{last}; does it listen on 0.0.0.0, and on the port of target.port? `target.health` names another path"
