"""Nothing secret in what is printed or written."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.report.mask import Masker

secrets = st.lists(st.text(min_size=6, max_size=24), min_size=1, max_size=4)
pieces = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 3)), max_size=12)


def assembled(parts: list[str | int], known: list[str]) -> str:
    return "".join(known[part % len(known)] if isinstance(part, int) else part for part in parts)


@given(secrets, pieces)
def test_no_known_secret_survives(known: list[str], parts: list[str | int]) -> None:
    masked = Masker(known)(assembled(parts, known))
    for secret in known:
        assert secret not in masked


@given(st.lists(st.text("ab*", min_size=6, max_size=9), min_size=1, max_size=4), st.text("ab*", max_size=60))
def test_no_known_secret_survives_where_secrets_overlap_and_look_like_masks(known: list[str], text: str) -> None:
    masked = Masker(known)(text)
    for secret in known:
        assert secret not in masked


@given(secrets, st.sampled_from(["Authorization", "cookie", "X-API-Key", "Set-Cookie", "X-Other", "Location"]), pieces)
def test_no_known_secret_survives_in_a_header(known: list[str], name: str, parts: list[str | int]) -> None:
    masked = Masker(known).header(name, assembled(parts, known))
    for secret in known:
        assert secret not in masked


@given(secrets, pieces)
def test_no_known_secret_survives_in_octets(known: list[str], parts: list[str | int]) -> None:
    known = [secret.encode("utf-8", "replace").decode() for secret in known]
    text = assembled(parts, known).encode("utf-8", "replace")
    masked = Masker(known).octets(text)
    for secret in known:
        assert len(secret) < 6 or secret.encode() not in masked


@given(secrets)
def test_no_known_secret_survives_in_an_encoding_of_url_form_or_json(known: list[str]) -> None:
    masker = Masker(known)
    for secret in known:
        wire = secret.encode("utf-8", "surrogatepass")
        for form in (quote(wire, safe=""), quote_plus(wire), json.dumps(secret)[1:-1], json.dumps([{"a": secret}])):
            assert form not in masker(f"<{form}>")


@given(st.text(max_size=80))
def test_masking_twice_is_masking_once(text: str) -> None:
    masker = Masker(["correct horse"])
    assert masker(masker(text)) == masker(text)


@given(st.recursive(st.text(max_size=9), lambda inner: st.dictionaries(st.text(max_size=9), inner) | st.lists(inner)))
def test_a_json_value_keeps_its_shape_and_loses_the_secret(value: object) -> None:
    masked = Masker(["hunter-2-hunter"]).data({"a": value, "password": "x", "b": ["hunter-2-hunter"]})
    assert masked["password"] == "***"
    assert "hunter-2-hunter" not in json.dumps(masked)
    assert type(masked["a"]) is type(value)


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"

LOOKS_SECRET = [
    ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
    ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***"),
    ('Authorization: Digest username="a", response="b"', "Authorization: Digest ***"),
    ("Proxy-Authorization: something", "Proxy-Authorization: ***"),
    ("X-API-Key: k-1", "X-API-Key: ***"),
    ("Cookie: sid=abc; theme=dark", "Cookie: sid=***; theme=***"),
    ("Set-Cookie: sid=abc; HttpOnly; Path=/", "Set-Cookie: sid=***; HttpOnly; Path=/"),
    ("curl -H 'Authorization: Bearer abc' /x", "curl -H 'Authorization: Bearer ***' /x"),
    ("[('Authorization', 'Bearer abc')]", "[('Authorization', 'Bearer ***')]"),
    (f"the token {JWT} was taken", "the token *** was taken"),
    (f"alg none: {JWT.rsplit('.', 1)[0]}.", "alg none: ***"),
    ('{"password": "p\\"q", "x": 1}', '{"password": "***", "x": 1}'),
    ('{"new_password":"pq","accessToken":"t","api-key":7}', '{"new_password":"***","accessToken":"***","api-key":"***"}'),
    ('{"password": "cut off he', '{"password": "***'),
    (r'{"log": "{\"client_secret\": \"a\"}"}', r'{"log": "{\"client_secret\": \"***\"}"}'),
    ("{'refresh_token': 'abc'}", "{'refresh_token': '***'}"),
    ("/reset?token=abc&page=2", "/reset?token=***&page=2"),
    ("email=a&user[password]=b%20c", "email=a&user[password]=***"),
    ("password_hash=$2b$12$" + "a" * 53, "password_hash=***"),
    ("hash $2b$12$" + "./" * 26 + "a", "hash ***"),
    ("redis://user:pw@cache:6379/0", "redis://user:***@cache:6379/0"),
    ("-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----", "***"),
    ("sent Bearer 0123456789abcdef", "sent Bearer ***"),
    ('--b\r\nContent-Disposition: form-data; name="secret"\r\n\r\nabc\r\n--b--',
     '--b\r\nContent-Disposition: form-data; name="secret"\r\n\r\n***\r\n--b--'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "masked"), LOOKS_SECRET)
def test_what_looks_secret_is_masked(text: str, masked: str) -> None:
    assert Masker()(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        'WWW-Authenticate: Bearer realm="api", error="invalid_token"',
        "Bearer authentication is required",
        "curl -H 'Authorization: Bearer $TOKEN'",
        '{"required": ["email", "password"], "token_type": "bearer", "next_page_token": "abc"}',
        '{"password": ["must not be empty"]}',
        "Authorization: Bearer",
        "auth: {login: {body: {email: $user, password: $password}}}",
        "https://example.test:8500/a?b=c@d",
        "12345 short",
    ],
)
def test_what_is_not_secret_stays(text: str) -> None:
    assert Masker(["12345"])(text) == text


def test_further_names_are_secret_as_members_fields_and_headers() -> None:
    masker = Masker(names=["X-Shop-Key", "member_no"])
    assert masker('X-Shop-Key: a, {"memberNo": "b"} member-no=c') == 'X-Shop-Key: *** {"memberNo": "***"} member-no=***'
    assert masker.header("x-shop-key", "a b c") == "***"
    assert masker.is_credential("X-SHOP-KEY")


def test_a_masker_can_learn() -> None:
    assert Masker(["first-secret"]).also("second-secret")("first-secret second-secret") == "*** ***"


def test_header_pairs_keep_their_order() -> None:
    pairs = (("Accept", "*/*"), ("Authorization", "Bearer a b"), ("Cookie", "a=b"))
    assert Masker().headers(pairs) == (("Accept", "*/*"), ("Authorization", "Bearer ***"), ("Cookie", "a=***"))
