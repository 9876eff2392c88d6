"""The token bucket, its rules and what the answers say about it."""

from __future__ import annotations

import pytest
from limits import parse
from limits.aio.storage import MemoryStorage
from tests.reference.conftest import PASSWORD

from upheld.reference.core.clock import Clock
from upheld.reference.core.token_bucket import MemoryTokenBuckets, TokenBucket

pytestmark = pytest.mark.anyio
LOGIN = "/api/v1/auth/login"
CREDENTIALS = {"email": "nobody@example.test", "password": PASSWORD}


class SetClock(Clock):
    def __init__(self) -> None:
        self.us = 0

    def monotonic_us(self) -> int:
        return self.us

    def pass_seconds(self, seconds: float) -> None:
        self.us += round(seconds * 1_000_000)


async def admitted(bucket: TokenBucket, item, times: int) -> int:
    return sum([await bucket.hit(item, "key") for _ in range(times)])


@pytest.mark.parametrize(
    ("quota", "window"), [("10/minute", 60), ("7/minute", 60), ("100/minute", 60), ("3/second", 1)]
)
async def test_bucket_admits_its_quota_and_refills_at_its_rate(quota, window) -> None:
    clock, item = SetClock(), parse(quota)
    bucket = TokenBucket(MemoryTokenBuckets(clock))
    assert await admitted(bucket, item, 2 * item.amount) == item.amount
    clock.pass_seconds(1.6 * window / item.amount)
    assert await admitted(bucket, item, 3) == 1
    clock.pass_seconds(window / 2)
    assert await admitted(bucket, item, item.amount) in (item.amount // 2, item.amount // 2 + 1)
    clock.pass_seconds(10 * window)
    assert await admitted(bucket, item, 2 * item.amount) == item.amount


async def test_no_time_is_lost_to_rounding() -> None:
    clock, item = SetClock(), parse("7/minute")
    bucket = TokenBucket(MemoryTokenBuckets(clock))
    await admitted(bucket, item, 7)
    taken = 0
    for _ in range(60_000):
        clock.pass_seconds(0.01)
        taken += await bucket.hit(item, "key")
    assert taken == 70  # ten minutes


async def test_retry_after_is_neither_early_nor_late() -> None:
    clock, item = SetClock(), parse("10/minute")
    bucket = TokenBucket(MemoryTokenBuckets(clock))
    await admitted(bucket, item, 10)
    clock.pass_seconds(2.5)
    state = await bucket.take(item, "key")
    assert (state.admitted, state.next_token_us) == (False, 3_500_000)
    clock.pass_seconds(3.4999)
    assert not await bucket.hit(item, "key")
    clock.pass_seconds(0.0001)
    assert await bucket.hit(item, "key")


async def test_limits_interface_is_kept() -> None:
    item = parse("2/minute")
    bucket = TokenBucket(MemoryTokenBuckets(SetClock()))
    assert await bucket.test(item, "key", cost=2)
    assert not await bucket.hit(item, "key", cost=3)
    assert await bucket.hit(item, "key", cost=2)
    assert not await bucket.test(item, "key")
    assert (await bucket.get_window_stats(item, "key")).remaining == 0
    with pytest.raises(NotImplementedError):
        TokenBucket(MemoryStorage())


async def test_buckets_that_are_full_again_are_forgotten() -> None:
    clock, item = SetClock(), parse("10/minute")
    buckets = MemoryTokenBuckets(clock)
    bucket = TokenBucket(buckets)
    for number in range(5000):
        await bucket.hit(item, str(number))
        clock.pass_seconds(1)
    assert len(buckets.buckets) < 1100


async def test_exactly_the_quota_is_admitted_and_the_answers_count_down(shop_with) -> None:
    async with shop_with(profile="shipped") as shop, shop.client() as client:
        answers = [await client.post(LOGIN, json=CREDENTIALS) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert [answer.headers["ratelimit"] for answer in answers[:3]] == [f'"login";r={left};t=6' for left in (9, 8, 7)]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"login";q=10;w=60'}
    assert not any("retry-after" in answer.headers for answer in answers[:10])
    refused = answers[10]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["violated-policies"] == ["login"]
    assert 1 <= int(refused.headers["retry-after"]) <= 6
    assert refused.headers["cache-control"] == "no-store"
    assert refused.headers["ratelimit"] == f'"login";r=0;t={refused.headers["retry-after"]}'


async def test_invalid_bodies_and_wrong_types_count(shop_with) -> None:
    async with shop_with(profile="shipped") as shop, shop.client() as client:
        for _ in range(4):
            assert (await client.post(LOGIN, json={})).status_code == 422
            assert (await client.post(LOGIN, content=b"x", headers={"Content-Type": "text/plain"})).status_code == 415
        assert (await client.post(LOGIN, json=CREDENTIALS)).headers["ratelimit"].startswith('"login";r=1;')


async def test_refused_registration_makes_no_account(shop_with) -> None:
    async with shop_with(profile="shipped") as shop, shop.client() as client:
        people = [f"p{number}@example.test" for number in range(7)]
        answers = [await client.post("/api/v1/auth/register", json={"email": e, "password": PASSWORD}) for e in people]
        assert [answer.status_code for answer in answers] == [201] * 5 + [429] * 2
        async with shop.client("10.0.0.2") as elsewhere:
            for email, status in ((people[4], 200), (people[5], 401)):
                answer = await elsewhere.post(LOGIN, json={"email": email, "password": PASSWORD})
                assert answer.status_code == status


async def test_partitions(shop_with) -> None:
    async with shop_with(profile="shipped", default_quota="5/minute") as shop:
        alice, bob = await shop.user(), await shop.user()
        async with alice, bob, shop.client() as anonymous, shop.client("10.0.0.2") as elsewhere:

            async def drain(client, **headers) -> int:
                answers = [await client.get("/api/v1/products", headers=headers) for _ in range(8)]
                return sum(answer.status_code != 429 for answer in answers)

            assert [await drain(client) for client in (alice, bob, anonymous, elsewhere)] == [5, 5, 5, 5]
            for other in (shop.client("10.0.0.3", **alice.headers), shop.client("10.0.0.1", Host="other")):
                async with other:
                    assert await drain(other) == 0
            for header in (
                "X-Forwarded-For",
                "Forwarded",
                "X-Real-IP",
                "X-Client-IP",
                "True-Client-IP",
                "CF-Connecting-IP",
            ):
                assert await drain(anonymous, **{header: "for=10.1.1.1" if header == "Forwarded" else "10.1.1.1"}) == 0
            assert await drain(anonymous, Host="x/health?") == 0
            assert await drain(anonymous, Authorization="Bearer made.up.token") == 0
            assert await drain(anonymous, **{"X-API-Key": "uk_made_up"}) == 0
            assert (await anonymous.get("/nope")).status_code == 429
            assert (await anonymous.head("/api/v1/products")).status_code == 429
            assert (await anonymous.get("/api/v1/%70roducts?x=1")).status_code == 429
            for _ in range(12):
                assert (await anonymous.get("/health")).status_code == 200
            preflight = {"Origin": "https://app.example.test", "Access-Control-Request-Method": "GET"}
            assert (await anonymous.options("/api/v1/products", headers=preflight)).status_code == 204


async def test_an_ipv6_network_is_one_partition(shop_with) -> None:
    async with shop_with(profile="shipped", default_quota="2/minute") as shop:
        statuses = []
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"):
            async with shop.client(address) as client:
                statuses.append((await client.get("/api/v1/products")).status_code)
    assert statuses == [200, 200, 429, 200]


async def test_raised_profile_raises_every_quota(shop) -> None:
    async with shop.client() as client:
        answer = await client.post(LOGIN, json=CREDENTIALS)
    assert answer.headers["ratelimit-policy"] == '"login";q=10000;w=60'
