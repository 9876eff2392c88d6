"""Within the quotas, whatever the limiter does; and no slower than they ask for."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upheld.check import Subject
from upheld.checks.ratelimit import _limiters as limiters
from upheld.contract.model import RateRule
from upheld.exchange import Headers, Request, Response, Session
from upheld.run.pace import Book, Claim, Pace, needed, stated_quota
from upheld.run.plan import Plan, Promise


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def rule(quota: int = 10, window: float = 60.0, key: str = "ip", pattern: str = "**", **rest: Any) -> RateRule:
    return RateRule(pattern, quota, window, key, **rest)


LIMITERS = [
    ("token-bucket", limiters.TokenBucket),
    ("fixed-window", limiters.FixedWindow),
    ("fixed-window", limiters.AlignedWindow),
    ("moving-window", limiters.MovingWindow),
    ("sliding-window", limiters.SlidingCounter),
]


def play(limiter: limiters.Limiter, promised: RateRule, seed: int, count: int, together: int) -> float:
    """Send ``count`` requests, up to so many at once, as fast as the book lets them. Seconds that it took.

    Raises AssertionError where the limiter would have refused one.
    """
    chance, clock = random.Random(seed), Clock()
    book = Book([promised], clock=clock)
    claim = Claim(promised, "address None")
    began, latency, answers = clock.now, promised.window / 40, list[float]()
    for _ in range(count):
        while True:
            if len(answers) >= together:
                seconds = max(0.0, min(answers) - clock.now)
            elif not (seconds := book.delay({claim: 1})):
                break
            ends = clock.now + seconds
            for answer in sorted(answers):
                if answer <= ends:
                    clock.now = max(clock.now, answer)
                    book.leave([claim])
                    answers.remove(answer)
            clock.now = ends
        book.enter([claim])
        reached = clock.now + chance.random() * latency
        # The limiter is asked in the order in which requests reach it; the next one is sent later.
        answers.append(reached + chance.random() * latency)
        assert limiter.room(reached) >= 1, f"refused {reached - began:.2f} s after the first"
        limiter.note(reached, True)
        clock.now = reached
    return clock.now - began


@pytest.mark.parametrize(("name", "kind"), LIMITERS, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("stated", [True, False])
@settings(max_examples=15)
@given(seed=st.integers(0, 9999), quota=st.integers(2, 16), begins=st.floats(0, 60), together=st.integers(1, 6))
def test_no_limiter_refuses(
    name: str, kind: type[Any], stated: bool, seed: int, quota: int, begins: float, together: int
) -> None:
    promised = rule(quota, algorithm=name if stated else "any")
    limiter = kind(quota, promised.window, 1000.0 - begins)
    play(limiter, promised, seed, 5 * quota, together)


@pytest.mark.parametrize("algorithm", ["token-bucket", "any"])
def test_it_is_about_as_fast_as_the_quota(algorithm: str) -> None:
    promised = rule(20, algorithm=algorithm)
    seconds = play(limiters.TokenBucket(20, 60.0, 1000.0), promised, 1, 19 * 4, 1)
    assert 3 * 60 <= seconds <= 4.5 * 60


def test_what_was_sent_and_not_answered_counts() -> None:
    clock, promised = Clock(), rule(4, algorithm="moving-window")
    book, claim = Book([promised], clock=clock), Claim(promised, "address None")
    for _ in range(3):
        assert not book.delay({claim: 1})
        book.enter([claim])
    assert book.delay({claim: 1}) == 60.0
    clock.now += 59
    book.leave([claim])
    assert book.delay({claim: 1}) == 60.0, "the one that was answered now may have been counted now"


def test_room_for_many_is_waited_for_together() -> None:
    clock, promised = Clock(), rule(5, algorithm="fixed-window")
    book, claim = Book([promised], clock=clock), Claim(promised, "address None")
    book.add([claim])
    clock.now += 10
    book.add([claim])
    assert not book.delay({claim: 2})
    assert book.delay({claim: 3}) == 50.0
    assert book.delay({claim: 50}) == 60.0, "more than the quota is sent with the whole of it"


TABLE = [
    rule(10, pattern="POST /auth/login"),
    rule(5, pattern="GET /search", key="ip+route"),
    rule(100, key="user-or-ip", exempt=("/health",)),
]


@pytest.mark.parametrize(
    ("method", "path", "people", "expected"),
    [
        ("POST", "/api/auth/login", set(), {"10 address a"}),
        ("POST", "/api/auth/login", {"ann"}, {"10 address a"}),
        ("GET", "/api/items/1", {"ann"}, {"100 ann"}),
        ("GET", "/api/items/1", set(), {"100 address a"}),
        ("GET", "/api/health", {"ann"}, set()),
        ("GET", "/nowhere", set(), {"100 address a"}),
        ("POST", "/api/auth//login", set(), {"100 address a", "10 address a"}),
        ("POST", "/api/auth/%6cogin", set(), {"100 address a", "10 address a"}),
        ("HEAD", "/api/search", set(), {"100 address a", "5 address a /api/search"}),
    ],
)
def test_whose_quota(method: str, path: str, people: set[str], expected: set[str]) -> None:
    claims = Book(TABLE, "/api").claims(method, path, people, "a")
    assert {f"{claim.rule.quota} {claim.key}" for claim in claims} == expected


def test_what_another_book_has_seen() -> None:
    clock = Clock()
    first, second = Book(TABLE, clock=clock), Book(TABLE, clock=clock)
    first.add([Claim(TABLE[2], "ann")])
    clock.now += 7
    for used, age in first.ages("ann"):
        second.add([Claim(used, "ann")], age)
    assert second.ages("ann") == [(TABLE[2], 7.0)]


def test_a_limit_that_is_off_holds_nobody_up() -> None:
    clock, promised = Clock(), rule(5, algorithm="token-bucket")
    book, claim = Book([promised], clock=clock), Claim(promised, "address None")
    for _ in range(13):
        book.add([claim])
        book.heard([claim], 200)
    assert not book.delay({claim: 1})
    assert not book.claims("GET", "/items", (), None)
    assert not book.known


def test_a_quota_that_somebody_else_uses_too_is_left_alone_for_a_window() -> None:
    clock, promised = Clock(), rule(5, algorithm="token-bucket")
    book, claim = Book([promised], clock=clock), Claim(promised, "address None")
    book.add([claim])
    book.heard([claim], 429)
    assert book.delay({claim: 1}) == 60.0


@pytest.mark.parametrize(
    ("policy", "quota"),
    [
        ('"default";q=100000;w=60', 100000),
        ("default;q=7;w=60", 7),
        ('"default"; q=100; w=3600', None),
        ('"default";q=100;w=60, "daily";q=5000;w=86400', None),
        ("100, 100;w=60", None),
        ("", None),
    ],
)
def test_the_quota_that_a_service_states(policy: str, quota: int | None) -> None:
    assert stated_quota(policy, 60.0) == quota


# -- who -----------------------------------------------------------------------------------------------------------------


def token(subject: str) -> str:
    parts = [{"alg": "HS256"}, {"sub": subject}]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, "c2ln"])


def session(user: str, access: str, field: str = "Authorization") -> Session:
    value = f"Bearer {access}" if field == "Authorization" else access
    return Session(user, "user", f"{user}@example.com", "", access, None, ((field, value),))


@pytest.fixture
def pace(shop: Any) -> Pace:
    limits = [{"op": "**", "quota": "4/min", "key": "user-or-ip", "algorithm": "token-bucket"}]
    return Pace(shop(rate_limits=limits), Clock())


def test_all_sessions_of_an_account_are_one_person(pace: Pace) -> None:
    first = pace.whose(Request("GET", "/me", session=session("ann", token("1"))))
    key = Session("ann's key", "user", "ann@example.com", "", "k-1", None, (("X-API-Key", "k-1"),))
    by_hand = Request("GET", "/me", headers=Headers({"Authorization": f"Bearer {token('1')}"}))
    assert first == pace.whose(Request("GET", "/me", session=key)) == pace.whose(by_hand) == {"subject 1"}
    assert pace.whose(Request("GET", "/me", headers=Headers({"X-API-Key": "k-1"}))) == {"subject 1"}


def test_a_field_of_its_own_replaces_the_session(pace: Pace) -> None:
    ann, bob = session("ann", token("1")), session("bob", "opaque")
    assert pace.whose(Request("GET", "/me", session=bob)) == {"user bob@example.com"}
    other = Request("GET", "/me", session=ann, headers=Headers({"Authorization": "Bearer opaque"}))
    assert pace.whose(other) == {"user bob@example.com"}
    assert pace.whose(Request("GET", "/me", session=ann, headers=Headers({"Authorization": "Bearer ?"}))) == set()


def test_a_credential_that_was_refused_used_the_address(pace: Pace) -> None:
    request = Request("GET", "/me", session=session("ann", token("1")), operation="GET /me")
    claims = pace.of(request, "a")
    pace.enter(claims)
    pace.leave(claims)
    pace.answered(claims, request, "a", Response(401))
    assert {name for name in ("subject 1", "address a") if pace.ages(name)} == {"subject 1", "address a"}


def test_a_stated_quota_counts_where_it_is_this_rule_s(pace: Pace) -> None:
    request = Request("GET", "/me", session=session("ann", token("1")), operation="GET /me")
    claims = pace.of(request, "a")
    (kept,) = {claim.rule for claim in claims}
    pace.enter(claims)
    pace.leave(claims)
    pace.answered(claims, request, "a", Response(200, Headers({"RateLimit-Policy": '"all";q=4000;w=60'})))
    assert pace.room(kept) == 3999


# -- driving -------------------------------------------------------------------------------------------------------------


def test_a_run_with_one_address_waits_and_says_so(drive: Any, pace: Pace, naps: list[float]) -> None:
    clock = pace._clock
    assert isinstance(clock, Clock)
    driver, transport = drive(lambda request: Response(200), on=None, pace=pace)
    told: list[str] = []

    async def work() -> None:
        for _ in range(4):
            await driver.send_from(Request("GET", "/me", operation="GET /me"), None)
        told.append("")

    async def watch() -> None:
        while not told:
            if pace.told:
                told.append(pace.told)
                clock.now += 60
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(work(), watch())

    driver.budget.seconds = 600
    asyncio.run(both())
    assert len(transport.sent) == 4
    assert naps == [60.0]
    assert told[0] == "waiting for quota: 60 s"


class Ticking(Clock):
    """Goes on with every reading, as a real one does; whoever reads it again and again is stopped."""

    readings = 0

    def __call__(self) -> float:
        self.readings += 1
        assert self.readings < 1000, "it waits without giving way to anybody"
        self.now += 1e-6
        return super().__call__()


@pytest.mark.parametrize("url", ["http://service.test", "http://127.0.0.1:1"])
def test_whoever_waits_lets_others_go_on(drive: Any, pace: Pace, naps: list[float], url: str) -> None:
    clock = Ticking()
    pace._clock = clock
    driver, transport = drive(lambda request: Response(200), url=url, pace=pace)
    driver.budget.seconds = 600
    request = Request("GET", "/me", session=session("ann", token("1")), operation="GET /me")

    async def work() -> None:
        for _ in range(4):
            await driver.send_from(request, None)

    async def time_goes_by() -> None:
        while len(transport.sent) < 4:
            clock.now += 60 if naps else 0
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(work(), time_goes_by())

    asyncio.run(both())
    assert len(transport.sent) == 4
    assert naps[0] == pytest.approx(60.0, abs=0.1)


def test_where_addresses_can_be_chosen_it_goes_on_from_another(drive: Any, pace: Pace, naps: list[float]) -> None:
    driver, transport = drive(lambda request: Response(200), url="http://127.0.0.1:1", pace=pace)
    if not driver.addresses.available:
        pytest.skip("no source addresses of 127.0.0.0/8 here")

    async def work() -> None:
        for _ in range(9):
            await driver.send_from(Request("GET", "/me", operation="GET /me"), "127.0.0.2")

    asyncio.run(work())
    used = [address for _, address, _ in transport.sent]
    assert used.count("127.0.0.2") == 3
    assert len(set(used)) == 7
    assert naps == []


def test_whoever_studies_limits_is_not_held_up(drive: Any, dialogue: Any, pace: Pace, naps: list[float]) -> None:
    from upheld.check import SERVICE, Kept, send

    def converse(lane: Any) -> Any:
        for _ in range(6):
            yield from send(Request("GET", "/me", operation="GET /me"))
        return Kept()

    driver, transport = drive(lambda request: Response(200), pace=pace)
    asyncio.run(driver.play(dialogue(converse, profile="shipped"), SERVICE))
    assert len(transport.sent) == 6
    assert naps == []


@pytest.mark.parametrize(
    ("registers", "addresses", "seconds"),
    [(True, True, 0), (True, False, 60), (False, True, 300), (False, False, 300)],
)
def test_how_long_the_quotas_take(shop: Any, dialogue: Any, registers: bool, addresses: bool, seconds: float) -> None:
    limits = [
        {"op": "POST /auth/*", "quota": "10/min", "key": "ip"},
        {"op": "**", "quota": "100/min", "key": "user-or-ip"},
    ]
    made = shop(rate_limits=limits)
    if not registers:
        made = replace(made, auth=replace(made.auth, register=None))
    check = dialogue(lambda lane: iter(()))
    check = replace(check, requirement=replace(check.requirement, cost=50))
    studies = replace(check, requirement=replace(check.requirement, profile="shipped"))
    operation = next(op for op in made.operations if op.label == "GET /me")
    promises = [Promise(check, Subject(str(number), operation=operation)) for number in range(10)]
    promises += [Promise(studies, Subject(str(number), operation=operation)) for number in range(90)]
    assert needed(made, Plan(tuple(promises)), addresses=addresses) == seconds
