"""Where a token stands: the notation, the field that carries it, and the token taken out of a field again."""

from __future__ import annotations

import re

import pytest

from upheld.contract.placement import PATTERN, Placement, api_key_field, placement

FORMS = [
    ("bearer", ("Authorization", "Bearer t0")),
    ("apiKey:header:X-API-Key", ("X-API-Key", "t0")),
    ("apiKey:cookie:sid", ("Cookie", "sid=t0")),
    ("apiKey:query:key", None),
    ("header:Authorization:Token {token}", ("Authorization", "Token t0")),
    ("header:X-Auth:'{token}'; v=1", ("X-Auth", "'t0'; v=1")),
]


@pytest.mark.parametrize(("notation", "field"), FORMS)
def test_a_notation_says_which_field_carries_the_token(notation: str, field: tuple[str, str] | None) -> None:
    assert re.fullmatch(PATTERN, notation)
    place = placement(notation)
    assert place.field("t0") == field
    assert place.notation == notation
    if field is not None and field[0] != "Cookie":
        assert place.token([("Accept", "*/*"), (field[0].lower(), field[1])]) == "t0"
        assert place.token([(field[0], place.template.replace("{token}", ""))]) is None


@pytest.mark.parametrize("notation", ["Bearer", "header:X", "header:X:Token", "apiKey:body:x", "header:X Y:{token}"])
def test_what_is_no_notation(notation: str) -> None:
    assert not re.fullmatch(PATTERN, notation)


def test_the_shortest_notation_is_used() -> None:
    assert Placement("header", "authorization", "Bearer {token}").notation == "bearer"
    assert Placement("header", "X-Token").notation == "apiKey:header:X-Token"


def test_the_field_of_an_api_key_is_the_documents() -> None:
    query = {"type": "apiKey", "in": "query", "name": "key"}
    assert api_key_field({"q": query, "h": {"type": "apiKey", "in": "header", "name": "X-Key"}}) == "X-Key"
    assert api_key_field({"q": query}) == "X-API-Key"
