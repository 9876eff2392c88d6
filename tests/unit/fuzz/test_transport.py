"""Backing off, with an adapter that answers from a list."""

from __future__ import annotations

import email.utils
import functools
import time
from typing import Any

import pytest
import requests

from upheld.run.fuzz import transport
from upheld.run.fuzz.transport import Patience, Polite, Quotas, retry_after


class Scripted(requests.adapters.BaseAdapter):
    """Answers with the next of the given (status, Retry-After) pairs, then 200."""

    def __init__(self, answers: list[tuple[int, str | None]]) -> None:
        super().__init__()
        self.answers = answers
        self.sent = 0

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        status, after = self.answers.pop(0) if self.answers else (200, None)
        self.sent += 1
        response = requests.Response()
        response.status_code = status
        response._content = b""
        if after is not None:
            response.headers["Retry-After"] = after
        return response

    def close(self) -> None:
        pass


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    naps: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", naps.append)
    return naps


def answered(patience: Patience, *answers: tuple[int, str | None]) -> tuple[int, Scripted]:
    scripted = Scripted(list(answers))
    patience.adapter = lambda: scripted  # type: ignore[method-assign,assignment,return-value]
    return Polite(patience).send(requests.PreparedRequest()).status_code, scripted


def test_a_good_answer_is_passed_on(slept: list[float]) -> None:
    patience = Patience([], 10)
    assert answered(patience, (404, None))[0] == 404
    assert slept == []
    assert not patience.seen


def test_it_moves_to_another_address_first(slept: list[float]) -> None:
    patience = Patience(["127.0.0.2", "127.0.0.3"], 10)
    assert answered(patience, (429, "30"))[0] == 200
    assert slept == []
    assert patience.seen == {429: 1}


def test_then_it_waits_as_long_as_it_is_told(slept: list[float]) -> None:
    patience = Patience(["127.0.0.2"], 10)
    assert answered(patience, (429, "3"))[0] == 200
    assert slept == [3.0]
    assert not patience.given_up


def test_a_503_is_waited_for_not_moved_away_from(slept: list[float]) -> None:
    patience = Patience(["127.0.0.2", "127.0.0.3"], 10)
    assert answered(patience, (503, None))[0] == 200
    assert slept == [1.0]


def test_too_long_is_not_waited_for(slept: list[float]) -> None:
    patience = Patience([], 100)
    assert answered(patience, (429, "3600"))[0] == 429
    assert slept == []
    assert patience.given_up == {429: 1}


def test_the_budget_of_the_whole_run_is_kept(slept: list[float]) -> None:
    patience = Patience([], 5)
    assert answered(patience, (429, "4"))[0] == 200
    assert answered(patience, (429, "4"))[0] == 429
    assert sum(slept) == 4


def test_it_gives_up_after_three_tries(slept: list[float]) -> None:
    status, scripted = answered(Patience([], 100), *[(429, "1")] * 9)
    assert status == 429
    assert scripted.sent == transport.TRIES


def test_past_its_end_nothing_is_sent() -> None:
    patience = Patience([], 1)
    patience.take()
    patience.end = time.time() - 1
    with pytest.raises(KeyboardInterrupt):
        patience.take()
    assert patience.over
    asked = Patience([], 1)
    asked.stop()
    with pytest.raises(KeyboardInterrupt):
        asked.take()


def test_retry_after() -> None:
    assert retry_after("7") == 7
    assert retry_after(None) == retry_after("") == retry_after("soon") == 1.0
    later = email.utils.formatdate(time.time() + 20, usegmt=True)
    assert 15 < retry_after(later) <= 20
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_addresses_run_out() -> None:
    patience = Patience(["127.0.0.2", "127.0.0.3"], 1)
    first = patience.adapter()
    assert patience.adapter() is first
    assert patience.move()
    assert patience.adapter() is not first
    assert not patience.move()


def test_every_session_of_the_process_is_polite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.Session, "get_adapter", requests.Session.get_adapter)
    transport.install(Patience([], 1))
    assert isinstance(requests.Session().get_adapter("http://127.0.0.1/"), Polite)


# -- quotas --------------------------------------------------------------------------------------------------------------

TOLD: dict[str, Any] = {
    "rules": [
        {"pattern": "POST /login", "quota": 3, "window": 60.0, "key": "ip", "exempt": [], "algorithm": "any"},
        {"pattern": "**", "quota": 4, "window": 60.0, "key": "user-or-ip", "exempt": [], "algorithm": "token-bucket"},
    ],
    "prefix": "/api",
    "people": {"user": "subject 1"},
    "used": [],
}
ANN = {"user": [["Authorization", "Bearer of-ann"]]}


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def virtual(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(transport, "time", made)
    monkeypatch.setattr(transport, "Book", functools.partial(transport.Book, clock=made.time))
    return made


def sent(patience: Patience, times: int, method: str = "GET", path: str = "/api/items", **headers: str) -> list[str]:
    """The source address of each request."""
    used = []

    def adapter() -> Scripted:
        used.append(patience.address or "")
        return Scripted([])

    patience.adapter = adapter  # type: ignore[method-assign,assignment]
    for _ in range(times):
        Polite(patience).send(requests.Request(method, f"http://shop.test{path}", headers=headers).prepare())
    return used


def test_within_the_quota_of_an_address_and_then_from_the_next(virtual: Time) -> None:
    patience = Patience(["a", "b", "c"], 10, quotas=Quotas(TOLD, ANN))
    # One at a time: what is not to be used up at once is shared out over the window.
    assert sent(patience, 3, "POST", "/api/login") == ["a", "b", "c"]
    assert virtual.now == 0


def test_within_the_quota_of_a_user_whatever_the_address(virtual: Time) -> None:
    patience = Patience(["a", "b"], 10, quotas=Quotas(TOLD, ANN))
    assert set(sent(patience, 7, Authorization="Bearer of-ann")) == {"a"}
    assert virtual.now >= 2 * 60, "three in a window"


def test_what_we_have_used_ourselves_counts(virtual: Time) -> None:
    used = [[1, "subject 1", 10.0]] * 3
    patience = Patience([], 10, quotas=Quotas({**TOLD, "used": used}, ANN))
    sent(patience, 1, Authorization="Bearer of-ann")
    assert virtual.now == pytest.approx(50.0, abs=0.5)


def test_no_wait_outlasts_the_engine_s_time(virtual: Time) -> None:
    patience = Patience([], 10, quotas=Quotas(TOLD, ANN))
    patience.end = 20.0
    with pytest.raises(KeyboardInterrupt):
        sent(patience, 9)
    assert patience.over
    assert virtual.now == pytest.approx(20.0, abs=0.5)
