"""The same backend on PostgreSQL and Redis, with two workers."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.reference.conftest import ADMIN, PRODUCT
from tests.reference.test_oauth import CALLBACK, CONSOLE, SECRET, basic, redirected, s256
from tests.services import free_port, redis_program

from upheld.reference.core.cache import Cache, RedisStore
from upheld.reference.core.clock import Clock
from upheld.reference.core.redis_link import RedisLink
from upheld.reference.core.token_bucket import MemoryTokenBuckets, RedisTokenBuckets, TokenBucket

pytestmark = pytest.mark.live


def asyncpg_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)


def test_postgresql_serves_the_whole_story(serve, postgres_url, redis_url) -> None:
    url = serve(workers=2, database_url=asyncpg_url(postgres_url), redis_url=redis_url)
    with httpx.Client(base_url=f"{url}/api/v1") as client:
        admin = {"Authorization": f"Bearer {client.post('/auth/login', json=ADMIN).json()['access_token']}"}
        product = client.post("/products", json=PRODUCT | {"sku": "PG-1", "stock": 10}, headers=admin).json()
        assert client.post("/products", json=PRODUCT | {"sku": "PG-1"}, headers=admin).status_code == 409
        body = {"email": "kim@example.test", "password": "correct horse battery"}
        client.post("/auth/register", json=body)
        user = {"Authorization": f"Bearer {client.post('/auth/login', json=body).json()['access_token']}"}
        order = {"items": [{"product_id": product["id"], "quantity": 1}]}

        def place(_: int) -> int:
            return httpx.post(f"{url}/api/v1/orders", json=order, headers=user, timeout=20).status_code

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(place, range(20)))
        assert sorted(statuses) == [201] * 10 + [409] * 10
        for _ in range(6):  # both workers, fresh connections
            assert httpx.get(f"{url}/api/v1/products/{product['id']}").json()["stock"] == 0
        first = client.get("/orders?limit=4", headers=user).json()
        second = client.get(f"/orders?limit=10&cursor={first['next_cursor']}", headers=user).json()
        assert len({item["id"] for item in first["items"] + second["items"]}) == 10
        report = client.get("/reports/sales?start=2020-01-01&end=2099-01-01&group_by=product", headers=admin).json()
        assert report["rows"] == [{"group": "PG-1", "orders": 10, "units": 10, "revenue_cents": 24950}]

        def registered(_: int) -> int:
            racer = {"email": "race@example.test", "password": "correct horse battery"}
            return httpx.post(f"{url}/api/v1/auth/register", json=racer, timeout=20).status_code

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(registered, range(8))) == [201] + [409] * 7


def test_postgresql_gives_tokens_for_a_code_once(serve, postgres_url, redis_url) -> None:
    """Two workers and row locks, where SQLite has one writer at a time."""
    database = asyncpg_url(postgres_url)
    url = serve(workers=2, database_url=database, redis_url=redis_url, oauth_client_secret=SECRET)
    with httpx.Client(base_url=f"{url}/api/v1") as client:
        body = {"email": "oauth@example.test", "password": "correct horse battery"}
        client.post("/auth/register", json=body)
        session = {"Authorization": f"Bearer {client.post('/auth/login', json=body).json()['access_token']}"}
        asked = {
            "response_type": "code", "client_id": CONSOLE, "redirect_uri": CALLBACK, "code_challenge": s256("v" * 43),
            "code_challenge_method": "S256",
        }  # fmt: skip
        code = redirected(client.get("/oauth/authorize", params=asked, headers=session))["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": "v" * 43}

        def token(form: dict[str, str]) -> httpx.Response:
            return httpx.post(f"{url}/api/v1/oauth/token", data=form, headers=basic(), timeout=20)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(token, [form] * 8))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
        tokens = next(answer.json() for answer in answers if answer.status_code == 200)
        limited = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert client.get("/users/me", headers=limited).status_code == 401

        form["code"] = redirected(client.get("/oauth/authorize", params=asked, headers=session))["code"]
        renewal = {"grant_type": "refresh_token", "refresh_token": token(form).json()["refresh_token"]}
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(token, [renewal] * 8))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


def test_workers_share_one_quota_and_restarts_keep_it(serve, redis_url) -> None:
    settings = {"redis_url": redis_url, "profile": "shipped", "login_quota": "20/day"}
    url = serve(workers=2, **settings)

    def knock(_: int) -> int:
        return httpx.post(f"{url}/api/v1/auth/login", json={}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(knock, range(80)))
    assert (statuses.count(422), statuses.count(429)) == (20, 60)
    other = serve(**settings)
    assert httpx.post(f"{other}/api/v1/auth/login", json={}).status_code == 429


@pytest.mark.anyio
async def test_redis_and_memory_buckets_agree(redis_url) -> None:
    from limits import parse

    item = parse("1000/minute")
    link = RedisLink(redis_url, 1.0, Clock())
    in_redis = TokenBucket(RedisTokenBuckets(redis_url, link.pool))
    in_memory = TokenBucket(MemoryTokenBuckets(Clock()))
    for _ in range(30):
        one, other = await in_redis.take(item, "agree"), await in_memory.take(item, "agree")
        assert one.admitted == other.admitted
        assert abs(one.remaining - other.remaining) <= 1
    drained = parse("5/minute")
    readings = await asyncio.gather(*(in_redis.take(drained, "drain") for _ in range(12)))
    assert sum(state.admitted for state in readings) == 5
    assert all(11_000_000 < state.next_token_us <= 12_000_000 for state in readings if not state.admitted)
    await in_redis.clear(drained, "drain")
    await link.aclose()


@pytest.mark.anyio
async def test_cache_in_redis_forgets_what_it_is_told_to(redis_url) -> None:
    link = RedisLink(redis_url, 1.0, Clock())
    cache, values = Cache(RedisStore(link), 60), iter([b"one", b"two"])

    async def load() -> bytes:
        return next(values)

    assert [await cache.remember("t", "k", load) for _ in range(3)] == [b"one"] * 3
    await cache.invalidate("t")
    assert [await cache.remember("t", "k", load) for _ in range(3)] == [b"two"] * 3
    await link.aclose()


def test_redis_away_fails_open_quickly_and_enforcement_returns(serve, redis_url) -> None:
    """``redis_url`` only says that there is a Redis; this one of our own is stopped and started."""
    port = free_port()
    command = [redis_program(), "--port", str(port), "--save", "", "--appendonly", "no"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def knock() -> tuple[int, float, bool]:
        begun = time.monotonic()
        answer = httpx.get(f"{url}/api/v1/products")
        return answer.status_code, time.monotonic() - begun, "ratelimit" in answer.headers

    process = start()
    try:
        url = serve(redis_url=f"redis://127.0.0.1:{port}/0", profile="shipped", default_quota="3/minute")
        assert [knock()[0] for _ in range(4)] == [200, 200, 200, 429]
        process.send_signal(signal.SIGSTOP)  # worse than gone: it takes connections and never answers
        for _ in range(4):
            code, took, limited = knock()
            assert (code, limited) == (200, False)
            assert took < 1
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)
        assert knock()[0] == 200
        process = start()
        time.sleep(1.2)
        assert [knock()[0] for _ in range(4)] == [200, 200, 200, 429]
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)
