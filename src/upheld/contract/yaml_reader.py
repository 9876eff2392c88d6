"""YAML from parser events, with lines. Only `upheld.contract.source` calls it, so that yaml is imported late."""

from __future__ import annotations

import re
from typing import Any

import yaml

from upheld.contract.source import MAX_DEPTH, MAX_NODES, Lines, Located, Step
from upheld.errors import ContractError, Place

# CParser is libyaml's; wheels of PyYAML have it, some source builds do not.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_TAGS = {"tag:yaml.org,2002:" + name for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")}


def plain(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2.2 §10.3.2; infinities and NaN stay text, JSON has none."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        # Longer ones are slow to convert and no number that an API document means.
        return int(text) if len(text) <= 400 else text
    if _OCTAL_OR_HEX.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Frame:
    """A mapping or list that is being read."""

    __slots__ = ("anchor", "key", "lines", "merges", "node", "size", "start")

    def __init__(self, node: Any, lines: dict[Step, int], anchor: str | None, start: int) -> None:
        self.node = node
        self.lines = lines
        self.anchor = anchor
        self.start = start
        self.key: tuple[str, int, bool] | None = None
        self.size = 1
        self.merges: list[Any] = []


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[int, dict[Step, int]] = {}
        self.frames: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.open: set[str] = set()
        self.problems: list[tuple[Place, str]] = []
        self.roots: list[Any] = []

    def fail(self, line: int, sentence: str) -> ContractError:
        return ContractError(*self.problems, (Place(self.file, line), sentence))

    def add(self, value: Any, line: int, size: int, *, scalar: yaml.ScalarEvent | None = None) -> None:
        if not self.frames:
            self.roots.append(value)
            return
        frame = self.frames[-1]
        frame.size += size
        if frame.size > MAX_NODES:
            raise self.fail(line, f"has more than {MAX_NODES:,} values once its aliases are followed")
        if isinstance(frame.node, list):
            frame.lines[len(frame.node)] = line
            frame.node.append(value)
        elif frame.key is None:
            if scalar is None:
                raise self.fail(line, "a key must be text, found a mapping or a list")
            # 200 and null as keys are the texts "200" and "null": JSON has no other keys.
            frame.key = (scalar.value, line, scalar.value == "<<" and bool(scalar.implicit[0]))
        else:
            self._put(frame, value)

    def _put(self, frame: _Frame, value: Any) -> None:
        assert frame.key is not None
        key, line, merge = frame.key
        frame.key = None
        if merge:
            frame.merges.extend(value if isinstance(value, list) else [value])
            if not all(isinstance(source, dict) for source in frame.merges):
                raise self.fail(line, "'<<' merges mappings only")
        elif key in frame.lines:
            first = frame.lines[key]
            self.problems.append((Place(self.file, line), f"the key {key!r} is there twice, first in line {first}"))
        else:
            frame.lines[key] = line
            frame.node[key] = value

    def begin(self, node: Any, anchor: str | None, line: int) -> None:
        if len(self.frames) >= MAX_DEPTH:
            raise self.fail(line, f"is nested deeper than {MAX_DEPTH} levels")
        if self.frames and isinstance(self.frames[-1].node, dict) and self.frames[-1].key is None:
            raise self.fail(line, "a key must be text, found a mapping or a list")
        self.frames.append(_Frame(node, self.lines.setdefault(id(node), {}), anchor, line))
        if anchor:
            self.open.add(anchor)

    def end(self) -> None:
        frame = self.frames.pop()
        for source in frame.merges:
            for key, value in source.items():
                if key not in frame.node:
                    frame.node[key] = value
                    frame.lines[key] = self.lines[id(source)].get(key, frame.start)
        if frame.anchor:
            self.open.discard(frame.anchor)
            self.anchors[frame.anchor] = (frame.node, frame.size)
        self.add(frame.node, frame.start, frame.size)

    def alias(self, name: str, line: int) -> None:
        if name in self.open:
            raise self.fail(line, f"the alias *{name} contains itself")
        if name not in self.anchors:
            raise self.fail(line, f"the alias *{name} has no anchor before it")
        value, size = self.anchors[name]
        self.add(value, line, size)


def read_yaml(text: str, file: str) -> Located:
    """Parse one YAML document. Raises `ContractError`."""
    builder = _Builder(file)
    loader = _Loader(text)
    documents = 0
    try:
        while loader.check_event():
            event = loader.get_event()
            line = event.start_mark.line + 1
            if isinstance(event, yaml.ScalarEvent):
                value = _scalar(builder, event, line)
                builder.add(value, line, 1, scalar=event)
                if event.anchor:
                    builder.anchors[event.anchor] = (value, 1)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                _known_tag(builder, event.tag, line)
                builder.begin({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor, line)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                builder.end()
            elif isinstance(event, yaml.AliasEvent):
                builder.alias(event.anchor or "", line)
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise builder.fail(line, "holds a second YAML document; one file is one document")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        why = ", ".join(part for part in (error.context, error.problem) if part)
        raise builder.fail(line, f"is not YAML: {why}{_hint(text, line)}") from error
    except yaml.YAMLError as error:
        raise builder.fail(0, f"is not YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()
    if builder.problems:
        raise ContractError(*builder.problems)
    lines: Lines = builder.lines
    return Located(builder.roots[0] if builder.roots else None, file, lambda: lines)


def _scalar(builder: _Builder, event: yaml.ScalarEvent, line: int) -> Any:
    if event.implicit[0]:
        return plain(event.value)
    _known_tag(builder, event.tag, line)
    name = (event.tag or "").rpartition(":")[2]
    return plain(event.value) if name in ("int", "float", "bool", "null") else event.value


def _known_tag(builder: _Builder, tag: str | None, line: int) -> None:
    if tag and tag not in _TAGS and tag != "!":
        raise builder.fail(line, f"the tag {tag!r} is not allowed here")


def _hint(text: str, line: int) -> str:
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return "; indent with spaces, not tabs"
    if re.search(r"(^|[\s:,\[{-])\*[ /*]", written):
        return "; put a pattern that begins with '*' in quotes"
    return ""
