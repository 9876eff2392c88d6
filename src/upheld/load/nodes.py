"""What a generator's process is in a run: alone, a worker, or the master of workers. Runs in the child process only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import gevent
from locust.runners import STATE_MISSING

from upheld.load import workers
from upheld.load.client import Client, NullService
from upheld.load.conductor import ENDS_IN, Conductor, Decided
from upheld.load.driver import BEGINS_IN, Driver
from upheld.load.metrics import Moment
from upheld.load.plan import Plan, Secrets, fresh_namespace, loads, missing_secrets

TELLS_EVERY = 1.0
HANDS_OVER_WITHIN = 60.0

Conclude = Callable[[Plan, Mapping[str, Any] | None, str], None]
"""What becomes of a run's result, or of why it counts for nothing."""
Tell = Callable[[Mapping[str, Any]], None]
"""What becomes of its progress, once a second."""


class Node(Protocol):
    """A process of a run."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """End the run now, and return when what was measured is where it belongs."""

    def moment(self) -> Moment: ...


def lacking(plan: Plan, known: Secrets | None, source: str) -> str:
    """Whose credentials are missing; empty when none are."""
    missing = ", ".join(missing_secrets(plan, known or {}))
    return f"{source} has no credentials of {missing}" if missing else ""


class _Driving:
    """A driver in a greenlet of its own; who inherits says where its counts go."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._driver: Driver | None = None
        self._greenlet: gevent.Greenlet | None = None
        self._handing_over = False

    def _drive(
        self, plan: Plan, known: Secrets, begins_in: float, *, generator: int = 0, generators: int = 1
    ) -> Driver:
        null = NullService()
        self._driver, self._handing_over = (
            Driver(
                plan,
                known,
                Client(plan.base_url, self._environment.events.request).send,
                generator=generator,
                generators=generators,
                namespace=fresh_namespace(),
                null=null.ask,
            ),
            False,
        )
        self._greenlet = gevent.spawn(self._run, self._driver, begins_in, null)
        return self._driver

    def _run(self, driver: Driver, begins_in: float, null: NullService) -> None:
        telling = gevent.spawn(self._tell_again_and_again, driver)
        try:
            driver.run(begins_in)
        finally:
            # Killed from here on, the counts would be lost.
            self._handing_over = True
            telling.kill(block=False)
            null.close()
            self._hand_over(driver)

    def _tell_again_and_again(self, driver: Driver) -> None:
        while True:
            gevent.sleep(TELLS_EVERY)
            self._tell(driver)

    def stop(self) -> None:
        if self._greenlet is not None:
            if not self._handing_over:
                self._greenlet.kill(block=False)
            self._greenlet.join(HANDS_OVER_WITHIN)

    def moment(self) -> Moment:
        return self._driver.moment() if self._driver else Moment({})

    def _tell(self, driver: Driver) -> None:
        raise NotImplementedError

    def _hand_over(self, driver: Driver) -> None:
        raise NotImplementedError


class Alone(_Driving):
    """The only generator."""

    def __init__(
        self, environment: Any, plan: Plan, known: Secrets, *, decided: Decided, tell: Tell, conclude: Conclude
    ) -> None:
        super().__init__(environment)
        self._plan, self._known = plan, known
        self._decided, self._say, self._conclude = decided, tell, conclude

    def start(self) -> None:
        self._drive(self._plan, self._known, BEGINS_IN)

    def _tell(self, driver: Driver) -> None:
        self._say(driver.progress())
        measured = driver.elapsed - self._plan.warmup
        if self._plan.least <= measured < self._plan.longest - ENDS_IN:
            counts, late, before, _ = driver.interim()
            if reason := self._decided(workers.settled([workers.Interim(counts, late, before)]), measured):
                driver.end(reason, driver.elapsed + ENDS_IN)

    def _hand_over(self, driver: Driver) -> None:
        self._conclude(self._plan, driver.result(), "")


class Worker(_Driving):
    """One generator of many, led by a master that may have the plan for it."""

    def __init__(self, environment: Any, plan: Plan | None, known: Secrets | None, source: str) -> None:
        """``source`` says where credentials would have to be."""
        super().__init__(environment)
        self._plan, self._known, self._source = plan, known, source
        self._assembly = workers.Assembly()
        self._interim = workers.Interim()
        for kind in workers.TO_WORKER:
            environment.runner.register_message(kind, self._heard)

    def start(self) -> None:
        trouble = lacking(self._plan, self._known, self._source) if self._plan else ""
        self._send(workers.READY, {"plan": self._plan.digest if self._plan else "", "trouble": trouble})

    def _send(self, kind: str, data: Any) -> None:
        self._environment.runner.send_message(kind, data)

    def _heard(self, environment: Any, msg: Any, **_: Any) -> None:
        data, driver = msg.data, self._driver
        if msg.type == workers.PLAN:
            if whole := self._assembly.add(data):
                self._plan = loads(whole["plan"])
                self._known = self._known if whole["secrets"] is None else whole["secrets"]
                self.start()
        elif msg.type == workers.BEGIN and self._plan is not None:
            self._interim = workers.Interim()
            place = {name: int(data[name]) for name in ("generator", "generators")}
            begun = self._drive(self._plan, self._known or {}, float(data["in"]), **place)
            begun.tell = self._pass_on
        elif msg.type == workers.END and driver is not None:
            if data["at"] is None:
                gevent.spawn(self.stop)
            else:
                driver.end(str(data["reason"]), float(data["at"]))
        elif msg.type == workers.SECRETS and driver is not None:
            driver.credentials.take_over(data["identity"], data["known"])

    def _pass_on(self, identity: str, known: Mapping[str, Any]) -> None:
        self._send(workers.SECRETS, {"identity": identity, "known": known})

    def _tell(self, driver: Driver) -> None:
        self._send(workers.INTERIM, {"progress": driver.progress(), **self._interim.tell(*driver.interim())})

    def _hand_over(self, driver: Driver) -> None:
        self._tell(driver)
        for piece in workers.pieces(driver.result()):
            self._send(workers.RESULT, piece)


class Master:
    """Sends no request itself: leads the workers, and has what all of them counted."""

    def __init__(
        self, environment: Any, plan: Plan, shared: Secrets | None, *, decided: Decided, tell: Tell, conclude: Conclude
    ) -> None:
        """``shared`` are the secrets that workers get from here; None when each has its own."""
        self._runner = environment.runner
        self._plan, self._shared = plan, shared
        self._decided, self._say, self._conclude = decided, tell, conclude
        self._conductor: Conductor | None = None
        self._greenlet: gevent.Greenlet | None = None
        for kind in workers.TO_MASTER:
            self._runner.register_message(kind, self._heard)

    def start(self) -> None:
        names = [worker.id for worker in self._runner.clients.all]
        self._conductor = Conductor(
            self._plan, names, self, secrets=self._shared, decided=self._decided, tell=self._say
        )
        self._greenlet = gevent.spawn(self._conduct, self._conductor)

    def _conduct(self, conductor: Conductor) -> None:
        self._conclude(self._plan, *conductor.conduct())

    def stop(self) -> None:
        if self._conductor is not None and self._greenlet is not None:
            self._conductor.end("interrupted")
            self._greenlet.join(HANDS_OVER_WITHIN)

    def moment(self) -> Moment:
        return self._conductor.moment() if self._conductor else Moment({})

    def _heard(self, environment: Any, msg: Any, **_: Any) -> None:
        if self._conductor is not None:
            self._conductor.heard(msg.type, msg.data, msg.node_id)

    # -- the conductor's post --------------------------------------------------------------------------------------------

    def send(self, kind: str, data: Any, worker: str) -> None:
        self._runner.send_message(kind, data, client_id=worker)

    def gone(self, worker: str) -> bool:
        known = self._runner.clients.get(worker)
        return known is None or known.state == STATE_MISSING

    def wait(self, seconds: float) -> None:
        gevent.sleep(seconds)
