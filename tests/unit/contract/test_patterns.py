"""One glob for operations."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.contract import patterns
from upheld.contract.patterns import matches, near

PREFIX = "/api/v1"


@pytest.mark.parametrize(
    ("pattern", "method", "path", "expected"),
    [
        ("**", "DELETE", "/anything/at/all", True),
        ("*", "GET", "/anything/at/all", True),
        ("POST **", "POST", "/x", True),
        ("POST **", "GET", "/x", False),
        ("/health", "GET", "/health", True),
        ("/health", "GET", "/api/v1/health", True),
        ("/health", "GET", "/healthz", False),
        ("/health", "GET", "/health/", True),
        ("/health/", "GET", "/health", True),
        ("POST /auth/*", "POST", "/api/v1/auth/login", True),
        ("post /auth/*", "POST", "/api/v1/auth/login", True),
        ("POST /api/v1/auth/*", "POST", "/api/v1/auth/login", True),
        ("POST /auth/*", "POST", "/api/v1/auth", False),
        ("POST /auth/*", "POST", "/api/v1/auth/a/b", False),
        ("POST /auth/*", "POST", "/api/v2/auth/login", False),
        ("* /admin/**", "GET", "/api/v1/admin", True),
        ("* /admin/**", "PUT", "/api/v1/admin/users/{id}", True),
        ("* /admin/**", "PUT", "/api/v1/administrators", False),
        ("/items/*", "GET", "/items/{item_id}", True),
        ("/items/{id}", "GET", "/items/{item_id}", True),
        ("/items/{id}", "GET", "/items/42", True),
        ("/items/{id}", "GET", "/items/", False),
        ("/items/5", "GET", "/items/{item_id}", False),
        ("/*/orders", "GET", "/users/orders", True),
        ("/**/orders", "GET", "/a/b/orders", True),
        ("/**/orders", "GET", "/orders", True),
        ("/files/{name}.json", "GET", "/files/a.json", True),
        ("/files/{name}.json", "GET", "/files/a.xml", False),
        ("/user-*", "GET", "/user-groups", True),
        ("/", "GET", "/", True),
        ("/", "GET", "/x", False),
        ("/", "GET", "/api/v1", True),
        ("/a+b", "GET", "/a+b", True),
        ("/a+b", "GET", "/aab", False),
    ],
)
def test_matches(pattern: str, method: str, path: str, expected: bool) -> None:
    assert matches(pattern, method, path, PREFIX) is expected


def test_a_prefix_ends_at_a_segment() -> None:
    assert not matches("/0/items", "GET", "/api/v10/items", PREFIX)
    assert patterns.under("/api/v1/items", PREFIX)
    assert not patterns.under("/api/v10/items", PREFIX)


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("auth/login", "must be an operation pattern such as 'POST /auth/*' or '**', found 'auth/login'"),
        ("auth/login", "the path begins with '/': '/auth/login'"),
        ("POST auth/login", "the path begins with '/': 'POST /auth/login'"),
        ("", "found ''"),
        ("PSOT /x", "'PSOT' is no HTTP method; did you mean 'POST'?"),
    ],
)
def test_a_pattern_that_is_none(pattern: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        patterns.check(pattern)


def test_spaces_are_tidied() -> None:
    assert patterns.check("  POST   /x ") == "POST /x"


def test_near_finds_what_was_meant() -> None:
    labels = ["POST /api/v1/auth/login", "POST /api/v1/auth/logout", "GET /api/v1/items"]
    assert near("POST /auth/logn", labels, PREFIX)[0] == "POST /api/v1/auth/login"
    assert near("/itms", labels, PREFIX) == ["GET /api/v1/items"]
    assert near("POST /completely/else/where", labels, PREFIX) == []


segment = st.text("abcxyz0189-_.{}", min_size=1, max_size=6).filter(lambda s: not set(s) & {"{", "}"} or s == "{id}")
paths = st.lists(segment, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))


@given(paths, st.sampled_from(patterns.METHODS))
def test_a_label_is_a_pattern_of_its_own_operation(path: str, method: str) -> None:
    assert matches(f"{method} {path}", method, path)
    assert matches(f"{method} {path}", method, PREFIX + path, PREFIX)


@given(paths, st.data())
def test_a_star_stands_for_any_one_segment(path: str, data: st.DataObject) -> None:
    parts = path.split("/")[1:]
    index = data.draw(st.integers(0, len(parts) - 1))
    glob = "/" + "/".join("*" if at == index else part for at, part in enumerate(parts))
    assert matches(glob, "GET", path)
    assert not matches(glob, "GET", path + "/more")
    assert matches("/" + "/".join(parts[:index]) + "/**", "GET", path) or index == 0
