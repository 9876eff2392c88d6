"""The master's part, played against workers that are scripts, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.unit.load.making import counted, mixed, plan, pressed, result

from upheld.load import workers
from upheld.load.conductor import BEGINS_IN, SILENT_FOR, Conductor
from upheld.load.counts import Counts
from upheld.load.plan import Plan, Secrets, loads

COUNTS = {"GET /a": counted(mixed(100, 0.01), seconds=20.0)}
MADE = plan(pressed("GET /a"), seconds=20.0, warmup=2.0, drain=3.0)


class Worker:
    """Does what a sound worker does; ``dies`` at a second of the run, or at once when 0."""

    def __init__(self, stage: Stage, name: str, *, dies: float | None = None, mute: bool = False, **ready: Any) -> None:
        self.stage, self.name, self.dies, self.mute = stage, name, dies, mute
        self.ready = {"plan": stage.plan.digest, "trouble": "", **ready}
        self.plan: Plan | None = None
        self.secrets: Any = None
        self.assembly = workers.Assembly()
        self.began: float | None = None
        self.until = stage.plan.warmup + stage.plan.longest
        self.place: tuple[int, int] = (0, 0)
        self.stopped = ""
        self.done = False
        self.told = 0.0
        self.heard: list[Any] = []

    def say(self, kind: str, data: Any) -> None:
        self.stage.conductor.heard(kind, data, self.name)

    @property
    def dead(self) -> bool:
        return self.dies is not None and self.stage.now >= self.dies

    def hear(self, kind: str, data: Any) -> None:
        if kind == workers.PLAN and (whole := self.assembly.add(data)):
            self.plan, self.secrets = loads(whole["plan"]), whole["secrets"]
            self.say(workers.READY, {"plan": self.plan.digest, "trouble": ""})
        elif kind == workers.BEGIN:
            self.began, self.place = self.stage.now + data["in"], (data["generator"], data["generators"])
        elif kind == workers.END and not self.done and self.began is not None:
            self.until = min(self.until, self.stage.now - self.began if data["at"] is None else data["at"])
            self.stopped = data["reason"]
        elif kind == workers.SECRETS:
            self.heard.append(data)

    def step(self) -> None:
        if self.dead or self.began is None or self.done or self.mute:
            return
        elapsed = self.stage.now - self.began
        if elapsed >= self.told + 1:
            self.told = elapsed
            progress = {"sent": 10, "in_flight": 1, "delay_ms": 2.0, "noise_ms": 1.0}
            told = workers.Interim().tell(COUNTS, {}, 80, 0.0)
            self.say(workers.INTERIM, {"progress": progress, **told})
        if elapsed >= self.until + 0.2:
            self.done = True
            measured = self.until - self.stage.plan.warmup
            for piece in workers.pieces(
                {**result(self.stage.plan, COUNTS, measured=measured, stopped=self.stopped), "noise_ms": 1.0}
            ):
                self.say(workers.RESULT, piece)


class Stage:
    """Virtual time, and the post between the conductor and its workers."""

    def __init__(self, *scripts: Mapping[str, Any], made: Plan = MADE, **options: Any) -> None:
        self.now, self.plan = 1_000.0, made
        self.left: set[str] = set()
        self.events: list[tuple[float, Callable[[], None]]] = []
        self.told: list[Mapping[str, Any]] = []
        self.sent: list[tuple[str, str]] = []
        self.crew = {f"w{number}": Worker(self, f"w{number}", **script) for number, script in enumerate(scripts)}
        self.conductor = Conductor(
            made, list(self.crew), self, clock=lambda: self.now, tell=self.told.append, **options
        )

    def send(self, kind: str, data: Any, worker: str) -> None:
        self.sent.append((kind, worker))
        if not self.crew[worker].dead:
            self.crew[worker].hear(kind, data)

    def gone(self, worker: str) -> bool:
        return worker in self.left

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for due, event in self.events[:]:
            if self.now >= due:
                self.events.remove((due, event))
                event()
        for worker in self.crew.values():
            worker.step()

    def at(self, second: float, event: Callable[[], None]) -> None:
        self.events.append((1_000.0 + second, event))

    def play(self) -> tuple[dict[str, Any] | None, str]:
        for worker in self.crew.values():
            self.at(0.3, lambda mine=worker: mine.say(workers.READY, mine.ready))
        return self.conductor.conduct()


def test_all_begin_at_one_moment_with_a_part_of_their_own() -> None:
    stage = Stage({}, {}, {})
    found, trouble = stage.play()
    assert trouble == ""
    assert found is not None
    assert {worker.place for worker in stage.crew.values()} == {(0, 3), (1, 3), (2, 3)}
    assert len({worker.began for worker in stage.crew.values()}) == 1
    assert Counts.from_json(found["operations"]["GET /a"]).sent == 300
    assert set(found["workers"]) == {"1", "2", "3"}
    assert not any(kind == workers.PLAN for kind, _ in stage.sent), "who has the plan is not sent it"
    # Once a second, all together.
    assert 20 <= len(stage.told) <= 23
    assert stage.told[-1]["sent"] == 30
    moment = stage.conductor.moment()
    assert (moment.in_flight, moment.generators, moment.delay_ms, moment.noise_ms) == (3, 3, 2.0, 1.0)


def test_nobody_begins_before_the_last_is_ready() -> None:
    stage = Stage({}, {})
    stage.at(30.0, lambda: stage.crew["w1"].say(workers.READY, stage.crew["w1"].ready))
    stage.at(0.3, lambda: stage.crew["w0"].say(workers.READY, stage.crew["w0"].ready))
    _, trouble = stage.conductor.conduct()
    assert trouble == ""
    assert (stage.crew["w0"].began or 0) >= 1_030.0 + BEGINS_IN


@pytest.mark.parametrize("shared", [None, {"alice": {"headers": [["Authorization", "Bearer a"]]}}])
def test_who_lacks_the_plan_is_sent_it_and_secrets_only_when_they_are_shared(shared: Secrets | None) -> None:
    stage = Stage({"plan": ""}, {}, secrets=shared)
    found, trouble = stage.play()
    assert (trouble, found is not None) == ("", True)
    assert stage.crew["w0"].plan == MADE
    assert stage.crew["w0"].secrets == shared
    assert stage.crew["w1"].plan is None


def test_a_worker_without_credentials_is_told_and_nothing_begins() -> None:
    stage = Stage({}, {"trouble": "plan.json.secrets has no credentials of kim"})
    assert stage.play() == (None, "worker 2 of 2: plan.json.secrets has no credentials of kim")
    assert not any(kind == workers.BEGIN for kind, _ in stage.sent)


def test_a_worker_that_never_gets_ready() -> None:
    stage = Stage({}, {})
    stage.at(0.3, lambda: stage.crew["w0"].say(workers.READY, stage.crew["w0"].ready))
    found, trouble = stage.conductor.conduct()
    assert (found, trouble) == (None, "worker 2 of 2 was not ready in time")


@pytest.mark.parametrize("known", [True, False], ids=["connection ended", "silence"])
def test_a_worker_that_dies_spoils_the_run_and_ends_it(known: bool) -> None:
    stage = Stage({}, {"dies": 1_010.0})
    if known:
        stage.at(11.0, lambda: stage.left.add("w1"))
    found, trouble = stage.play()
    assert trouble.startswith("worker 2 of 2 is gone: ")
    assert ("connection" in trouble) is known
    # What the other counted is shown, and it was not left pressing.
    assert found is not None
    assert set(found["workers"]) == {"1"}
    assert found["measured"] < (10.0 if known else 10.0 + SILENT_FOR)


def test_a_worker_that_dies_while_answers_are_waited_for() -> None:
    stage = Stage({}, {"dies": 1_000.0 + 0.4 + BEGINS_IN + 22.0})
    found, trouble = stage.play()
    assert trouble.startswith("worker 2 of 2 is gone: it said nothing for")
    assert found is not None
    assert Counts.from_json(found["operations"]["GET /a"]).sent == 100


def test_nonsense_of_a_worker_spoils_the_run() -> None:
    stage = Stage({}, {})
    stage.at(5.0, lambda: stage.crew["w1"].say(workers.INTERIM, {"progress": {}, "counts": {"GET /a": 3}}))
    _, trouble = stage.play()
    assert trouble.startswith("worker 2 of 2: it sent something else than expected")


def test_an_end_ahead_of_time_is_one_second_for_all() -> None:
    asked = []

    def decided(counts: Mapping[str, Counts], seconds: float) -> str:
        asked.append(seconds)
        return "everything is decided" if seconds > 12 else ""

    made = plan(pressed("GET /a"), seconds=20.0, warmup=2.0, drain=3.0, least=5.0, longest=20.0)
    stage = Stage({}, {}, made=made, decided=decided)
    found, trouble = stage.play()
    assert trouble == ""
    assert found is not None
    assert 5 <= min(asked) < 6.5, "not before the least"
    assert found["stopped"] == "everything is decided"
    assert 12 < found["measured"] < 14
    assert len({worker.until for worker in stage.crew.values()}) == 1


def test_an_interruption_brings_back_what_was_measured() -> None:
    stage = Stage({}, {})
    stage.at(9.0, lambda: stage.conductor.end("interrupted"))
    found, trouble = stage.play()
    assert trouble == ""
    assert found is not None
    assert found["stopped"] == "interrupted"
    assert found["measured"] < 9
    early = Stage({}, {})
    early.conductor.end("interrupted")
    assert early.play() == (None, "interrupted before anything was measured")


def test_a_renewed_token_reaches_the_others_only() -> None:
    stage = Stage({}, {}, {})
    news = {"identity": "kim", "known": {"headers": [["Authorization", "Bearer 2"]]}}
    stage.at(5.0, lambda: stage.crew["w0"].say(workers.SECRETS, news))
    stage.at(6.0, lambda: stage.conductor.heard(workers.SECRETS, news, "a stranger"))
    stage.play()
    assert [worker.heard for worker in stage.crew.values()] == [[], [news], [news]]
