"""YAML and JSON with lines: what is read, and what is refused where."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from upheld.contract.source import read
from upheld.errors import ContractError


def refused(text: str | bytes, file: str = "f.yaml") -> list[str]:
    with pytest.raises(ContractError) as caught:
        read(text, file)
    return [f"{place}: {sentence}" for place, sentence in caught.value.problems]


def test_plain_scalars_follow_yaml_1_2() -> None:
    text = "on: no\nday: 2027-06-30\ntime: 12:30\nf: 1e3\no: 0o17\nh: 0xff\nn: ~\nt: true\nv: 3.10\ns: !!str 12\ni: !!int '7'\nq: '1'"
    assert read(text, "f.yaml").value == {
        "on": "no", "day": "2027-06-30", "time": "12:30", "f": 1000.0, "o": 15, "h": 255, "n": None, "t": True, "v": 3.1,
        "s": "12", "i": 7, "q": "1",
    }  # fmt: skip


def test_keys_are_text() -> None:
    assert read("200: ok\nnull: x\n", "f.yaml").value == {"200": "ok", "null": "x"}


def test_lines_of_yaml() -> None:
    located = read("a: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\nbase: &b {x: 1}\ne:\n  <<: *b\n  y: 2\n", "f.yaml")
    assert located.value["e"] == {"x": 1, "y": 2}
    places = {("a",): 1, ("b", 1): 4, ("b", 1, "d"): 5, ("e", "y"): 9, ("e", "x"): 6, ("b", 1, "nope"): 4, ("nope",): 0}
    assert {path: located.place(path).line for path in places} == places


def test_lines_of_json() -> None:
    located = read('{\n "a": [1,\n  {"b": "x:{y", "c": []}],\n "d": {"e": "\\"q\\": 1"}\n}', "f.json")
    places = {("a",): 2, ("a", 0): 2, ("a", 1): 3, ("a", 1, "c"): 3, ("d", "e"): 4}
    assert {path: located.place(path).line for path in places} == places


def test_a_json_name_with_yaml_inside_is_read() -> None:
    assert read("openapi: 3.1.0\n", "openapi.json").value == {"openapi": "3.1.0"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["f.yaml:3: the key 'a' is there twice, first in line 1"]),
        ('{"a": 1,\n "b": {"c": 1,\n "c": 2}}', ["f.yaml:3: the key 'c' is there twice"]),
        ("a: &x [*x]", ["f.yaml:1: the alias *x contains itself"]),
        ("a: *x", ["f.yaml:1: the alias *x has no anchor before it"]),
        ("? [a]\n: 1", ["f.yaml:1: a key must be text, found a mapping or a list"]),
        ("a: 1\n---\nb: 2", ["f.yaml:2: holds a second YAML document; one file is one document"]),
        (
            "a: !!python/object:os.system {}",
            ["f.yaml:1: the tag 'tag:yaml.org,2002:python/object:os.system' is not allowed here"],
        ),
        ("a: 1\nb: !secret x", ["f.yaml:2: the tag '!secret' is not allowed here"]),
        ("x: {<<: 3}", ["f.yaml:1: '<<' merges mappings only"]),
        (b"a: \xff", ["f.yaml:1: is not UTF-8 text"]),
        ("[" * 100_000, ["f.yaml: is nested deeper than 200 levels"]),
        ("- " * 100_000 + "x", ["f.yaml:1: is nested deeper than 200 levels"]),
        ('{"a": NaN}', ["f.yaml: is not JSON: NaN (RFC 8259 section 6)"]),
    ],
)
def test_what_is_refused_where(text: str | bytes, expected: list[str]) -> None:
    assert refused(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a:\n  b: 1\n c: 2\n", "f.yaml:3: is not YAML"),
        ("a:\n\tb: 1\n", "indent with spaces, not tabs"),
        ("op: * /admin\n", "put a pattern that begins with '*' in quotes"),
        ("a: [1\nb: 2", "f.yaml:2: is not YAML"),
    ],
)
def test_syntax_errors_have_lines_and_hints(text: str, words: str) -> None:
    assert words in refused(text)[0]


def test_broken_json_of_a_json_file() -> None:
    assert refused('{"a": 1,\n "b" 2}', "f.json") == ["f.json:2: is not JSON: Expecting ':' delimiter"]


def test_all_duplicates_are_told_at_once() -> None:
    assert len(refused("a: 1\na: 2\nb: {c: 1, c: 2}\n")) == 2


def test_aliases_cannot_blow_up() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"{n}: &{n} [{','.join(['*' + p] * 10)}]" for p, n in zip("abcdefgh", "bcdefghi", strict=False)]
    assert "values once its aliases are followed" in refused("\n".join(lines))[0]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=10) | st.floats(-1e6, 1e6, width=32),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=6), values, max_size=5), st.sampled_from([None, 2]))
def test_json_is_read_as_json(value: dict[str, Any], indent: int | None) -> None:
    located = read(json.dumps(value, indent=indent), "f.json")
    assert located.value == value
    for key in value:
        assert located.place([key]).line >= 1


@settings(max_examples=50)
@given(values)
def test_what_yaml_writes_is_read_back(value: Any) -> None:
    document = {"root": value}
    text = yaml.safe_dump(document)
    assert read(text, "f.yaml").value == json.loads(json.dumps(document)) or "!!" in text
