"""CORS and the fields that every answer carries."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.anyio
ALLOWED = "https://app.example.test"
FOREIGN = [
    "https://evil.example", "null", "http://app.example.test", "https://app.example.test:8443", "https://app.example.test.",
    "https://app.example.test.evil.example", "https://evilapp.example.test", "HTTPS://APP.EXAMPLE.TEST", "https://app_example.test",
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
async def test_other_origins_get_nothing(shop, origin) -> None:
    async with shop.client(Origin=origin) as client:
        for answer in (
            await client.get("/api/v1/products"),
            await client.options("/api/v1/products", headers={"Access-Control-Request-Method": "GET"}),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert "Origin" in answer.headers["vary"]


async def test_the_allowed_origin_can_read_answers_and_errors(shop_with) -> None:
    async with shop_with(profile="shipped", default_quota="4/minute") as shop, shop.client(Origin=ALLOWED) as client:
        paths = ("/health", "/api/v1/products", "/nope", "/api/v1/users/me", "/api/v1/debug/fault", "/api/v1/products")
        answers = [await client.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 401, 500, 429]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ALLOWED
        assert "access-control-allow-credentials" not in answer.headers
        assert {"Retry-After", "RateLimit", "RateLimit-Policy", "Location", "ETag", "Link"} <= set(
            answer.headers["access-control-expose-headers"].split(", ")
        )


async def test_preflight_is_exact_and_needs_no_credentials(shop) -> None:
    async with shop.client(Origin=ALLOWED) as client:
        headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        answer = await client.options("/api/v1/orders", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, POST, OPTIONS"
    assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(
        answer.headers["access-control-allow-headers"].split(", ")
    )
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "ratelimit" not in answer.headers


@pytest.mark.parametrize("path", ["/health", "/nope", "/openapi.json", "/api/v1/users/me", "/api/v1/debug/fault"])
async def test_security_headers_are_everywhere(shop, path) -> None:
    async with shop.client() as client:
        answer = await client.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get_list("vary") == ["Origin"]
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/metrics", "/debug", "/.env", "/.git/HEAD", "/admin", "/graphql"])
async def test_there_is_no_other_surface(shop, path) -> None:
    async with shop.client() as client:
        assert (await client.get(path)).status_code == 404
