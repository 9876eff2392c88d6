"""Passwords, tokens, sessions, API keys and roles."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from uuid import uuid4

import httpx
import jwt
import pytest
from tests.reference.conftest import ADMIN, PASSWORD, PRODUCT

pytestmark = pytest.mark.anyio
ME = "/api/v1/users/me"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def register(client: httpx.AsyncClient, password: str, email: str = "") -> httpx.Response:
    email = email or f"{uuid4().hex}@example.test"
    return await client.post("/api/v1/auth/register", json={"email": email, "password": password})


async def test_created_account_is_where_its_location_says(shop) -> None:
    async with shop.client() as client:
        created = await register(client, PASSWORD, "kim@example.test")
        tokens = await shop.tokens("kim@example.test")
        found = await client.get(created.headers["location"], headers=bearer(tokens["access_token"]))
    assert created.status_code == 201
    assert created.headers["location"].endswith(created.json()["id"])
    assert found.json() == created.json()


@pytest.mark.parametrize(
    "password",
    ["a" * 7, "a" * 73, "a" * 10_000, "ab\0cdefgh", "password", "12345678", "qwertyuiop", "pässwörter", "tab\tinside"],
)
async def test_passwords_that_are_refused(shop, password) -> None:
    async with shop.client() as client:
        assert (await register(client, password)).status_code == 422


@pytest.mark.parametrize("password", ["a" * 72, "x1 " * 3, " leading and trailing ", "long lower case phrase of words"])
async def test_passwords_that_are_taken_exactly(shop, password) -> None:
    email = f"{uuid4().hex}@example.test"
    async with shop.client() as client:
        assert (await register(client, password, email)).status_code == 201
        for attempt, status in [
            (password, 200), (password.strip(), 200 if password == password.strip() else 401),
            (password + "x", 401), (password.upper(), 401), (password[:-1], 401), (password + "\0", 401),
        ]:  # fmt: skip
            answer = await client.post("/api/v1/auth/login", json={"email": email, "password": attempt})
            assert answer.status_code == status, repr(attempt)


async def test_email_as_password_is_refused(shop) -> None:
    async with shop.client() as client:
        assert (await register(client, "kim@example.test", "kim@example.test")).status_code == 422


async def test_addresses_are_canonical(shop) -> None:
    async with shop.client() as client:
        assert (await register(client, PASSWORD, "alice@example.test")).status_code == 201
        assert (await register(client, PASSWORD, "ALICE@Example.TEST")).status_code == 409
        for odd in (" alice@example.test", "alice@example.test ", "\uff41lice@example.test", "alice@example.test\n"):
            assert (await register(client, PASSWORD, odd)).status_code == 422, repr(odd)
        assert (
            await client.post("/api/v1/auth/login", json={"email": "Alice@example.test", "password": PASSWORD})
        ).is_success


async def test_role_cannot_be_assigned_at_registration(shop) -> None:
    async with shop.client() as client:
        body = {"email": "eve@example.test", "password": PASSWORD, "role": "admin"}
        assert (await client.post("/api/v1/auth/register", json=body)).status_code == 422


async def test_unknown_user_and_wrong_password_look_the_same(shop) -> None:
    await shop.tokens()
    async with shop.client() as client:
        answers = [
            await client.post("/api/v1/auth/login", json={"email": email, "password": "not the password"})
            for email in (ADMIN["email"], "nobody@example.test")
        ]
    bodies = [answer.json() | {"request_id": ""} for answer in answers]
    assert bodies[0] == bodies[1]
    assert [answer.status_code for answer in answers] == [401, 401]


async def test_unknown_user_costs_a_hash_too(shop_with) -> None:
    async with shop_with(bcrypt_cost=8) as shop, shop.client() as client:
        took = {}
        for email in (ADMIN["email"], "nobody@example.test"):
            begun = time.perf_counter()
            for _ in range(4):
                await client.post("/api/v1/auth/login", json={"email": email, "password": "not the password"})
            took[email] = time.perf_counter() - begun
    assert 0.4 < took["nobody@example.test"] / took[ADMIN["email"]] < 2.5


async def test_hashing_does_not_hold_up_others(shop_with) -> None:
    async with shop_with(bcrypt_cost=11) as shop, shop.client() as client:
        logins = [
            asyncio.create_task(client.post("/api/v1/auth/login", json={"email": "a@b.test", "password": "x"}))
            for _ in range(4)
        ]
        await asyncio.sleep(0.02)
        begun = time.perf_counter()
        assert (await client.get("/health")).status_code == 200
        assert time.perf_counter() - begun < 0.1
        assert not all(login.done() for login in logins)
        await asyncio.gather(*logins)


async def test_tokens_say_how_long_they_live_and_no_more_than_needed(shop) -> None:
    async with shop.client() as client:
        answer = await client.post("/api/v1/auth/login", json=ADMIN)
    body = answer.json()
    access = jwt.decode(body["access_token"], options={"verify_signature": False})
    refresh = jwt.decode(body["refresh_token"], options={"verify_signature": False})
    assert answer.headers["cache-control"] == "no-store"
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == access["exp"] - access["iat"] == 15 * 60
    assert refresh["exp"] - refresh["iat"] == 7 * 24 * 3600
    assert set(access) == {"iss", "aud", "sub", "sid", "jti", "type", "iat", "nbf", "exp"}


def forge(header: dict, claims: dict, key: str, digest: str = "sha256") -> str:
    """A JWS by hand: libraries check what they sign."""

    def part(octets: bytes) -> str:
        return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()

    content = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{content}.{part(hmac.digest(key.encode(), content.encode(), digest))}"


def forgeries(key: str, required: tuple[str, ...], good: str) -> dict[str, str]:
    header = jwt.get_unverified_header(good)
    claims = jwt.decode(good, options={"verify_signature": False})
    now = int(time.time())
    first, second, third = good.split(".")
    changed_claims: dict[str, dict] = {
        "expired": {"exp": now - 61},
        "exp as text": {"exp": "9999999999"},
        "exp 1e308": {"exp": 1e308},
        "exp true": {"exp": True},
        "exp in thirty years": {"exp": now + 10**9},
        "nbf in the future": {"nbf": now + 600},
        "iat in the future": {"iat": now + 600},
        "other issuer": {"iss": "somebody"},
        "other audience": {"aud": "somebody"},
        "other kind": {"type": "refresh"},
        "sub is no id": {"sub": "admin"},
        "sid is a number": {"sid": 1},
        "jti is null": {"jti": None},
        "unknown user": {"sub": str(uuid4())},
        "unknown session": {"sid": str(uuid4())},
        "10 kB": {"x": "a" * 10_000},
    }
    changed_header: dict[str, dict] = {
        "other typ": {"typ": "JWT"},
        "kid": {"kid": "../../dev/null"},
        "jku": {"jku": "http://127.0.0.1:9/keys"},
        "crit": {"crit": ["x"]},
        "alg none": {"alg": "none"},
        "alg nOnE": {"alg": "nOnE"},
        "HS512 in name": {"alg": "HS512"},
    }
    return {
        "other key": forge(header, claims, "x" * 48),
        "HS384": forge(header | {"alg": "HS384"}, claims, key, "sha384"),
        "HS512": forge(header | {"alg": "HS512"}, claims, key, "sha512"),
        "no signature": f"{first}.{second}.",
        "two parts": f"{first}.{second}",
        "five parts": f"{good}.a.b",
        "changed signature": f"{first}.{second}.{'A' if third[0] != 'A' else 'B'}{third[1:]}",
        "padded": good + "=",
        "second spelling of the signature": good[:-1] + chr(ord(good[-1]) + 1),
        **{name: forge(header, claims | change, key) for name, change in changed_claims.items()},
        **{name: forge(header | change, claims, key) for name, change in changed_header.items()},
        **{f"no {gone}": forge(header, {k: v for k, v in claims.items() if k != gone}, key) for gone in required},
    }


async def test_forged_tokens_are_refused_and_the_resigned_one_is_not(shop) -> None:
    good = (await shop.tokens())["access_token"]
    claims = jwt.decode(good, options={"verify_signature": False})
    key, required = shop.parts.tokens.key, (*shop.parts.tokens.REQUIRED, "sid")
    resigned = forge(jwt.get_unverified_header(good), claims, key)
    async with shop.client() as client:
        assert (await client.get(ME, headers=bearer(resigned))).status_code == 200
        for name, token in forgeries(key, required, good).items():
            answer = await client.get(ME, headers=bearer(token))
            assert answer.status_code == 401, name
            assert answer.headers["www-authenticate"] == 'Bearer realm="upheld", error="invalid_token"', name


async def test_kinds_of_tokens_are_not_exchangeable(shop) -> None:
    tokens = await shop.tokens()
    async with shop.client() as client:
        assert (await client.get(ME, headers=bearer(tokens["refresh_token"]))).status_code == 401
        answer = await client.post("/api/v1/auth/refresh", json={"refresh_token": tokens["access_token"]})
        assert answer.status_code == 401


async def test_credentials_are_read_as_the_rfcs_say(shop) -> None:
    token = (await shop.tokens())["access_token"]
    plain, malformed = 'Bearer realm="upheld"', 'Bearer realm="upheld", error="invalid_request"'
    async with shop.client() as client:
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert (await client.get(ME, headers={"Authorization": f"{scheme} {token}"})).status_code == 200
        assert (await client.get(ME, params={"access_token": token})).status_code == 401
        for value, status, challenge in [
            (None, 401, plain), ("Basic YTpi", 401, plain), ("", 401, plain), ("Bearer", 400, malformed),
            ("Bearer  ", 400, malformed), (f"Bearer {token} {token}", 400, malformed),
        ]:  # fmt: skip
            answer = await client.get(ME, headers={} if value is None else {"Authorization": value})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (status, challenge), value
        twice = await client.get(ME, headers=[("Authorization", f"Bearer {token}")] * 2)
        assert twice.status_code == 400


async def test_401_comes_before_415_and_422_and_403_too(shop) -> None:
    async with shop.client() as client, await shop.user() as user:
        for content_type in ("text/plain", "application/json"):
            headers = {"Content-Type": content_type}
            assert (await client.post("/api/v1/products", content=b"{", headers=headers)).status_code == 401
            answer = await user.post("/api/v1/products", content=b"{", headers=headers)
            assert answer.status_code == 403
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert (await client.get("/api/v1/orders/not-an-id")).status_code == 401


async def test_refresh_rotates_and_reuse_ends_the_family(shop) -> None:
    first = await shop.tokens()
    async with shop.client() as client:

        async def refresh(token: str) -> httpx.Response:
            return await client.post("/api/v1/auth/refresh", json={"refresh_token": token})

        second = (await refresh(first["refresh_token"])).json()
        assert second["refresh_token"] != first["refresh_token"]
        assert (await client.get(ME, headers=bearer(second["access_token"]))).status_code == 200
        assert (await refresh(first["refresh_token"])).status_code == 401
        assert (await refresh(second["refresh_token"])).status_code == 401
        assert (await client.get(ME, headers=bearer(second["access_token"]))).status_code == 401


async def test_of_parallel_refreshes_one_wins(shop) -> None:
    token = (await shop.tokens())["refresh_token"]
    async with shop.client() as client:
        answers = await asyncio.gather(
            *(client.post("/api/v1/auth/refresh", json={"refresh_token": token}) for _ in range(8))
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


async def test_logout_ends_refresh_and_access(shop) -> None:
    tokens, other = await shop.tokens(), await shop.tokens()
    async with shop.client() as client:
        for _ in range(2):
            answer = await client.post("/api/v1/auth/logout", json={"refresh_token": tokens["refresh_token"]})
            assert (answer.status_code, answer.content) == (204, b"")
            assert not {"content-length", "content-type", "transfer-encoding"} & set(answer.headers)
        refreshed = await client.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert refreshed.status_code == 401
        assert (await client.get(ME, headers=bearer(tokens["access_token"]))).status_code == 401
        assert (await client.get(ME, headers=bearer(other["access_token"]))).status_code == 200


async def test_password_change_needs_the_old_one_and_ends_other_sessions(shop) -> None:
    async with shop.client() as client:
        await register(client, PASSWORD, "pat@example.test")
        here, there = await shop.tokens("pat@example.test"), await shop.tokens("pat@example.test")
        mine = bearer(here["access_token"])
        wrong = {"current_password": "wrong", "new_password": "another good password"}
        assert (await client.put(f"{ME}/password", json=wrong, headers=mine)).status_code == 403
        right = {"current_password": PASSWORD, "new_password": "another good password"}
        assert (await client.put(f"{ME}/password", json=right, headers=mine)).status_code == 204
        assert (await client.get(ME, headers=mine)).status_code == 200
        assert (await client.get(ME, headers=bearer(there["access_token"]))).status_code == 401
        login = {"email": "pat@example.test", "password": PASSWORD}
        assert (await client.post("/api/v1/auth/login", json=login)).status_code == 401


async def test_an_account_goes_with_all_that_is_its_own(shop) -> None:
    async with await shop.user() as user, await shop.admin() as admin, shop.client() as client:
        me = (await user.get(ME)).json()
        key = (await user.post("/api/v1/api-keys", json={"name": "export"})).json()["key"]
        product = (await admin.post("/api/v1/products", json=PRODUCT | {"sku": "DEL-1"})).json()
        order = {"items": [{"product_id": product["id"], "quantity": 1}]}
        assert (await user.post("/api/v1/orders", json=order)).status_code == 201
        tokens = await shop.tokens(me["email"])
        assert (await user.delete(ME)).status_code == 204
        assert (await user.get(ME)).status_code == 401
        assert (await client.get(ME, headers={"X-API-Key": key})).status_code == 401
        renewed = await client.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        login = await client.post("/api/v1/auth/login", json={"email": me["email"], "password": PASSWORD})
        assert (renewed.status_code, login.status_code) == (401, 401)
        assert (await admin.get(f"/api/v1/users/{me['id']}")).status_code == 404
        assert (await register(client, PASSWORD, me["email"])).status_code == 201
        again = await shop.tokens(me["email"])
        assert (await client.get("/api/v1/orders", headers=bearer(again["access_token"]))).json()["items"] == []
        assert (await admin.delete(ME)).status_code == 409


async def test_disabling_a_user_ends_their_sessions(shop) -> None:
    async with await shop.user() as user, await shop.admin() as admin:
        me = (await user.get(ME)).json()
        answer = await admin.patch(f"/api/v1/admin/users/{me['id']}", json={"disabled": True})
        assert answer.json()["disabled"] is True
        assert (await user.get(ME)).status_code == 401


async def test_a_change_of_role_counts_at_once(shop) -> None:
    async with await shop.user() as user, await shop.admin() as admin:
        me = (await user.get(ME)).json()
        assert (await user.get("/api/v1/admin/users")).status_code == 403
        await admin.patch(f"/api/v1/admin/users/{me['id']}", json={"role": "admin"})
        assert (await user.get("/api/v1/admin/users")).status_code == 200


async def test_administrators_cannot_lock_themselves_out(shop) -> None:
    async with await shop.admin() as admin:
        me = (await admin.get(ME)).json()
        for patch in ({"disabled": True}, {"role": "user"}):
            assert (await admin.patch(f"/api/v1/admin/users/{me['id']}", json=patch)).status_code == 409


async def test_another_users_account_is_as_missing_as_none(shop) -> None:
    async with await shop.user() as alice, await shop.user() as bob, await shop.admin() as admin:
        path = f"/api/v1/users/{(await alice.get(ME)).json()['id']}"
        foreign, missing = await bob.get(path), await bob.get(f"/api/v1/users/{uuid4()}")
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json() | {"request_id": ""} == missing.json() | {"request_id": ""}
        assert (await admin.get(path)).status_code == 200


async def test_api_keys_are_shown_once_checked_exactly_and_revocable(shop) -> None:
    async with await shop.user() as user, shop.client() as client:
        created = await user.post("/api/v1/api-keys", json={"name": "export"})
        key = created.json()["key"]
        shown = (await user.get(created.headers["location"])).json()
        assert "key" not in shown
        assert key.startswith(shown["hint"])

        async def use(text: str, path: str = "/api/v1/orders") -> int:
            return (await client.get(path, headers={"X-API-Key": text})).status_code

        assert [await use(key), await use(key, ME), await use(key, "/api/v1/products")] == [200, 200, 200]
        assert await use(key, "/api/v1/api-keys") == 401
        for wrong in (key[:-1], key.swapcase(), key + "a", "", "x", key[:20], key[:-1] + chr(ord(key[-1]) ^ 1)):
            assert await use(wrong) == 401, wrong
            assert await use(wrong, "/api/v1/products") == 401, wrong
        both = await user.get("/api/v1/orders", headers={"X-API-Key": key})
        assert both.status_code == 400
        assert (await user.get("/api/v1/orders", headers={"X-API-Key": "forged"})).status_code == 401
        assert (await user.delete(created.headers["location"])).status_code == 204
        assert (await user.delete(created.headers["location"])).status_code == 404
        assert await use(key) == 401


async def test_of_parallel_registrations_one_wins(shop) -> None:
    async with shop.client() as client:
        answers = await asyncio.gather(*(register(client, PASSWORD, "race@example.test") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


async def test_users_are_paged_with_links(shop) -> None:
    for _ in range(4):
        await shop.tokens()
    async with await shop.admin() as admin:
        seen, path = [], "/api/v1/admin/users?limit=2"
        while path:
            answer = await admin.get(path)
            seen += [user["id"] for user in answer.json()["items"]]
            path = answer.links.get("next", {}).get("url", "")
        assert len(seen) == len(set(seen)) == answer.json()["total"] == 5
