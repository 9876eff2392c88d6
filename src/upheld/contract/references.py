"""``$ref``: local ones resolved lazily, files of the contract's folder drawn in, broken and remote ones told with their line.

After `bundle`, every reference in the document is ``#`` and a JSON Pointer (RFC 6901), so that nothing else has to know files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

from upheld.contract.source import MAX_DEPTH, Located, read
from upheld.errors import ContractError, Place

FILES = "x-upheld-files"
"""Key of the document under which the contents of referenced files are put."""

_VALUES = frozenset({"example", "default", "enum", "const"})
_NAMES = frozenset({"properties", "patternProperties", "$defs", "definitions", "schemas", "dependentSchemas", "parameters",
                    "responses", "headers", "requestBodies", "paths", "content", "examples", "callbacks", "links"})  # fmt: skip
# What stands one level below these is a path item, an answer, a parameter or another part, unless it is in a schema.
_PARTS = {(name,) for name in ("paths", "webhooks", "pathItems", "responses", "parameters", "requestBodies", "headers",
                              "examples", "links", "callbacks", "securitySchemes")}  # fmt: skip


def escape(step: str) -> str:
    """One reference token of a JSON Pointer (RFC 6901 §3)."""
    return step.replace("~", "~0").replace("/", "~1")


def unescape(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def steps(pointer: str) -> list[str]:
    """``"/paths/~1items"`` → ``["paths", "/items"]``. A pointer in a URI fragment is percent-decoded before."""
    return [unescape(step) for step in pointer.split("/")[1:]]


def at(document: Any, pointer: str) -> Any:
    """The value at a JSON Pointer. Raises LookupError when there is none."""
    node = document
    for step in steps(pointer):
        if isinstance(node, Mapping):
            node = node[step]
        elif isinstance(node, (list, tuple)) and step.isdigit():
            node = node[int(step)]
        else:
            raise LookupError(pointer)
    return node


class References:
    """Follows the references of one bundled document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def target(self, ref: str) -> Any:
        """What ``#/…`` points to. Raises LookupError."""
        if not ref.startswith("#"):
            raise LookupError(ref)
        return at(self.document, unquote(ref[1:]))

    def follow(self, node: Any) -> Any:
        """The node itself, or what its chain of references ends in. A chain that is broken or a circle ends in ``{}``."""
        seen: set[str] = set()
        while isinstance(node, Mapping) and isinstance(ref := node.get("$ref"), str):
            if ref in seen:
                return {}
            seen.add(ref)
            try:
                node = self.target(ref)
            except LookupError:
                return {}
        return node


# -- bundling ------------------------------------------------------------------------------------------------------------


def bundle(root: Located, folder: Path | None, *, remote: bool = False) -> None:
    """Draw referenced files into the document and write every reference as a local one, in place.

    ``folder`` bounds which files may be read; None allows none. ``remote`` leaves references to other hosts as they are.
    Raises `ContractError` with every broken, remote and outside reference.
    """
    if isinstance(root.value, dict):
        _Bundler(root, folder, remote).run()


class _Bundler:
    def __init__(self, root: Located, folder: Path | None, remote: bool) -> None:
        self.folder = folder.resolve() if folder else None
        self.remote = remote
        self.root = root
        self.problems: list[tuple[Place, str]] = []
        # By path relative to the folder; the document itself under "".
        self.sources: dict[str, Located] = {"": root}
        self.anchors: dict[tuple[str, str], str] = {}
        self.pending = [""]
        self.uses: list[tuple[str, dict[str, Any]]] = []
        # Of the document itself: what is no schema.
        self.parts: list[dict[str, Any]] = []

    def run(self) -> None:
        while self.pending:
            self._scan(self.pending.pop())
        files = {name: source.value for name, source in self.sources.items() if name}
        if files:
            self.root.value[FILES] = files
        for name, node in self.uses:
            self._check(name, node)
        self._circles()
        if self.problems:
            raise ContractError(*sorted(self.problems, key=lambda p: (p[0].file, p[0].line, p[1])))

    def _scan(self, name: str) -> None:
        source = self.sources[name]
        for node, pointer in walk(source):
            for keyword, mark in (("$anchor", "#"), ("$dynamicAnchor", "#"), ("$id", "")):
                if isinstance(text := node.get(keyword), str):
                    self.anchors.setdefault((name, mark + text), "".join("/" + escape(str(s)) for s in pointer()))
            ref = node.get("$ref")
            if isinstance(ref, str):
                self._local(name, source, node, ref)
                if not name and _is_part(pointer()):
                    self.parts.append(node)

    def _local(self, name: str, source: Located, node: dict[str, Any], ref: str) -> None:
        base, fragment = urldefrag(ref)
        if not base:
            file = name
        elif urlsplit(base).scheme or base.startswith("//"):
            self.uses.append((name, node))
            return
        else:
            found = self._file(name, source, node, ref, unquote(base))
            if found is None:
                return
            file = found
        if fragment and not fragment.startswith("/"):
            # An $anchor: written as a pointer as soon as every file has been scanned.
            node["$ref"] = (file, "#" + unquote(fragment))
        else:
            node["$ref"] = f"#{_home(file)}{fragment}"
        self.uses.append((name, node))

    def _file(self, name: str, source: Located, node: dict[str, Any], ref: str, base: str) -> str | None:
        place = Place(source.file, source.line_in(node, "$ref"))
        if self.folder is None:
            self.problems.append((place, f"$ref {ref!r} points to a file, and this document has no folder"))
            return None
        here = (self.folder / (name or Path(self.root.file).name)).parent
        path = (here / base).resolve()
        if not path.is_relative_to(self.folder):
            self.problems.append((place, f"$ref {ref!r} leaves the contract's folder"))
            return None
        key = path.relative_to(self.folder).as_posix()
        if key == Path(self.root.file).name and path.parent == self.folder:
            return ""
        if key not in self.sources:
            if not path.is_file():
                self.problems.append((place, f"$ref {ref!r} points to a file that is not there"))
                return None
            shown = (Path(self.root.file).parent / key).as_posix()
            try:
                self.sources[key] = read(path.read_bytes(), shown)
            except ContractError as error:
                self.problems.extend(error.problems)
                self.sources[key] = Located(None, shown)
            self.pending.append(key)
        # What a file that cannot be read would have held is not missed as well.
        return key if self.sources[key].value is not None else None

    def _check(self, name: str, node: dict[str, Any]) -> None:
        source, ref = self.sources[name], node["$ref"]
        place = Place(source.file, source.line_in(node, "$ref"))
        if isinstance(ref, tuple):
            file, anchor = ref
            pointer = self.anchors.get((file, anchor))
            if pointer is None:
                self.problems.append((place, f"$ref {anchor!r} points to nothing"))
                return
            node["$ref"] = f"#{_home(file)}{pointer}"
        elif not ref.startswith("#"):
            base, fragment = urldefrag(ref)
            pointer = self.anchors.get((name, base))
            if pointer is not None:
                node["$ref"] = f"#{_home(name)}{pointer}{fragment}"
            elif not self.remote:
                self.problems.append(
                    (
                        place,
                        f"$ref {ref!r} points to another host; copy it here, or allow it: openapi: {{remote_refs: true}}",
                    )
                )
            return
        try:
            at(self.root.value, unquote(node["$ref"][1:]))
        except LookupError:
            shown = node["$ref"].replace(f"#{_home(name)}", "#", 1) if name else node["$ref"]
            self.problems.append((place, f"$ref {shown!r} points to nothing"))

    def _circles(self) -> None:
        """Tell path items, answers and the like whose references lead back to themselves: there is nothing at the end.

        A schema that is a circle takes everything, which is odd but can be used.
        """
        told: set[frozenset[int]] = set()
        for node in sorted(self.parts, key=lambda node: self.root.line_in(node, "$ref")):
            trail: list[dict[str, Any]] = []
            here: Any = node
            while isinstance(here, dict) and isinstance(here.get("$ref"), str) and all(here is not n for n in trail):
                trail.append(here)
                try:
                    here = at(self.root.value, unquote(here["$ref"][1:]))
                except LookupError:
                    break
            else:
                first = next((index for index, passed in enumerate(trail) if passed is here), len(trail))
                circle = frozenset(map(id, trail[first:]))
                if circle and circle not in told:
                    told.add(circle)
                    again = trail[:1] if first == 0 else []
                    way = " → ".join(_shown(passed["$ref"]) for passed in trail + again)
                    place = Place(self.root.file, self.root.line_in(node, "$ref"))
                    self.problems.append((place, f"$ref {_shown(node['$ref'])!r} goes round in a circle: {way}"))


def _is_part(path: tuple[str | int, ...]) -> bool:
    return "schemas" not in path and "schema" not in path and (path[-1:] == ("requestBody",) or path[-2:-1] in _PARTS)


def _shown(ref: str) -> str:
    """A bundled reference as somebody would write it in the document: ``parts/a.yaml#/A``."""
    mark = f"#/{FILES}/"
    if not ref.startswith(mark):
        return ref
    file, _, inside = ref.removeprefix(mark).partition("/")
    return f"{unescape(file)}#/{inside}" if inside else unescape(file)


def _home(file: str) -> str:
    return f"/{FILES}/{escape(file)}" if file else ""


def walk(source: Located) -> Iterator[tuple[dict[str, Any], Any]]:
    """Every mapping that can hold a ``$ref``, each with a function that gives its path; values and examples are left out.

    Raises `ContractError` when it is nested deeper than `MAX_DEPTH`.
    """
    seen: set[int] = set()
    stack: list[tuple[Any, Any, int, bool]] = [(source.value, None, 0, False)]
    while stack:
        node, trail, depth, names = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if depth > MAX_DEPTH:
            raise ContractError((Place(source.file), f"is nested deeper than {MAX_DEPTH} levels"))
        if isinstance(node, dict):
            yield node, lambda trail=trail: _path(trail)
            for key, value in node.items():
                if isinstance(value, (dict, list)) and (
                    names or (key not in _VALUES and not str(key).startswith("x-"))
                ):
                    stack.append(
                        (value, (trail, key), depth + 1, not names and key in _NAMES and isinstance(value, dict))
                    )
        elif isinstance(node, list):
            for index, value in enumerate(node):
                if isinstance(value, (dict, list)):
                    stack.append((value, (trail, index), depth + 1, False))


def _path(trail: Any) -> tuple[str | int, ...]:
    path: list[str | int] = []
    while trail is not None:
        trail, step = trail
        path.append(step)
    return tuple(reversed(path))
