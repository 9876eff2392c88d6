"""What every target is: something that is entered, answers at a URL, and is left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Protocol

from upheld.errors import HarnessError

Capability = Literal["restart", "profile", "clock", "key", "logs"]
Profile = Literal["raised", "shipped", "short_lived"]


class Store(Protocol):
    """Where a service keeps the counters of its limits, such as Redis: stopped and started."""

    def down(self) -> None:
        """Stop it. Raises `TargetError`."""

    def up(self) -> None:
        """Start it again if it was stopped. Raises `TargetError`."""


class Running(ABC):
    """A target that answers, between the entering and the leaving of its `Target`."""

    url: str
    """Where it answers: scheme, host and port, no slash at the end."""
    can: frozenset[Capability]
    """What it lets us do: start it again, choose its profile, move its clock, sign with its key, read its output."""
    env: Mapping[str, str]
    """Values for the names of environment variables in upheld.yaml (``password_env``, ``key_env``). They win over the
    process's own environment, because they were made for this target alone."""
    sees_addresses: bool = True
    """It sees the source address that a connection comes from. One in a container sees its network's gateway, whoever calls."""
    store: Store | None = None
    """That of its counters, where it was started with it."""

    @property
    def output(self) -> str:
        """The last lines that it wrote; empty when it is not ours to read."""
        return ""

    @property
    def memory(self) -> int | None:
        """Octets that all its processes hold in memory, pages that they share counted in each; None when it is not ours, or unknown."""
        return None

    @abstractmethod
    def alive(self) -> bool:
        """It still runs (if we started it) or still answers (if we did not). Never raises."""

    def restart(self) -> None:
        """Stop it, start it again at the same URL with the same environment, and wait until it answers.

        Raises `TargetError` when it does not come back. Only for targets that ``can`` restart.
        """
        raise HarnessError(f"the target {self.url} cannot be restarted; ask `can` first")


class Target(ABC):
    """How a backend comes to run. A context manager: nothing is started or asked before it is entered."""

    can: frozenset[Capability]
    """What the running target will let us do; known before it runs, so that a plan can be made."""
    sees_addresses: bool = True
    """As `Running.sees_addresses`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """How reports call it."""

    @abstractmethod
    def open(self) -> Running:
        """Start it or find it. Raises `TargetError` with the reason."""

    @abstractmethod
    def close(self) -> None:
        """Stop whatever `open` started, children included. May be called twice."""

    def __enter__(self) -> Running:
        # `with` does not call __exit__ when __enter__ raises; a Ctrl-C while we wait for health must still stop it.
        try:
            return self.open()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
