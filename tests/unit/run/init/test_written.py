"""Values as YAML, read back by the reader of contracts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.contract.source import read
from upheld.run.init.written import as_yaml, flow

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)
AWKWARD = [
    "0o17", "1e5", "on", "no", "null", "~", "12:30", "2026-01-01", "- a", "a: b", "#", " x ", "a\n\nb\n", "\t", "{x}", "&a",
    "*b", "!c", "%d", "@e", "'", '"', "\\", "\u2028", "\x7f", "😀", "", "1_000", "0x1F", ".5", "=", "yes, no",
]  # fmt: skip


@given(st.dictionaries(TEXTS.filter(lambda key: key != "<<"), VALUES, min_size=1, max_size=4))
def test_a_json_document_is_written_as_what_it_says(value: dict[str, Any]) -> None:
    assert read(as_yaml(json.dumps(value).encode(), value), "openapi.yaml").value == value


@given(VALUES)
def test_a_value_on_one_line_is_read_back(value: Any) -> None:
    line = flow({"key": value})
    assert "\n" not in line
    assert read(f"top: {line}\n", "upheld.yaml").value == {"top": {"key": value}}


@pytest.mark.parametrize("text", AWKWARD)
def test_texts_that_look_like_something_else(text: str) -> None:
    value = {"texts": [text], "keys": {text: text}}
    assert read(as_yaml(json.dumps(value).encode(), value), "openapi.yaml").value == value
    assert read(f"top: {flow(text)}\n", "upheld.yaml").value == {"top": text}


def test_yaml_stays_as_its_author_wrote_it() -> None:
    text = "# ours\nopenapi: 3.1.0   # the newest\npaths: {}"
    assert as_yaml(text.encode(), {"openapi": "3.1.0", "paths": {}}) == text + "\n"


def test_lines_are_as_people_write_them() -> None:
    value = {"op": "POST /auth/login", "body": {"user": "$user"}, "quota": "10/min", "all": "**", "ttl": "60s"}
    assert flow(value) == '{op: POST /auth/login, body: {user: $user}, quota: 10/min, all: "**", ttl: 60s}'
