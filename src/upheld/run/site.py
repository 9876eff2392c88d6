"""A running service that somebody is signed in to: where a load is played, again and again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upheld.errors import SetupError
from upheld.run.examine import Options, signed_in
from upheld.run.prepare import opened
from upheld.run.pressing import profile_of
from upheld.verdict import Listener, LoadRun, Progress

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.exchange import Session
    from upheld.load.compare import Play
    from upheld.load.prepare import Prepared
    from upheld.targets import Running

FRESH = 300.0
"""Seconds for which sessions are used again where the contract does not say how long they last."""


@dataclass
class Site:
    """One target of one contract. `press` may be called as often as one likes."""

    name: str
    contract: Contract
    running: Running
    listener: Listener
    seed: int
    mask: Callable[[str], str] = str
    """Takes the secrets out of a text."""
    _sessions: list[Session] = field(default_factory=list)
    _since: float = 0.0

    def sessions(self) -> list[Session]:
        """Somebody of every role that can be signed in; somebody new before the tokens get old.

        Raises `TargetUnreachable` and `SetupError`.
        """
        life = self.contract.policy.auth.jwt.access_ttl
        # A run that renewed them has used up their refresh tokens; it has taken more than half of their life.
        if not self._sessions or time.monotonic() - self._since > min(FRESH, life / 2 if life else FRESH):
            options = Options(fuzz=False, seed=self.seed)
            self._sessions, self.mask = signed_in(self.contract, self.running, options, self.listener)
            self._since = time.monotonic()
        return self._sessions

    @contextlib.contextmanager
    def prepared(self, **how: Any) -> Iterator[Prepared]:
        """`upheld.load.prepare.prepared` on it, with ``how``. Raises what that raises."""
        from upheld.load.run import prepared

        sessions, profile = self.sessions(), profile_of(self.running)
        with prepared(
            self.contract, self.running.url, sessions, profile=profile, listener=_steps(self.listener), **how
        ) as made:
            yield made

    def press(self, *, stop: threading.Event | None = None, **how: Any) -> LoadRun:
        """`upheld.load.run.run_load` on it: ``seconds``, ``rate``, ``seed`` and the like. Raises what that raises."""
        from upheld.load.run import run_load

        return run_load(
            self.contract,
            self.running.url,
            self.sessions(),
            profile=profile_of(self.running),
            listener=_steps(self.listener),
            stop=stop,
            **how,
        )


@contextlib.contextmanager
def stage(base: Site, candidate: Site, *, seed: int, tell: Callable[[str], object], **how: Any) -> Iterator[Play]:
    """What plays rounds on both, with the operations that both can be pressed on. Raises `SetupError` when there are none."""
    from upheld.load.compare import Side, matched
    from upheld.load.outcome import load_run
    from upheld.load.process import generate

    with base.prepared(seed=seed, **how) as one, candidate.prepared(seed=seed, **how) as other:
        *plans, left_out = matched(one.plan, other.plan)
        for line in left_out:
            tell(line)
        if not plans[0].operations:
            raise SetupError("there is no operation that both can be pressed on")
        sides = {Side.BASE: (plans[0], one, base), Side.CANDIDATE: (plans[1], other, candidate)}

        def play(side: Side) -> LoadRun:
            plan, made, place = sides[side]
            result, trouble = generate(plan, made.secrets, _steps(place.listener), threading.Event())
            made.left(result)
            return load_run(plan, result, trouble=trouble)

        yield play


def _steps(listener: Listener) -> Listener:
    """Without what is told of each run: there are many."""

    def tell(progress: Progress) -> None:
        if progress.kind == "step":
            listener(progress)

    return tell


def added(listener: Listener) -> Listener:
    """A listener to whom the requests of several runs are added up."""
    before = latest = 0

    def tell(progress: Progress) -> None:
        nonlocal before, latest
        if progress.requests < latest:
            before += latest
        latest = progress.requests
        listener(replace(progress, requests=before + latest))

    return tell


@contextlib.contextmanager
def site(
    path: Path, url: str | None, *, allow_hosts: Iterable[str] = (), listener: Listener, seed: int
) -> Iterator[Site]:
    """Start or find the target of a contract. Raises `ContractError`, `UsageError`, `TargetError`."""
    with opened(path, url, allow_hosts=allow_hosts, profiles=("raised",)) as ready:
        running = ready.running["raised"]
        yield Site(f"{ready.name} at {running.url}", ready.contract, running, listener, seed)
