"""The driver over a transport of answers: backing off, silence and death, budgets, replays."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from upheld.check import (
    CannotProve,
    Check,
    Finding,
    Kept,
    Lane,
    NoAnswer,
    Subject,
    Unproven,
    burst,
    move,
    send,
    sign_in,
    spread,
    wait,
)
from upheld.errors import HarnessError, TargetDied
from upheld.exchange import Exchange, Request, Response
from upheld.run.budget import Budget, BudgetSpent
from upheld.run.drive import Driver, Played, retry_after
from upheld.run.transport import Refused

GET = Request("GET", "/me", operation="GET /me")
Answer = Callable[[Request], Response]
OK = Response.of(200, {})


def _busy(times: int, response: Response) -> Answer:
    left = [times]

    def answer(request: Request) -> Response:
        left[0] -= 1
        return response if left[0] >= 0 else OK

    return answer


def _play(driver: Driver, check: Check, **rest: Any) -> Played:
    return asyncio.run(driver.play(check, Subject("GET /me", driver.contract.operation("GET /me")), **rest))


def _asks(lane: Lane) -> Any:
    response = yield from send(GET)
    return Kept(str(response.status))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("\xb2", None),
        ("9" * 400, None),
        ("Mon, 99 Jan 2001 00:00:00 GMT", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(Response.of(429, retry_after=value)) == seconds


def test_a_date_to_come() -> None:
    from email.utils import formatdate

    asked = retry_after(Response.of(429, retry_after=formatdate(time.time() + 30, usegmt=True)))
    assert asked is not None
    assert 28 <= asked <= 31


def test_429_is_waited_for(drive: Any, dialogue: Any, naps: list[float]) -> None:
    driver, transport = drive(_busy(2, Response.of(429, retry_after="3")))
    assert _play(driver, dialogue(_asks)).outcome == Kept("200")
    assert naps == [3.05, 3.05]
    assert len(transport.sent) == 3


def test_429_from_one_address_is_asked_from_another_at_once(drive: Any, dialogue: Any, naps: list[float]) -> None:
    driver, transport = drive(_busy(1, Response.of(429, retry_after="60")), url="http://127.0.0.1:80")
    if not driver.addresses.available:
        pytest.skip("addresses can't be chosen here")
    assert _play(driver, dialogue(_asks)).outcome == Kept("200")
    assert naps == []
    assert transport.sent[0][1] != transport.sent[1][1]


def test_who_studies_limits_is_told_429(drive: Any, dialogue: Any, naps: list[float]) -> None:
    driver, _ = drive(_busy(1, Response.of(429, retry_after="3")))
    assert _play(driver, dialogue(_asks, profile="shipped")).outcome == Kept("429")
    assert naps == []


def test_what_asks_for_an_hour_is_given_up(drive: Any, dialogue: Any, naps: list[float]) -> None:
    driver, transport = drive(_busy(99, Response.of(429, retry_after="3600")), budget=Budget(1000, 9000))
    outcome = _play(driver, dialogue(_asks)).outcome
    assert isinstance(outcome, Unproven)
    assert "429" in outcome.reason
    assert naps == []
    assert len(transport.sent) == 1


def test_what_is_always_busy_is_given_up_and_not_waited_for_again(drive: Any, dialogue: Any, naps: list[float]) -> None:
    driver, transport = drive(_busy(999, Response.of(429)), budget=Budget(1000, 9000))
    assert isinstance(_play(driver, dialogue(_asks)).outcome, Unproven)
    assert sum(naps) <= 130
    first, before = len(transport.sent), len(naps)
    assert isinstance(_play(driver, dialogue(_asks)).outcome, Unproven)
    assert len(naps) == before
    assert len(transport.sent) == first + 1


def test_a_wait_beyond_the_budget_is_not_begun(drive: Any, dialogue: Any, naps: list[float]) -> None:
    driver, _ = drive(_busy(9, Response.of(429, retry_after="30")), budget=Budget(100, 5))
    outcome = _play(driver, dialogue(_asks)).outcome
    assert isinstance(outcome, Unproven)
    assert "does not fit" in outcome.reason
    assert naps == []


def test_503_is_an_answer_after_two_tries(drive: Any, dialogue: Any, naps: list[float]) -> None:
    driver, transport = drive(_busy(99, Response.of(503)))
    assert _play(driver, dialogue(_asks)).outcome == Kept("503")
    assert len(transport.sent) == 3
    _play(driver, dialogue(_asks))
    assert len(transport.sent) == 4


def _raises(*errors: Exception) -> Answer:
    left: Iterator[Exception] = iter(errors)

    def answer(request: Request) -> Response:
        error = next(left, None)
        if error is not None:
            raise error
        return OK

    return answer


def test_a_silent_operation_is_asked_twice_and_no_more(drive: Any, dialogue: Any) -> None:
    silent = [NoAnswer("silent", "nothing") for _ in range(5)]
    driver, transport = drive(_raises(*silent))
    outcomes = [_play(driver, dialogue(_asks)).outcome for _ in range(4)]
    assert all(isinstance(outcome, Unproven) for outcome in outcomes)
    assert len(transport.sent) == 2


def test_many_silences_are_a_death(drive: Any, dialogue: Any) -> None:
    driver, _ = drive(_raises(*[NoAnswer("silent", "nothing") for _ in range(20)]))

    def asks_much(lane: Lane) -> Any:
        for number in range(20):
            try:
                yield from send(Request("GET", f"/x{number}"))
            except NoAnswer:
                continue
        return Kept()

    with pytest.raises(TargetDied, match="12 requests in a row"):
        _play(driver, dialogue(asks_much))


def test_a_refusal_that_passes_is_no_death(drive: Any, dialogue: Any, naps: list[float]) -> None:
    driver, _ = drive(_raises(Refused("no"), Refused("no")))
    assert _play(driver, dialogue(_asks)).outcome == Kept("200")


def test_a_target_that_is_gone(drive: Any, dialogue: Any, naps: list[float]) -> None:
    driver, _ = drive(_raises(*[Refused("no")] * 9))
    with pytest.raises(TargetDied):
        _play(driver, dialogue(_asks))
    driver, _ = drive(_raises(NoAnswer("closed", "gone")), alive=lambda: False)
    with pytest.raises(TargetDied):
        asyncio.run(driver.send_from(GET.with_(method="POST"), None))


def test_a_connection_that_was_closed_while_idle_is_no_answer_lost(drive: Any, dialogue: Any) -> None:
    driver, transport = drive(_raises(NoAnswer("closed", "idle")))
    assert _play(driver, dialogue(_asks)).outcome == Kept("200")
    assert [new for _, _, new in transport.sent] == [False, True]
    assert driver.budget.sent == 2


def test_an_unsafe_request_is_never_sent_twice_on_its_own(drive: Any) -> None:
    driver, transport = drive(_raises(NoAnswer("closed", "idle")))
    with pytest.raises(NoAnswer):
        asyncio.run(driver.send_from(GET.with_(method="POST"), None))
    assert len(transport.sent) == 1


def test_who_asks_whether_it_lives_keeps_nobody_waiting(drive: Any) -> None:
    asked: list[float] = []

    def alive() -> bool:
        asked.append(time.monotonic())
        time.sleep(0.2)
        return True

    driver, _ = drive(_raises(*[NoAnswer("garbage", "x") for _ in range(8)]), alive=alive)

    async def work() -> float:
        ticks = [time.monotonic()]

        async def tick() -> None:
            while True:
                await asyncio.sleep(0.01)
                ticks.append(time.monotonic())

        ticking = asyncio.create_task(tick())
        sent = [driver.send_from(Request("GET", f"/{number}"), None) for number in range(8)]
        await asyncio.gather(*sent, return_exceptions=True)
        ticking.cancel()
        return max(b - a for a, b in itertools.pairwise(ticks))

    assert asyncio.run(work()) < 0.15
    assert len(asked) == 1


def test_the_budget_ends_a_dialogue(drive: Any, dialogue: Any) -> None:
    driver, transport = drive(lambda request: OK, budget=Budget(3, 60))

    def stubborn(lane: Lane) -> Any:
        for _ in range(10):
            try:
                yield from send(GET)
            except CannotProve as cannot:
                last = cannot
        raise last

    outcome = _play(driver, dialogue(stubborn)).outcome
    assert isinstance(outcome, Unproven)
    assert "3 requests" in outcome.reason
    assert len(transport.sent) == 3


def test_the_end_of_time_breaks_off_a_request(drive: Any) -> None:
    driver, transport = drive(lambda request: OK, budget=Budget(3, 0.1))

    async def hang(request: Request, **_: Any) -> Response:
        await asyncio.sleep(30)
        return OK

    transport.send = hang
    began = time.monotonic()
    with pytest.raises(BudgetSpent):
        asyncio.run(driver.send_from(GET, None))
    assert time.monotonic() - began < 3


def test_waits_hold_no_place(drive: Any, dialogue: Any) -> None:
    driver, _ = drive(lambda request: OK, concurrency=1)

    def waits(lane: Lane) -> Any:
        yield from wait(0.3)
        return Kept()

    async def work() -> list[Played]:
        subject = Subject("GET /me", driver.contract.operation("GET /me"))
        return await asyncio.gather(*(driver.play(dialogue(waits), subject) for _ in range(8)))

    began = time.monotonic()
    assert {played.outcome for played in asyncio.run(work())} == {Kept()}
    assert time.monotonic() - began < 1.5


def test_whoever_waits_for_a_session_keeps_nobody_from_making_it(drive: Any, dialogue: Any, naps: list[float]) -> None:
    busy = _busy(1, Response.of(429, retry_after="3"))

    def answer(request: Request) -> Response:
        response = busy(request)
        return Response.of(200, {"access_token": "a-token-of-theirs"}) if response.ok else response

    def introduced(lane: Lane) -> Any:
        yield from sign_in()
        return Kept()

    driver, _ = drive(answer, concurrency=1)

    async def work() -> list[Played]:
        subject = Subject("GET /me", driver.contract.operation("GET /me"))
        async with asyncio.timeout(20):
            return await asyncio.gather(*(driver.play(dialogue(introduced), subject) for _ in range(4)))

    assert {played.outcome for played in asyncio.run(work())} == {Kept()}
    assert naps == [3.05]


def test_a_broken_dialogue_is_our_defect(drive: Any, dialogue: Any) -> None:
    def broken(lane: Lane) -> Any:
        yield from send(GET)
        raise KeyError("slip")

    driver, _ = drive(lambda request: OK)
    with pytest.raises(HarnessError, match="slip"):
        _play(driver, dialogue(broken))


def test_a_dialogue_without_an_outcome_is_unproven(drive: Any, dialogue: Any) -> None:
    def nothing(lane: Lane) -> Any:
        yield from send(GET)

    driver, _ = drive(lambda request: OK)
    assert isinstance(_play(driver, dialogue(nothing)).outcome, Unproven)


def test_a_replay_is_told_apart_from_what_observers_see(drive: Any, dialogue: Any) -> None:
    driver, _ = drive(lambda request: OK)
    spied: list[Exchange] = []
    _play(driver, dialogue(_asks), spied=spied)
    assert len(spied) == 1
    assert not driver.watch.coverage["GET /me"]
    _play(driver, dialogue(_asks))
    assert driver.watch.coverage["GET /me"] == {"200": 1}


def test_a_burst_is_answered_in_order_on_connections_of_its_own(drive: Any, dialogue: Any) -> None:
    def bursts(lane: Lane) -> Any:
        answers = yield from burst([Request("GET", f"/{number}") for number in range(5)])
        return Kept(",".join(str(answer.json()) for answer in answers))

    driver, transport = drive(lambda request: Response.of(200, int(request.path[1:])))
    assert _play(driver, dialogue(bursts)).outcome == Kept("0,1,2,3,4")
    assert all(new for _, _, new in transport.sent)


def test_what_is_spread_is_sent_by_the_clock_and_answered_in_order(drive: Any, dialogue: Any) -> None:
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.path)
        return Response.of(200, int(request.path[1:]))

    def spreads(lane: Lane) -> Any:
        told = yield from spread(
            (after, Request("GET", f"/{number}")) for number, after in enumerate((0.03, 0.0, 0.06))
        )
        return Kept(",".join(str(each.json()) for each in told.responses)) if told.late >= 0 else None

    driver, transport = drive(answer)
    assert _play(driver, dialogue(spreads)).outcome == Kept("0,1,2")
    assert asked == ["/1", "/0", "/2"]
    assert all(new for _, _, new in transport.sent)


def test_where_no_address_can_be_chosen_a_move_is_unproven(drive: Any, dialogue: Any) -> None:
    def moves(lane: Lane) -> Any:
        yield from move()
        return Kept()

    driver, _ = drive(lambda request: OK)
    outcome = _play(driver, dialogue(moves)).outcome
    assert isinstance(outcome, Unproven)
    assert "IPv4 loopback" in outcome.reason


def test_two_people_of_one_dialogue_are_two(drive: Any, dialogue: Any) -> None:
    def answer(request: Request) -> Response:
        return Response.of(200, {"access_token": f"t{request.json()['email']}"}) if "login" in request.path else OK

    def meets(lane: Lane) -> Any:
        one = yield from sign_in()
        two = yield from sign_in()
        if one.access == two.access:
            return Finding(expected="two", actual="one")
        return Kept()

    driver, _ = drive(answer)
    played = _play(driver, dialogue(meets))
    assert played.outcome == Kept()
    assert len(played.sessions) == 2
