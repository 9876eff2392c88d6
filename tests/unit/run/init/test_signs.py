"""What single answers tell."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.contract.conftest import answer, contract, operation

from upheld.exchange import Request, Response
from upheld.run.init.signs import ORIGIN, Look, Sign, limit_of, open_reads, refusable, signs

KEY = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
CLOSED: dict[str, Any] = {"security": [{"key": []}]}


def looked(response: Response, path: str = "/items", method: str = "GET") -> Look:
    made = contract({path: {method.lower(): operation()}})
    return Look(made.operations[0], Request(method, path), response)


def by_key(*looks: Look, refused: Look | None = None) -> dict[str, Any]:
    found = signs(contract({"/items": {"get": operation()}}), looks, refused)
    return {sign.key: sign.value for sign in found}


@pytest.mark.parametrize(
    ("headers", "quota", "window", "style"),
    [
        ({"ratelimit_policy": '"default";q=100;w=60'}, 100, 60, "draft-10"),
        ({"ratelimit_policy": '"burst";q=5;w=1, "day";q=1000;w=86400'}, 5, 1, "draft-10"),
        ({"ratelimit_policy": "100;w=900", "ratelimit_limit": "100"}, 100, 900, "any"),
        ({"ratelimit_limit": "30", "ratelimit_reset": "12"}, 30, 60, "any"),
        ({"x_ratelimit_limit": "5000", "x_ratelimit_reset": "3000"}, 5000, 3600, "x-ratelimit"),
        (
            {"x_ratelimit_limit": "60", "x_ratelimit_reset": "1767225630", "date": "Thu, 01 Jan 2026 00:00:00 GMT"},
            60, 60, "x-ratelimit",
        ),
        ({"x_rate_limit_limit": "10"}, 10, 60, "any"),
    ],
)  # fmt: skip
def test_a_quota_is_read_from_header_fields(headers: dict[str, str], quota: int, window: int, style: str) -> None:
    limit = limit_of(Response.of(200, {}, **headers))
    assert limit
    assert (limit.quota, limit.window, limit.style) == (quota, window, style)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit_policy": "what; is this"},
        {"x_ratelimit_limit": "plenty"},
        {"x_ratelimit_limit": "0"},
        {"x_ratelimit_limit": "9" * 40},
    ],
)
def test_fields_that_tell_no_quota(headers: dict[str, str]) -> None:
    assert limit_of(Response.of(200, {}, **headers)) is None


def test_one_quota_for_all_but_those_that_say_nothing() -> None:
    told = Response.of(200, {}, ratelimit_policy='"default";q=100;w=60')
    found = by_key(looked(told), looked(Response.of(200, {}), "/health"))
    rule = {"op": "**", "quota": "100/min", "key": "user-or-ip", "exempt": ["/health"]}
    assert found["rate_limits"] == [rule]
    assert found["rate_limit.headers"] == "draft-10"


def test_the_quota_of_most_is_that_of_the_rest() -> None:
    slow, quick = (Response.of(200, {}, x_ratelimit_limit=quota) for quota in ("10", "100"))
    found = by_key(looked(slow, "/search"), looked(quick), looked(quick, "/orders"))
    assert [(rule["op"], rule["quota"]) for rule in found["rate_limits"]] == [
        ("GET /search", "10/min"),
        ("**", "100/min"),
    ]


def test_a_refusal_that_is_a_problem_document_offers_the_format_and_the_members_that_it_has() -> None:
    body = {"title": "Unauthorized", "status": 401, "trace": 1}
    refused = looked(Response.of(401, body, content_type="application/problem+json", www_authenticate="Bearer"))
    found = by_key(refused=refused)
    assert (found["errors.format"], found["errors.require"]) == ("rfc9457", ["title", "status"])


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_any_other_answer_offers_no_format(status: int) -> None:
    found = signs(contract({"/items": {"get": operation()}}), (), looked(Response.of(status, {"detail": "no"})))
    assert [sign for sign in found if sign.value is not None] == []
    assert any(str(status) in sign.source for sign in found)


def test_caches_are_offered_only_where_everybody_may_keep_the_answer() -> None:
    kept = looked(Response.of(200, {}, cache_control="public, max-age=60", etag='"1"'))
    own = looked(Response.of(200, {}, cache_control="private, max-age=60"), "/me")
    found = by_key(kept, own)
    assert found["caching.routes"] == {"GET /items": "60s"}
    assert found["caching.etag"] == ["GET /items"]


@pytest.mark.parametrize(
    ("headers", "origins"),
    [
        ({}, None),
        ({"access_control_allow_origin": "*"}, ["*"]),
        ({"access_control_allow_origin": ORIGIN}, ["*"]),
        ({"access_control_allow_origin": ORIGIN, "access_control_allow_credentials": "true"}, None),
        ({"access_control_allow_origin": "null"}, None),
        ({"access_control_allow_origin": "https://app.example.test"}, ["https://app.example.test"]),
    ],
)
def test_origins(headers: dict[str, str], origins: list[str] | None) -> None:
    assert by_key(looked(Response.of(200, {}, **headers))).get("cors.origins") == origins


def test_what_the_document_leaves_open_and_the_service_does_not_is_told() -> None:
    found = signs(contract({"/items": {"get": operation()}}), [looked(Response.of(403, {}))], None)
    assert (
        Sign("public", None, "GET /items without credentials answered 403, although the document asks for none")
        in found
    )


def test_only_harmless_reads_are_looked_at() -> None:
    paths = {
        "/health": {"get": operation()},
        "/items": {"get": operation(responses=answer({"type": "array", "items": {}})), "post": operation()},
        "/items/{id}": {"get": operation()},
        "/mine": {"get": operation(**CLOSED)},
        "/search": {"get": operation(parameters=[{"name": "q", "in": "query", "required": True, "schema": {}}])},
        "/auth/logout": {"get": operation()},
        "/admin/restart": {"get": operation()},
        "/events": {"get": operation(responses=answer({}, media_type="text/event-stream"))},
        "/sso/callback": {"get": operation()},
        "/short": {"get": operation(responses={"302": {"description": "away"}})},
    }
    assert [op.path for op in open_reads(contract(paths, components=KEY))] == ["/health", "/items"]


def test_no_more_are_looked_at_than_promised() -> None:
    paths = {f"/things{number}": {"get": operation()} for number in range(30)}
    assert len(open_reads(contract(paths))) == 4


def test_what_is_refused_is_a_read_that_asks_for_credentials() -> None:
    paths = {"/me": {"get": operation(**CLOSED)}, "/orders": {"post": operation(requestBody=None, **CLOSED)}}
    refused, request = refusable(contract(paths, components=KEY), "t0ken")
    assert refused
    assert (refused.label, request.method, request.path) == ("GET /me", "GET", "/me")


def test_a_member_is_asked_for_where_there_is_nothing_else() -> None:
    id_ = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "example": "../x"}}
    paths = {"/files/{id}": {"get": operation(parameters=[id_], **CLOSED)}}
    _, request = refusable(contract(paths, components=KEY), "t0ken")
    assert request.path.startswith("/files/")
    assert "{" not in request.path
    assert request.path.count("/") == 2


def test_without_credentials_a_path_that_nobody_has_is_refused() -> None:
    refused, request = refusable(contract({"/v1/items": {"get": operation()}}), "t0ken")
    assert refused is None
    assert request.path == "/v1/upheld-t0ken"
