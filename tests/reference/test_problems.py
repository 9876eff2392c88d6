"""Every error is a problem document, whoever makes it."""

from __future__ import annotations

import json

import pytest
from tests.reference.conftest import ADMIN, PASSWORD

pytestmark = pytest.mark.anyio
LOGOUT = "/api/v1/auth/logout"
JSON = {"Content-Type": "application/json"}


def assert_problem(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["type"]
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


MALFORMED = {
    "truncated": b'{"a":',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "1e400": b'{"a": 1e400}',
    "5000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "lone surrogate": b'{"a": "\\ud800"}',
    "lone surrogate as a name": b'{"\\udfff": 1}',
    "not UTF-8": b"\xff\xfe",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "repeated name": b'{"a": 1, "a": 2}',
    "100000 nested arrays": b"[" * 100_000,
    "5000 nested objects": b'{"a":' * 5000,
    "65 balanced levels": b"[" * 65 + b"]" * 65,
    "overlong UTF-8": b'{"a": "\xc0\x80"}',
    "20000 arrays side by side": b"[" + b"[]," * 20_000 + b"[]]",
    "a string of quotes without an end": b"[" + b"[]," * 70 + b'"' + b'\\"' * 100_000 + b"\\",
    "2000 members": json.dumps({str(number): 0 for number in range(2000)}).encode(),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_json_is_a_400(shop, body) -> None:
    async with shop.client() as client:
        assert_problem(await client.post(LOGOUT, content=body, headers=JSON), 400)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"1", b'"x"', b"{}", b'{"refresh_token": 1}'])
async def test_json_of_the_wrong_shape_is_a_422(shop, body) -> None:
    async with shop.client() as client:
        document = assert_problem(await client.post(LOGOUT, content=body, headers=JSON), 422)
    assert all(error["pointer"].startswith("#/body") for error in document["errors"])


async def test_a_surrogate_pair_is_a_character(shop) -> None:
    async with shop.client() as client:
        answer = await client.post(LOGOUT, content=b'{"refresh_token": "\\ud83d\\ude00"}', headers=JSON)
    assert_problem(answer, 401)


async def test_validation_points_at_each_field_and_echoes_none(shop) -> None:
    async with shop.client() as client:
        body = {"email": "no address", "password": "canary-4711\0"}
        answer = await client.post("/api/v1/auth/register", json=body)
    document = assert_problem(answer, 422)
    assert {error["pointer"] for error in document["errors"]} == {"#/body/email", "#/body/password"}
    assert "canary-4711" not in answer.text
    assert "no address" not in answer.text


async def test_pointer_escapes_what_json_pointer_escapes(shop) -> None:
    async with shop.client() as client:
        answer = await client.post(LOGOUT, json={"refresh_token": "x", "a/b~c": 1})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/body/a~1b~0c"]


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ({"Content-Type": "text/plain"}, "accept"),
        ({"Content-Type": ""}, "accept"),
        ({"Content-Type": "application/xml"}, "accept"),
        ({"Content-Type": "application/json; charset=utf-16"}, "accept"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "accept-encoding"),
    ],
)
async def test_415_says_what_would_be_read(shop, headers, names) -> None:
    async with shop.client() as client:
        answer = await client.post(LOGOUT, content=b"{}", headers=headers)
    assert_problem(answer, 415)
    assert names in answer.headers
    assert len({"accept", "accept-encoding"} & set(answer.headers)) == 1


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/merge-patch+json", "Application/JSON"]
)
async def test_spellings_of_json_are_read(shop, kind) -> None:
    async with shop.client() as client:
        assert_problem(await client.post(LOGOUT, content=b"{}", headers={"Content-Type": kind}), 422)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/html", 406),
        ("text/html;q=1, */*;q=0", 406),
        ("application/json;q=0, */*", 406),
        ("application/*", 200),
        ("*/*;q=0.1", 200),
        ("text/html, application/json;q=0.2", 200),
        (";;;,", 406),
    ],
)
async def test_accept_is_honoured(shop, accept, status) -> None:
    async with shop.client() as client:
        answer = await client.get("/health", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 406:
        assert_problem(answer, 406)


async def test_router_errors_are_problems_and_allow_is_complete(shop) -> None:
    async with shop.client() as client:
        for path in ("/nope", "/api/v1/nope", "/api/v1/products/", "/api/v2/products", "/products", "//health"):
            assert_problem(await client.get(path), 404)
        answer = await client.put("/api/v1/products")
        assert_problem(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD, POST, OPTIONS"
        assert_problem(await client.request("TRACE", "/health"), 405)
        for method in ("FOO", "A" * 200):
            assert_problem(await client.request(method, "/health"), 501)
        answer = await client.options("/api/v1/products/x")
        assert answer.status_code == 204
        assert answer.headers["allow"] == "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"


async def test_no_redirect_takes_its_host_from_the_request(shop) -> None:
    async with shop.client(Host="evil.example") as client:
        answer = await client.get("/api/v1/products/")
    assert_problem(answer, 404)
    assert "evil" not in str(answer.headers) + answer.text


async def test_a_crash_is_a_generic_500_with_all_headers(shop) -> None:
    async with shop.client(Origin="https://app.example.test") as client:
        answer = await client.get("/api/v1/debug/fault")
    document = assert_problem(answer, 500)
    assert set(document) == {"type", "title", "status", "request_id"}
    assert answer.headers["access-control-allow-origin"] == "https://app.example.test"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_fault_route_is_not_there_by_default(shop_with) -> None:
    async with shop_with(fault_route=False) as shop, shop.client() as client:
        assert_problem(await client.get("/api/v1/debug/fault"), 404)


async def test_bounds_of_the_head(shop) -> None:
    async with shop.client() as client:
        assert_problem(await client.get("/health?" + "a" * 60_000), 414)
        assert_problem(await client.get("/health", headers={"X-A": "a" * 65536}), 431)
        assert_problem(await client.get("/health", headers={f"X-{number}": "1" for number in range(200)}), 431)


async def test_bound_of_the_body_is_exact(shop_with) -> None:
    async with shop_with(body_limit=64) as shop, shop.client() as client:
        body = b'{"refresh_token": "' + b"a" * 43 + b'"}'
        assert len(body) == 64
        assert_problem(await client.post(LOGOUT, content=body, headers=JSON), 401)
        assert_problem(await client.post(LOGOUT, content=body + b" ", headers=JSON), 413)

        async def chunks():
            yield body
            yield b" "

        answer = await client.post(LOGOUT, content=chunks(), headers=JSON)
        assert_problem(answer, 413)
        assert answer.headers["connection"] == "close"


async def test_maintenance_answers_503_and_can_be_left(shop) -> None:
    async with await shop.admin() as admin, shop.client() as client:
        assert (await admin.post("/api/v1/admin/maintenance", json={"enabled": True})).status_code == 200
        answer = await client.get("/api/v1/products")
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get("/health")).status_code == 200
        assert (await client.post("/api/v1/auth/login", json=ADMIN)).status_code == 200
        assert (await admin.post("/api/v1/admin/maintenance", json={"enabled": False})).status_code == 200
        assert (await client.get("/api/v1/products")).status_code == 200


async def test_request_ids_of_clients_are_kept_only_if_harmless(shop) -> None:
    async with shop.client() as client:
        kept = await client.get("/health", headers={"X-Request-ID": "abc-123"})
        assert kept.headers["x-request-id"] == "abc-123"
        for offered in ("a" * 65, "a b", "a_b", "<x>", ""):
            answer = await client.get("/health", headers={"X-Request-ID": offered})
            assert answer.headers["x-request-id"] != offered


async def test_log_has_one_line_a_request_and_no_secret(shop_with, caplog) -> None:
    async with shop_with(log_requests=True) as shop, shop.client() as client:
        with caplog.at_level("INFO", "upheld.reference.requests"):
            await client.post("/api/v1/auth/login?key=canary", json={"email": "a@b.test", "password": PASSWORD})
    lines = [record.getMessage() for record in caplog.records if record.name == "upheld.reference.requests"]
    assert len(lines) == 1
    assert json.loads(lines[0])["status"] == 401
    assert "canary" not in lines[0]
    assert PASSWORD not in caplog.text
