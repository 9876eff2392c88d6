"""What is said of a container, and until when it is waited for. Its engine is played."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from upheld.errors import TargetDied, TargetUnreachable
from upheld.targets.containers.container import Container, Outage, hiding, in_trouble

RUNNING = {"Status": "running"}


class Raw:
    """A container as the engine shows it: these states, one after the other, of which the last one stays."""

    def __init__(self, *states: Mapping[str, Any] | Exception, logs: str = "", exits: Iterable[int] = ()) -> None:
        self.states = list(states)
        self.attrs: dict[str, Any] = {}
        self.written = logs
        self.exits = list(exits)
        self.calls: list[str] = []
        self.figures: dict[str, Any] = {}

    def reload(self) -> None:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        self.attrs = {"State": state}

    def logs(self, tail: int) -> bytes:
        return "".join(self.written.splitlines(True)[-tail:]).encode()

    def exec_run(self, command: list[str]) -> Any:
        self.calls.append(command[-1])
        return SimpleNamespace(exit_code=self.exits.pop(0), output=b"first\nnot yet\n")

    def start(self) -> None:
        self.calls.append("start")

    def stop(self, timeout: int | None) -> None:
        self.calls.append("stop")

    def stats(self, **_: Any) -> dict[str, Any]:
        return self.figures


def container(raw: Raw, ready: str | None = None, **env: str) -> Container:
    return Container("db", raw, hiding(env), ready)  # type: ignore[arg-type]


def test_secrets_are_hidden_by_their_names_and_in_urls() -> None:
    hide = hiding(
        {"DB_PASSWORD": "hunter22", "MODE": "production", "PIN_KEY": "1234", "api.DATABASE_URL": "redis://r:1/0"}
    )
    assert hide("production hunter22 1234 redis://r:1/0") == "production *** 1234 ***"
    assert hide("at postgresql://me:geheim@db/x") == "at postgresql://me:***@db/x"
    assert hiding({}, ["given-by-name"])("it is given-by-name") == "it is ***"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"Status": "exited", "ExitCode": 3}, "it ended with status 3"),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, "status 137, for want of memory"),
        ({"Status": "dead", "ExitCode": 1, "Error": "no such file"}, "status 1: no such file"),
        (NotFound("gone"), "removed by somebody else"),
    ],
)
def test_one_that_has_ended_ends_the_wait_at_once_with_its_last_lines(state: Any, words: str) -> None:
    raw = Raw({"Status": "created"}, state, logs="1\n2\nno key hunter22\n")
    with pytest.raises(TargetDied, match=words) as caught:
        container(raw, KEY="hunter22").until_ready(600, threading.Event())
    assert str(caught.value).endswith("\n  | 1\n  | 2\n  | no key ***")


def test_ready_is_what_its_command_says() -> None:
    raw = Raw(RUNNING, exits=[2, 1, 0])
    container(raw, "pg_isready").until_ready(60, threading.Event())
    assert raw.calls == ["pg_isready"] * 3


def test_ready_is_what_the_health_check_of_its_image_says() -> None:
    starting, healthy = ({**RUNNING, "Health": {"Status": status}} for status in ("starting", "healthy"))
    raw = Raw({"Status": "created"}, starting, starting, starting, healthy)
    container(raw).until_ready(60, threading.Event())
    assert raw.states == [healthy]


def test_without_either_it_is_ready_as_it_runs() -> None:
    container(Raw(RUNNING)).until_ready(60, threading.Event())


def test_what_is_missing_is_told_when_the_time_is_over() -> None:
    with pytest.raises(TargetUnreachable, match=r"'db' was not ready within 0.05 s \(`probe` ends with 1: not yet\)"):
        container(Raw(RUNNING, exits=[1] * 50), "probe").until_ready(0.05, threading.Event())


def test_the_wait_is_over_when_the_target_is_left() -> None:
    over = threading.Event()
    over.set()
    with pytest.raises(TargetUnreachable, match="stopped while it was being started"):
        container(Raw({"Status": "created"})).until_ready(600, over)


def test_while_its_engine_says_nothing_a_container_has_not_ended_and_is_not_ready() -> None:
    raw = Raw(APIError("the engine fails"))
    assert container(raw).ended is None
    with pytest.raises(TargetUnreachable, match="it is unknown"):
        container(raw).until_ready(0.05, threading.Event())


def test_a_part_that_did_its_work_is_in_no_trouble() -> None:
    done, broken = (
        Raw({"Status": "exited", "ExitCode": 0}),
        Raw({"Status": "exited", "ExitCode": 1}, logs="disk full\n"),
    )
    unwell = Raw({**RUNNING, "Health": {"Status": "unhealthy"}})
    assert in_trouble([container(done), container(Raw(RUNNING))]) == ""
    told = in_trouble([container(broken), container(unwell)])
    assert told == "\n'db': it ended with status 1\n  | disk full\n'db': it is unhealthy; it wrote nothing"


def test_memory_is_told_only_where_it_is_accounted_for() -> None:
    raw = Raw(RUNNING)
    figures = {"usage": 300, "stats": {"inactive_file": 100}}
    raw.figures = {"memory_stats": figures, "pids_stats": {"current": 3}}
    assert container(raw).memory == 200
    raw.figures = {"memory_stats": figures, "pids_stats": {}}
    assert container(raw).memory is None, "the whole machine's"
    raw.figures = {"memory_stats": {}, "pids_stats": {"current": 3}}
    assert container(raw).memory is None


def test_a_store_is_started_again_only_after_it_was_stopped() -> None:
    raw = Raw(RUNNING, exits=[1, 0])
    store = Outage([container(raw, "ping")], 60)
    store.up()
    assert raw.calls == []
    store.down()
    store.up()
    store.up()
    assert raw.calls == ["stop", "start", "ping", "ping"]
