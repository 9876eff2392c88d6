"""Leads the workers of one run on the master: all begin together, none is forgotten, and one that is lost spoils the run.

It knows neither sockets nor threads: whoever owns those hands it the messages and gives it a way to send and to wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from upheld.load import workers
from upheld.load.counts import Counts
from upheld.load.metrics import Moment
from upheld.load.plan import Plan, Secrets

READY_WITHIN = 60.0
SILENT_FOR = 10.0
"""Seconds without a word after which a worker is given up: each reports once a second."""
BEGINS_IN = 0.5
ENDS_IN = 0.5
"""Seconds of notice, so that all hear it in time."""
LOOKS_UP_EVERY = 0.1
GATHERS_WITHIN = 30.0
"""Seconds after the drain in which the last result has to come."""

Decided = Callable[[Mapping[str, Counts], float], str]
"""Asked once a second with the counts and the measured seconds until now: why the run may end, or nothing."""


class Post(Protocol):
    """The way to the workers."""

    def send(self, kind: str, data: Any, worker: str) -> None: ...

    def gone(self, worker: str) -> bool:
        """Whether it has left or its connection is lost."""

    def wait(self, seconds: float) -> None:
        """Let messages come in."""


class _Worker:
    def __init__(self, now: float) -> None:
        self.ready = False
        self.trouble = ""
        self.heard = now
        self.progress: dict[str, Any] = {}
        self.interim = workers.Interim()
        self.assembly = workers.Assembly()
        self.result: dict[str, Any] | None = None


class Conductor:
    """One run over these workers."""

    def __init__(
        self,
        plan: Plan,
        names: Sequence[str],
        post: Post,
        *,
        secrets: Secrets | None = None,
        decided: Decided = lambda counts, seconds: "",
        tell: Callable[[Mapping[str, Any]], None] = lambda progress: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``secrets`` are sent with the plan to those who lack it; None when every worker has its own."""
        self.plan = plan
        self._post = post
        self._secrets = secrets
        self._decided = decided
        self._tell = tell
        self._clock = clock
        self._workers = {name: _Worker(clock()) for name in names}
        self._began: float | None = None
        self._until = plan.warmup + plan.longest
        self._ended: float | None = None
        self._told = 0.0

    # -- what the workers say --------------------------------------------------------------------------------------------

    def heard(self, kind: str, data: Any, worker: str) -> None:
        """One message of a worker. What belongs to no worker of this run is ignored."""
        mine = self._workers.get(worker)
        if mine is None:
            return
        mine.heard = self._clock()
        try:
            if kind == workers.READY:
                self._ready(mine, data, worker)
            elif kind == workers.INTERIM:
                mine.progress = dict(data["progress"])
                mine.interim.hear(data)
            elif kind == workers.RESULT:
                mine.result = mine.assembly.add(data) or mine.result
            elif kind == workers.SECRETS:
                for other in self._workers:
                    if other != worker:
                        self._post.send(kind, data, other)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            mine.trouble = f"it sent something else than expected: {error!r}"

    def _ready(self, mine: _Worker, data: Mapping[str, Any], worker: str) -> None:
        mine.trouble = str(data["trouble"])
        if data["plan"] == self.plan.digest:
            mine.ready = True
        elif not mine.trouble:
            for piece in workers.pieces({"plan": self.plan.dumps(), "secrets": self._secrets}):
                self._post.send(workers.PLAN, piece, worker)

    # -- the run ---------------------------------------------------------------------------------------------------------

    def conduct(self) -> tuple[dict[str, Any] | None, str]:
        """The merged result (None where there is none), and why it counts for nothing (empty when it does)."""
        trouble = self._gather(lambda mine: mine.ready, READY_WITHIN, "was not ready in time")
        if not trouble and self._ended is None:
            self._begin()
            trouble = self._follow()
        if self._began is None:
            return None, trouble or "interrupted before anything was measured"
        if trouble:
            self.end("a worker is gone")
        within = GATHERS_WITHIN + self.plan.drain + ENDS_IN
        trouble = trouble or self._gather(lambda mine: mine.result is not None, within, "has sent no counts")
        if trouble:
            # Those that are left still drain; what they counted is shown, not judged.
            self._wait(lambda: all(self._over(name) for name in self._workers), self.plan.drain + SILENT_FOR)
        results = {number: mine.result for number, mine in self._numbered() if mine.result is not None}
        try:
            return workers.merged(self.plan, results), trouble
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return None, trouble or f"the counts of the workers are damaged: {error!r}"

    def end(self, reason: str, *, at: float | None = None) -> None:
        """Tell every worker to end, at this second of the run (at once when None) and for this reason. Only the first counts."""
        if self._ended is None:
            self._ended = self._clock()
            for name in self._workers:
                self._post.send(workers.END, {"at": at, "reason": reason}, name)

    def _numbered(self) -> list[tuple[int, _Worker]]:
        return list(enumerate(self._workers.values(), 1))

    def _begin(self) -> None:
        self._began = self._clock() + BEGINS_IN
        for index, name in enumerate(self._workers):
            data = {"generator": index, "generators": len(self._workers), "in": self._began - self._clock()}
            self._post.send(workers.BEGIN, data, name)

    def _follow(self) -> str:
        """Until the schedule has ended. Returns why the run is spoilt."""
        while self._ended is None and self._elapsed() < self._until:
            if trouble := self._lost():
                return trouble
            self._look()
            self._post.wait(LOOKS_UP_EVERY)
        return ""

    def _elapsed(self) -> float:
        return self._clock() - (self._began or self._clock())

    def _look(self) -> None:
        """Once a second: show where it is, and end it when everything is decided."""
        elapsed = self._elapsed()
        if elapsed < self._told + 1:
            return
        self._told = elapsed
        self._tell(self.progress())
        measured = elapsed - self.plan.warmup
        if self.plan.least <= measured < self.plan.longest - ENDS_IN and (
            reason := self._decided(self.settled(), measured)
        ):
            self.end(reason, at=elapsed + ENDS_IN)

    def _gather(self, has: Callable[[_Worker], bool], within: float, lacking: str) -> str:
        """Wait until every worker has something. Returns what is wrong when one never will."""
        trouble = ""

        def done() -> bool:
            nonlocal trouble
            trouble = self._lost(unless=has)
            return (
                bool(trouble)
                or (self._ended is not None and self._began is None)
                or all(map(has, self._workers.values()))
            )

        if not self._wait(done, within):
            number = next(number for number, mine in self._numbered() if not has(mine))
            return f"{self._name(number)} {lacking}"
        return trouble

    def _wait(self, done: Callable[[], bool], within: float) -> bool:
        until = self._clock() + within
        while not done():
            if self._clock() >= until:
                return False
            self._post.wait(LOOKS_UP_EVERY)
        return True

    def _lost(self, unless: Callable[[_Worker], bool] = lambda mine: False) -> str:
        for number, (name, mine) in enumerate(self._workers.items(), 1):
            if mine.result is not None or (unless(mine) and not mine.trouble):
                continue
            if mine.trouble:
                return f"{self._name(number)}: {mine.trouble}"
            if self._post.gone(name):
                return f"{self._name(number)} is gone: its connection ended"
            if (silent := self._silent(mine)) > SILENT_FOR:
                return f"{self._name(number)} is gone: it said nothing for {silent:.0f} s"
        return ""

    def _over(self, name: str) -> bool:
        mine = self._workers[name]
        silent = self._silent(mine) > SILENT_FOR
        return mine.result is not None or bool(mine.trouble) or silent or self._post.gone(name)

    def _silent(self, mine: _Worker) -> float:
        """Seconds for which a worker said nothing though it should have: none before the run."""
        return 0.0 if self._began is None else self._clock() - max(mine.heard, self._began)

    def _name(self, number: int) -> str:
        return f"worker {number} of {len(self._workers)}"

    # -- where it is -----------------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, Counts]:
        """Operation → what all workers have counted until their last report."""
        return workers.added(mine.interim.counts for mine in self._workers.values())

    def settled(self) -> dict[str, Counts]:
        """Operation → what is certain until now."""
        return workers.settled([mine.interim for mine in self._workers.values()])

    def progress(self) -> dict[str, Any]:
        """As `upheld.load.driver.Driver.progress`, of all together."""
        parts = [mine.progress for mine in self._workers.values() if mine.progress]
        names = ("sent", "samples", "over", "errors", "throttled", "in_flight")
        return {
            "elapsed": round(self._elapsed(), 3),
            **{name: sum(int(part.get(name, 0)) for part in parts) for name in names},
        }

    def moment(self) -> Moment:
        """For the exposition."""
        parts = [mine.progress for mine in self._workers.values() if mine.progress]
        noise = [float(part["noise_ms"]) for part in parts if part.get("noise_ms") is not None]
        return Moment(
            self.counts(),
            in_flight=sum(int(part.get("in_flight", 0)) for part in parts),
            delay_ms=max((float(part.get("delay_ms", 0.0)) for part in parts), default=0.0),
            noise_ms=max(noise, default=None),
            generators=len(self._workers),
        )
