"""YAML and JSON read with line numbers: safe, no duplicate keys, bounded.

The reader works on parser events with a stack of its own, so that depth, aliases and size are under its control: libyaml's
recursive composer overflows the C stack on deep nesting, and a tree of aliases can stand for billions of nodes.
Plain scalars follow the core schema of YAML 1.2.2 §10.3, as OpenAPI asks for: ``on`` and ``no`` are text, ``12:30`` is no number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from upheld.errors import ContractError, Place

MAX_BYTES = 32 * 2**20
MAX_DEPTH = 200
MAX_NODES = 5_000_000
"""Nodes after aliases are followed."""

Step = str | int
Lines = Mapping[int, Mapping[Step, int]]
"""id of a mapping or list → its key or index → 1-based line."""


@dataclass(frozen=True, eq=False)
class Located:
    """A document as plain values, and the line of everything in it."""

    value: Any
    file: str
    find_lines: Callable[[], Lines] = field(default=dict, repr=False)

    @cached_property
    def _lines(self) -> Lines:
        return self.find_lines()

    def place(self, path: Iterable[Step] = ()) -> Place:
        """Where the value at this path stands, or the nearest value around it."""
        line, node = 0, self.value
        for step in path:
            found = self._lines.get(id(node), {}).get(step)
            if found is None:
                break
            line, node = found, node[step]
        return Place(self.file, line)

    def line_in(self, container: Any, key: Step) -> int:
        """Line of a key of this very mapping or list; 0 when it is none of the document's."""
        return self._lines.get(id(container), {}).get(key, 0)

    def has(self, path: Iterable[Step]) -> bool:
        """Whether the document itself holds this path."""
        node = self.value
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return False
        return True


def read(text: str | bytes, file: str) -> Located:
    """Parse YAML or JSON. Raises `ContractError` with every duplicate key, or the first syntax error."""
    if len(text) > MAX_BYTES:
        raise ContractError((Place(file), f"is larger than {MAX_BYTES // 2**20} MiB"))
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise ContractError((Place(file, line), "is not UTF-8 text")) from error
    if text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        try:
            return _read_json(text, file)
        except json.JSONDecodeError as error:
            if file.endswith(".json"):
                problem = (Place(file, error.lineno, error.colno), f"is not JSON: {error.msg}")
                raise ContractError(problem) from error
        except RecursionError as error:
            raise ContractError((Place(file), f"is nested deeper than {MAX_DEPTH} levels")) from error
    from upheld.contract.yaml_reader import read_yaml

    return read_yaml(text, file)


# -- JSON ----------------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:\n]')


def _read_json(text: str, file: str) -> Located:
    duplicate = False

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal duplicate
        result = dict(pairs)
        duplicate = duplicate or len(result) < len(pairs)
        return result

    def constant(name: str) -> Any:
        raise ContractError((Place(file), f"is not JSON: {name} (RFC 8259 section 6)"))

    value = json.loads(text.lstrip("\ufeff"), object_pairs_hook=mapping, parse_constant=constant)
    if duplicate:
        problems = [(Place(file, line), f"the key {key!r} is there twice") for key, line in _json_lines(text, value)[1]]
        raise ContractError(*problems)
    return Located(value, file, lambda: _json_lines(text, value)[0])


def _json_lines(text: str, value: Any) -> tuple[Lines, list[tuple[str, int]]]:
    """Lines of all keys and items of a text that is known to be JSON, and keys that come twice."""
    lines: dict[int, dict[Step, int]] = {}
    twice: list[tuple[str, int]] = []
    line = 1
    # A frame is [container, its lines, the key or index that comes next].
    frames: list[tuple[Any, dict[Step, int]]] = []
    steps: list[Step] = []
    text = text.rstrip()
    for match in _TOKEN.finditer(text):
        token = match[0]
        first = token[0]
        if first == "\n":
            line += 1
        elif first in "{[":
            node = frames[-1][0] if frames else None
            inner = value if node is None else _child(node, steps[-1])
            if frames and isinstance(node, list):
                frames[-1][1].setdefault(steps[-1], line)
            frames.append((inner, lines.setdefault(id(inner), {})))
            steps.append(0 if first == "[" else "")
        elif first in "}]":
            frames.pop()
            steps.pop()
        elif first == ",":
            if frames and isinstance(step := steps[-1], int):
                frames[-1][1].setdefault(step, line)
                steps[-1] = step + 1
        elif first == '"' and frames and isinstance(steps[-1], str) and _is_key(text, match.end()):
            key = json.loads(token)
            if key in frames[-1][1]:
                twice.append((key, line))
            frames[-1][1][key] = line
            steps[-1] = key
    return lines, twice


def _is_key(text: str, end: int) -> bool:
    while text[end] in " \t\r\n":
        end += 1
    return text[end] == ":"


def _child(node: Any, step: Step) -> Any:
    try:
        return node[step]
    except (KeyError, IndexError, TypeError):
        return None
