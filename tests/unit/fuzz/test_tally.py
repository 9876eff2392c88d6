"""Lines taken in and summed up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from upheld.contract import Contract
from upheld.errors import HarnessError
from upheld.exchange import Exchange, Request, Response
from upheld.run.fuzz.accusations import Accusations
from upheld.run.fuzz.job import job
from upheld.run.fuzz.repeat import Repeater
from upheld.run.fuzz.tally import Tally
from upheld.run.fuzz.values import SPENT, FuzzRun

from .conftest import ANN

Lines = list[dict[str, Any]]
WANTED = ("examples", "coverage", "fuzzing", "stateful")


async def never(_: Request) -> Response:
    raise AssertionError("nothing is sent here")


@pytest.fixture
def make(contract: Contract) -> Callable[..., Tally]:
    def tally(seen: list[Exchange] | None = None) -> Tally:
        told = job(
            contract, user=ANN, admin=None, known={}, protected=(), token="t1", one_pass=True, phases=WANTED, engine_seconds=9,
            body_limit=9, addresses=(), wait_budget=1.0,
        )  # fmt: skip
        accusations = Accusations(contract, Repeater(contract, never, told), told)
        return Tally(contract, {"user": ANN}, accusations, (seen if seen is not None else []).append)

    return tally


def summed(tally: Tally, lines: Lines) -> FuzzRun:
    for line in lines:
        tally.take(line)
    return tally.summed(1.0, WANTED, 5, "http://127.0.0.1:1")


def test_a_recorded_run_is_summed_up(make: Callable[..., Tally], lines: Lines) -> None:
    seen: list[Exchange] = []
    run = summed(make(seen), lines)
    exchanges = [line for line in lines if line["t"] == "x"]
    assert len(seen) == run.requests == len(exchanges)
    assert run.cases == sum(not line["probe"] for line in exchanges)
    assert run.reached["POST /items"][201] > 0
    assert [phase.name for phase in run.phases] == list(WANTED)
    assert {finding.code for finding in run.findings} >= {"ST101", "ST107", "ST201", "ST301", "ST401"}
    # Nothing was repeated, so nothing is accused.
    assert all(finding.flaky for finding in run.findings)
    assert run.stopped == ""


def test_an_engine_error_is_a_lost_operation_and_a_defect(make: Callable[..., Tally], lines: Lines) -> None:
    error = {
        "t": "error",
        "op": "GET /me",
        "phase": "coverage",
        "title": "Runtime Error",
        "text": "KeyError: 'x'\n at y",
    }
    run = summed(make(), [*lines, error])
    assert "engine error: Runtime Error: KeyError: 'x' at y" in dict(run.lost)["GET /me"]
    assert run.defects
    assert not run.complete


def test_silence_is_told_without_blame_on_the_engine(make: Callable[..., Tally], lines: Lines) -> None:
    more = [
        {"t": "silence", "op": "GET /me", "phase": "coverage"},
        {"t": "error", "op": "GET /me", "phase": "coverage", "title": "Network Error", "text": "Read timed out after 5 seconds"},
    ]  # fmt: skip
    run = summed(make(), [*lines, *more])
    assert dict(run.lost)["GET /me"].startswith("Read timed out after 5 seconds; no answer to 1 request")
    assert not run.defects


def test_curl_lines_of_the_engine_are_not_in_the_notes(make: Callable[..., Tally], lines: Lines) -> None:
    error = {"t": "error", "op": "", "phase": "coverage", "title": "Server Unavailable", "text": "it went away. Last requests before it went away: curl -H 'Authorization: x'"}  # fmt: skip
    run = summed(make(), [*lines, error])
    assert any("it went away" in note for note in run.notes)
    assert "curl" not in " ".join(run.notes)


def test_a_cut_operation_makes_the_run_incomplete(make: Callable[..., Tally], lines: Lines) -> None:
    cut = {"t": "scenario", "s": "x", "op": "GET /me", "phase": "coverage", "status": "success", "skipped": "", "cut": True, "links": [], "dropped": 0}  # fmt: skip
    run = summed(make(), [*lines, cut])
    assert "cut short" in dict(run.lost)["GET /me"]
    assert not run.complete


def test_what_was_throttled_is_told(make: Callable[..., Tally], lines: Lines) -> None:
    bye = {"t": "bye", "throttled": 90, "given_up": 30, "waited": 5.0, "spent": False}
    run = summed(make(), [*lines, bye])
    assert run.throttled == 90
    assert any(note.startswith("fuzzing: 30 answers were 429 or 503") for note in run.notes)
    assert not run.complete


def test_why_it_ended(make: Callable[..., Tally], lines: Lines) -> None:
    spent = {"t": "bye", "throttled": 0, "given_up": 0, "waited": 0.0, "spent": True}
    assert summed(make(), [*lines, spent]).stopped == SPENT
    gone = {"t": "end", "reason": "server_unavailable"}
    assert summed(make(), [*lines, gone]).stopped == "the service did not answer any more"
    fatal = {"t": "fatal", "text": "LoaderError: no paths"}
    run = summed(make(), [lines[0], fatal])
    assert run.stopped == "the engine could not go on"
    assert run.defects == ("LoaderError: no paths",)


def test_another_version_of_the_hooks_is_refused(make: Callable[..., Tally]) -> None:
    with pytest.raises(HarnessError, match="version 99"):
        make().take({"t": "hello", "version": 99})


def test_lines_of_a_new_kind_are_left_out(make: Callable[..., Tally]) -> None:
    make().take({"t": "something-new", "x": 1})


def authenticated(line: dict[str, Any], label: str, status: int) -> dict[str, Any]:
    method, path = label.split(" ")
    return {**line, "t": "x", "op": label, "m": method, "u": path, "st": status, "who": "user", "own": True, "failures": [], "probe": False}  # fmt: skip


def test_a_credential_that_stops_working_is_told(make: Callable[..., Tally], lines: Lines) -> None:
    line = next(line for line in lines if line["t"] == "x")
    told = [authenticated(line, "DELETE /users/7", 204)]
    told += [authenticated(line, label, 401) for label in ("GET /me", "GET /orders", "POST /items", "GET /me")]
    run = summed(make(), told)
    assert any("the credential of ann was refused after DELETE /users/7" in note for note in run.notes)
    assert not run.complete
    back = [*told, authenticated(line, "GET /me", 200)]
    assert not any("credential" in note for note in summed(make(), back).notes)
    never = summed(make(), told[1:])
    assert any("refused from the beginning" in note for note in never.notes)
    one = summed(make(), [authenticated(line, "GET /me", 401)] * 9)
    assert not any("credential" in note for note in one.notes)
