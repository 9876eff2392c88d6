"""Products, orders, the report: caching, conditions, idempotency, ownership, paging."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

pytestmark = pytest.mark.anyio
PRODUCTS, ORDERS = "/api/v1/products", "/api/v1/orders"


async def place(client, product, quantity=1, **headers):
    body = {"items": [{"product_id": product["id"], "quantity": quantity}]}
    return await client.post(ORDERS, json=body, headers=headers)


async def test_write_is_read_back_unchanged(shop) -> None:
    name = "Cafe\u0301 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u202eabc"
    product = await shop.product(name=name, description="a\nb", price_cents=100.0)
    async with shop.client() as client:
        found = (await client.get(f"{PRODUCTS}/{product['id']}")).json()
    assert found == product
    assert (found["name"], found["price_cents"]) == (name, 100)


@pytest.mark.parametrize(
    "change",
    [
        {"price_cents": True}, {"price_cents": "1"}, {"price_cents": 1.5}, {"price_cents": -1}, {"stock": 2**63},
        {"price_cents": None}, {"name": ""}, {"name": "a\0b"}, {"name": "x" * 201}, {"description": "\0"},
        {"category": "cars"}, {"sku": "a b"}, {"id": str(uuid4())}, {"created_at": "2026-01-01T00:00:00Z"}, {"name": ["x"]},
    ],
)  # fmt: skip
async def test_what_the_schema_excludes_is_refused_and_changes_nothing(shop, change) -> None:
    product = await shop.product()
    async with await shop.admin() as admin:
        answer = await admin.patch(f"{PRODUCTS}/{product['id']}", json={"name": "Other"} | change)
        assert answer.status_code == 422, answer.text
        assert (await admin.get(f"{PRODUCTS}/{product['id']}")).json() == product


async def test_only_administrators_write(shop) -> None:
    product = await shop.product()
    path = f"{PRODUCTS}/{product['id']}"
    async with await shop.user() as user, shop.client() as client:
        for sender, status in ((user, 403), (client, 401)):
            assert (await sender.put(path, json={})).status_code == status
            assert (await sender.patch(path, json={})).status_code == status
            assert (await sender.delete(path)).status_code == status
        assert (await client.get(path)).json() == product


async def test_sku_is_unique(shop) -> None:
    first, second = await shop.product(), await shop.product()
    async with await shop.admin() as admin:
        answer = await admin.patch(f"{PRODUCTS}/{second['id']}", json={"sku": first["sku"]})
        assert answer.status_code == 409
        assert (await admin.get(f"{PRODUCTS}/{second['id']}")).json() == second


async def test_put_replaces_and_patch_changes(shop) -> None:
    product = await shop.product(description="old")
    path = f"{PRODUCTS}/{product['id']}"
    async with await shop.admin() as admin:
        patched = (await admin.patch(path, json={"price_cents": 1})).json()
        assert (patched["price_cents"], patched["description"], patched["stock"]) == (1, "old", 10)
        whole = {"sku": product["sku"], "name": "New", "category": "books", "price_cents": 2}
        first, second = await admin.put(path, json=whole), await admin.put(path, json=whole)
        assert first.json() == second.json()
        assert first.headers["etag"] == second.headers["etag"]
        assert (first.json()["description"], first.json()["stock"]) == (None, 0)
        assert (await admin.patch(path, json={"description": None})).json()["description"] is None


async def test_deleted_stays_deleted(shop) -> None:
    product = await shop.product()
    path = f"{PRODUCTS}/{product['id']}"
    async with await shop.admin() as admin:
        await admin.get(path)
        assert (await admin.delete(path)).status_code == 204
        assert (await admin.delete(path)).status_code == 404
        assert (await admin.get(path)).status_code == 404
        assert (
            await admin.put(path, json={"sku": "ABC", "name": "x", "category": "books", "price_cents": 1})
        ).status_code == 404
        assert product["id"] not in (await admin.get(PRODUCTS)).text


async def test_reads_after_writes_are_fresh(shop) -> None:
    product = await shop.product()
    path = f"{PRODUCTS}/{product['id']}"
    async with await shop.admin() as admin, await shop.user() as user, shop.client() as client:
        for price in range(5):
            for warm in (path, PRODUCTS, f"{PRODUCTS}?category=kitchen"):
                await client.get(warm)
                await client.get(warm)
            await admin.patch(path, json={"price_cents": price})
            assert (await client.get(path)).json()["price_cents"] == price
            assert (await client.get(PRODUCTS)).json()["items"][0]["price_cents"] == price
        await place(user, product, 3)
        assert (await client.get(path)).json()["stock"] == 7
        assert (await client.get(PRODUCTS)).json()["total"] == 1
        await shop.product()
        assert (await client.get(PRODUCTS)).json()["total"] == 2


async def test_reads_come_from_the_cache(shop) -> None:
    product = await shop.product()
    path = f"{PRODUCTS}/{product['id']}"
    async with shop.client() as client:
        first = await client.get(path)
        async with shop.parts.database() as session:
            from sqlalchemy import text

            await session.execute(text("UPDATE products SET name = 'behind its back'"))
            await session.commit()
        assert (await client.get(path)).content == first.content
        shop.parts.clock.monotonic_us = lambda: 10**15  # a minute and more
        assert (await client.get(path)).json()["name"] == "behind its back"


async def test_a_slow_reader_cannot_put_old_data_back(shop) -> None:
    cache, read = shop.parts.cache, asyncio.Event()

    async def slow() -> bytes:
        await read.wait()
        return b"old"

    reader = asyncio.create_task(cache.remember("tag", "key", slow))
    await asyncio.sleep(0)
    await cache.invalidate("tag")
    read.set()
    assert await reader == b"old"

    async def fresh() -> bytes:
        return b"new"

    assert await cache.remember("tag", "key", fresh) == b"new"


async def test_absence_is_not_cached(shop) -> None:
    async with shop.client() as client:
        assert (await client.get(f"{PRODUCTS}?in_stock=true")).json()["total"] == 0
        await shop.product()
        assert (await client.get(f"{PRODUCTS}?in_stock=true")).json()["total"] == 1


async def test_if_none_match(shop) -> None:
    product = await shop.product()
    async with shop.client() as client:
        for path in (f"{PRODUCTS}/{product['id']}", PRODUCTS):
            full = await client.get(path)
            tag = full.headers["etag"]
            for field in (tag, f"W/{tag}", f'"x", {tag}', "*"):
                answer = await client.get(path, headers={"If-None-Match": field})
                assert (answer.status_code, answer.content) == (304, b""), field
                for name in ("etag", "cache-control", "vary"):
                    assert answer.headers[name] == full.headers[name]
            assert (await client.get(path, headers={"If-None-Match": '"x"'})).status_code == 200
        assert (await client.get(f"{PRODUCTS}/{uuid4()}", headers={"If-None-Match": "*"})).status_code == 404


async def test_if_match(shop) -> None:
    product = await shop.product()
    path = f"{PRODUCTS}/{product['id']}"
    async with await shop.admin() as admin, await shop.user() as user:
        tag = (await admin.get(path)).headers["etag"]
        for field in ('"x"', f"W/{tag}", "x"):
            for call in (
                lambda h: admin.patch(path, json={"stock": 1}, headers=h),
                lambda h: admin.delete(path, headers=h),
            ):
                assert (await call({"If-Match": field})).status_code == 412, field
        assert (await admin.get(path)).json() == product
        assert (await user.patch(path, json={}, headers={"If-Match": '"x"'})).status_code == 403
        assert (await admin.patch(f"{PRODUCTS}/{uuid4()}", json={}, headers={"If-Match": "*"})).status_code == 412
        changed = await admin.patch(path, json={"stock": 1}, headers={"If-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag
        assert (await admin.patch(path, json={"stock": 2}, headers={"If-Match": tag})).status_code == 412
        assert (await admin.delete(path, headers={"If-Match": f'"x", {changed.headers["etag"]}'})).status_code == 204


async def test_of_two_conditional_writers_one_wins(shop) -> None:
    product = await shop.product()
    path = f"{PRODUCTS}/{product['id']}"
    async with await shop.admin() as admin:
        tag = (await admin.get(path)).headers["etag"]
        answers = await asyncio.gather(
            *(admin.patch(path, json={"stock": number}, headers={"If-Match": tag}) for number in range(1, 7))
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 5


async def test_head_mirrors_get(shop) -> None:
    product = await shop.product()
    async with await shop.user() as user:
        for path in ("/health", PRODUCTS, f"{PRODUCTS}/{product['id']}", ORDERS, "/api/v1/users/me", "/openapi.json"):
            get, head = await user.get(path), await user.head(path)
            assert (head.status_code, head.content) == (get.status_code, b""), path
            assert head.headers.get("content-length") == get.headers.get("content-length")
            assert head.headers.get("etag") == get.headers.get("etag")


async def test_answers_to_credentials_are_private(shop) -> None:
    product = await shop.product()
    async with await shop.user() as user, shop.client() as client:
        for path in (PRODUCTS, f"{PRODUCTS}/{product['id']}"):
            assert "public" not in (await user.get(path)).headers["cache-control"]
            assert "private" in (await user.get(path)).headers["cache-control"]
            assert "public" in (await client.get(path)).headers["cache-control"]
        assert (await user.get(ORDERS)).headers["cache-control"] == "no-store"


async def test_products_are_filtered_sorted_and_paged(shop) -> None:
    for number in range(7):
        await shop.product(
            name=f"P{number % 2}", price_cents=number, stock=number % 3, category="books" if number % 2 else "music"
        )
    async with shop.client() as client:

        async def walk(query: str) -> list[dict]:
            found, path = [], f"{PRODUCTS}?{query}"
            while path:
                answer = await client.get(path)
                found += answer.json()["items"]
                path = answer.links.get("next", {}).get("url", "")
            return found

        for sort in ("name", "-name", "price_cents", "-price_cents", "created_at", "-created_at"):
            rows = await walk(f"limit=2&sort={sort}")
            keys = [row[sort.lstrip("-")] for row in rows]
            assert keys == sorted(keys, reverse=sort.startswith("-"))
            assert len({row["id"] for row in rows}) == 7
        assert {row["category"] for row in await walk("category=books&limit=2")} == {"books"}
        assert [row["price_cents"] for row in await walk("min_price_cents=2&max_price_cents=4&sort=price_cents")] == [
            2,
            3,
            4,
        ]
        assert all(row["stock"] > 0 for row in await walk("in_stock=true"))
        beyond = (await client.get(f"{PRODUCTS}?offset=100")).json()
        assert (beyond["items"], beyond["total"]) == ([], 7)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=-1", "limit=1.5", "limit=NaN", "limit=", "limit=9223372036854775808", "limit=1_0",
     "limit=%201", "limit=+1", "limit=" + "9" * 400, "offset=-1", "offset=9223372036854775808", "sort=id;--",
     "sort=password_hash", "in_stock=maybe", "category=%00"],
)  # fmt: skip
async def test_odd_queries_are_422(shop, query) -> None:
    async with shop.client() as client:
        assert (await client.get(f"{PRODUCTS}?{query}")).status_code == 422


async def test_links_take_nothing_from_the_host(shop) -> None:
    for _ in range(2):
        await shop.product()
    async with shop.client(Host="evil.example/x?") as client:
        answer = await client.get(f"{PRODUCTS}?limit=1&sort=name")
    assert answer.headers["link"] == f'<{PRODUCTS}?limit=1&sort=name&offset=1>; rel="next"'


async def test_an_order_is_its_owners_alone(shop) -> None:
    product = await shop.product()
    async with await shop.user() as alice, await shop.user() as bob, await shop.admin() as admin:
        created = await place(alice, product)
        path = created.headers["location"]
        assert (await alice.get(path)).json() == created.json()
        for other in (bob, admin):
            for call in (
                other.get(path),
                other.patch(path, json={"note": "x"}),
                other.post(f"{path}/cancel"),
                other.get(f"{path}/receipt"),
                other.delete(path),
            ):
                answer = await call
                assert answer.status_code == 404
            assert (await other.get(ORDERS)).json()["items"] == []
        foreign, missing = await bob.get(path), await bob.get(f"{ORDERS}/{uuid4()}")
        assert foreign.json() | {"request_id": ""} == missing.json() | {"request_id": ""}
        assert (await alice.get(path)).json() == created.json()


async def test_a_receipt_says_what_an_order_comes_to(shop) -> None:
    product = await shop.product(price_cents=250)
    async with await shop.user() as user:
        created = await place(user, product, 3)
        receipt = await user.get(f"{created.headers['location']}/receipt")
        assert receipt.json() == {
            "order_id": created.json()["id"], "units": 3, "total_cents": 750, "placed_at": created.json()["created_at"],
        }  # fmt: skip


async def test_stock_is_never_oversold(shop) -> None:
    product = await shop.product(stock=10)
    async with await shop.user() as user, shop.client() as client:
        answers = await asyncio.gather(*(place(user, product) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 10
        assert (await client.get(f"{PRODUCTS}/{product['id']}")).json()["stock"] == 0


async def test_a_refused_order_takes_nothing(shop) -> None:
    plenty, scarce = await shop.product(stock=5), await shop.product(stock=1)
    async with await shop.user() as user, shop.client() as client:
        items = [{"product_id": plenty["id"], "quantity": 1}, {"product_id": scarce["id"], "quantity": 2}]
        assert (await user.post(ORDERS, json={"items": items})).status_code == 409
        assert (await client.get(f"{PRODUCTS}/{plenty['id']}")).json()["stock"] == 5
        assert (await user.get(ORDERS)).json()["items"] == []
        unknown = {"items": [{"product_id": str(uuid4()), "quantity": 1}]}
        assert (await user.post(ORDERS, json=unknown)).status_code == 409


async def test_cancelling_gives_back_once(shop) -> None:
    product = await shop.product(stock=5)
    async with await shop.user() as user, shop.client() as client:
        path = (await place(user, product, 2)).headers["location"]
        for _ in range(2):
            assert (await user.post(f"{path}/cancel")).json()["status"] == "cancelled"
            assert (await client.get(f"{PRODUCTS}/{product['id']}")).json()["stock"] == 5
        assert (await user.delete(path)).status_code == 204
        assert (await user.get(path)).status_code == 404
        assert (await client.get(f"{PRODUCTS}/{product['id']}")).json()["stock"] == 5


async def test_idempotency_key(shop) -> None:
    product = await shop.product()
    async with await shop.user() as alice, await shop.user() as bob:
        key = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
        first, again = await place(alice, product, **key), await place(alice, product, **key)
        assert (first.status_code, first.json(), first.headers["location"]) == (
            again.status_code, again.json(), again.headers["location"],
        )  # fmt: skip
        assert (await place(alice, product, 2, **key)).status_code == 422
        other = await place(bob, product, **key)
        assert other.status_code == 201
        assert other.json()["id"] != first.json()["id"]
        assert len((await alice.get(ORDERS)).json()["items"]) == 1
        for bad in ('"', "", "a" * 200, '"' + "a" * 200 + '"'):
            assert (await place(alice, product, **{"Idempotency-Key": bad})).status_code == 400, bad


async def test_a_refusal_frees_the_idempotency_key(shop) -> None:
    product = await shop.product(stock=1)
    async with await shop.user() as user:
        key = {"Idempotency-Key": "retry-me-please"}
        assert (await place(user, product, 2, **key)).status_code == 409
        assert (await place(user, product, 1, **key)).status_code == 201


async def test_parallel_requests_with_one_key_make_one_order(shop) -> None:
    product = await shop.product()
    async with await shop.user() as user:
        answers = await asyncio.gather(*(place(user, product, **{"Idempotency-Key": "race"}) for _ in range(8)))
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
        assert len((await user.get(ORDERS)).json()["items"]) == 1


async def test_order_pages_partition_also_while_orders_come_in(shop) -> None:
    product = await shop.product(stock=1000)
    async with await shop.user() as user, await shop.user() as other:
        ids = [(await place(user, product)).json()["id"] for _ in range(7)]
        seen, path = [], f"{ORDERS}?limit=3"
        while path:
            answer = await user.get(path)
            seen += [order["id"] for order in answer.json()["items"]]
            path = answer.links.get("next", {}).get("url", "")
            await place(user, product)
        assert seen == ids[::-1]
        assert (await other.get(ORDERS, params={"cursor": ids[3]})).json()["items"] == []
        assert (await user.get(ORDERS, params={"cursor": "garbage"})).status_code == 422


async def test_sales_report(shop) -> None:
    tea, book = await shop.product(price_cents=100), await shop.product(category="books", price_cents=250)
    async with await shop.user() as user, await shop.admin() as admin:
        await place(user, tea, 2)
        await place(user, book, 1)
        cancelled = await place(user, tea, 1)
        await user.post(f"{cancelled.headers['location']}/cancel")
        report = {"start": "2020-01-01", "end": "2099-01-01"}
        by_category = (await admin.get("/api/v1/reports/sales", params=report | {"group_by": "category"})).json()
        assert {row["group"]: (row["orders"], row["units"], row["revenue_cents"]) for row in by_category["rows"]} == {
            "books": (1, 1, 250), "kitchen": (1, 2, 200),
        }  # fmt: skip
        assert by_category["total_cents"] == 450
        backwards = await admin.get("/api/v1/reports/sales", params={"start": "2099-01-01", "end": "2020-01-01"})
        assert backwards.json()["rows"] == []
        assert (await user.get("/api/v1/reports/sales", params=report)).status_code == 403
        for bad in ("2026-13-01", "2026-01-01T00:00:00", "1767225600", "20260101", ""):
            assert (await admin.get("/api/v1/reports/sales", params=report | {"start": bad})).status_code == 422
