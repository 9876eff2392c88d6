"""Who may import whom, and what the whole tree keeps to. Rules that nobody checks are wishes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_packaging import PROJECT

REPO = Path(__file__).parents[1]
SOURCE = REPO / "src"
LONGEST = 500

CATALOGUE = {"check", "exchange", "contract", "errors"}
PARTS: dict[str, tuple[set[str], set[str]]] = {
    # part: (parts of ours, packages of others) that it may import, besides itself and the standard library
    "exchange": (set(), set()),
    "errors": (set(), set()),
    "verdict": (set(), set()),
    "check": ({"exchange"}, set()),
    "contract": ({"exchange", "errors"}, {"pydantic", "yaml", "jsonschema_rs", "hypothesis"}),
    "steps": (CATALOGUE, {"jwt", "cryptography"}),
    "sample": (CATALOGUE, set()),
    "rehearse": (CATALOGUE | {"sample", "steps"}, set()),
    "checks": (
        CATALOGUE | {"steps", "verdict"},
        {"httplint", "http_sf", "jwt", "cryptography", "jsonschema_rs", "yaml"},
    ),
    # Both in its part `containers` alone, which is loaded when a contract asks for it.
    "targets": ({"exchange", "errors"}, {"docker", "testcontainers"}),
    "report": ({"check", "verdict", "exchange", "errors"}, {"rich", "jinja2", "markdown_it"}),
    "load": ({"contract", "verdict", "exchange", "errors"}, {"locust", "gevent", "geventhttpclient"}),
    # It plays the checks, starts the load's process, and masks secrets as the reports do.
    "run": (
        CATALOGUE | {"checks", "steps", "targets", "verdict", "load", "report"},
        {"httpx", "schemathesis", "pytest", "hypothesis", "requests", "jwt", "yaml"},
    ),
    # An island: as far from the harness as the service of a stranger.
    "reference": (
        set(),
        {
            "fastapi",
            "starlette",
            "anyio",
            "uvicorn",
            "h11",
            "sqlalchemy",
            "redis",
            "slowapi",
            "limits",
            "bcrypt",
            "jwt",
            "cryptography",
        }
        | {"pydantic", "pydantic_core", "pydantic_settings", "email_validator", "yaml"},
    ),
    "cli": (CATALOGUE | {"checks", "run", "report", "load", "targets", "verdict"}, {"click", "rich"}),
    "__main__": ({"cli"}, set()),
}
COMES_WITH = {
    # Imported, but which version is decided by the package that hands us its objects.
    "requests": "schemathesis",
    "gevent": "locust",
    "geventhttpclient": "locust",
    "pydantic_core": "pydantic",
    "starlette": "fastapi",
    "anyio": "fastapi",
    "cryptography": "PyJWT",
    "docker": "testcontainers",
}
HEAVY = {
    "pydantic",
    "httpx",
    "schemathesis",
    "hypothesis",
    "locust",
    "gevent",
    "rich",
    "jinja2",
    "fastapi",
    "sqlalchemy",
    "jwt",
    "docker",
    "testcontainers",
}


@dataclass(frozen=True)
class Import:
    """One import statement's one name, outside ``if TYPE_CHECKING``."""

    by: str
    name: str
    at: str
    lazy: bool
    """Inside a function: done when it is called, not when the module is loaded."""


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for name, file in modules().items() for found in _imports(name, file))


def _imports(module: str, file: Path) -> Iterator[Import]:
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            at = f"{file.relative_to(REPO)}:{getattr(child, 'lineno', 0)}"
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for other in child.orelse:
                    yield from walk(other, lazy)
            elif isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(module, alias.name, at, lazy)
            elif isinstance(child, ast.ImportFrom):
                base = ".".join(package.split(".")[: len(package.split(".")) - child.level + 1]) if child.level else ""
                origin = ".".join(filter(None, (base, child.module)))
                for alias in child.names:
                    # `from upheld.targets import ports` asks for the module ports, not for what the package says of itself.
                    deeper = f"{origin}.{alias.name}"
                    yield Import(module, deeper if deeper in modules() else origin, at, lazy)
            else:
                yield from walk(child, lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))

    yield from walk(ast.parse(file.read_text()), False)


def part(module: str) -> str:
    """``upheld.run.drive`` → ``run``; the package itself → ``""``."""
    return [*module.split("."), ""][1]


def test_every_part_has_its_line_in_the_table() -> None:
    assert {part(name) for name in modules()} - {""} <= set(PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_imports_only_what_it_may(name: str) -> None:
    ours, others = PARTS[name]
    strange = [
        f"{found.at} imports {found.name}"
        for found in imports()
        if part(found.by) == name
        and (
            part(found.name) not in {*ours, name, ""}
            if found.name.split(".")[0] == "upheld"
            else found.name.split(".")[0] not in others | sys.stdlib_module_names
        )
    ]
    assert strange == []


def test_the_table_itself_goes_in_one_direction() -> None:
    waiting = {name: set(ours) for name, (ours, _) in PARTS.items()}
    while free := {name for name, ours in waiting.items() if not ours & set(waiting)}:
        waiting = {name: ours for name, ours in waiting.items() if name not in free}
    assert waiting == {}, "these wait for each other"


def test_what_is_imported_is_declared() -> None:
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    tables = [*project["dependencies"], *extras["reference"], *extras["containers"]]
    declared = {canonicalize_name(Requirement(line).name) for line in tables}
    reference = {canonicalize_name(Requirement(line).name) for line in extras["reference"]}
    known = packages_distributions()
    missing = set()
    for found in imports():
        top = found.name.split(".")[0]
        if top == "upheld" or top in sys.stdlib_module_names:
            continue
        names = {
            canonicalize_name(name) for name in ([COMES_WITH[top]] if top in COMES_WITH else known.get(top, [top]))
        }
        allowed = declared if part(found.by) == "reference" else declared - reference
        if not names & allowed:
            missing.add(f"{found.at} imports {top}")
    assert missing == set()


def test_no_module_waits_for_itself_to_be_loaded() -> None:
    edges: dict[str, set[str]] = {name: set() for name in modules()}
    for found in imports():
        if not found.lazy and found.name in edges and found.name != found.by:
            edges[found.by].add(found.name)
    while free := {name for name, needs in edges.items() if not needs & set(edges)}:
        edges = {name: needs for name, needs in edges.items() if name not in free}
    # What is left are cycles and whoever leads into them; a module that nobody left imports is not part of one.
    while roots := set(edges) - {need for needs in edges.values() for need in needs}:
        edges = {name: needs for name, needs in edges.items() if name not in roots}
    assert {name: sorted(needs & set(edges)) for name, needs in edges.items()} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import upheld.cli",
        "import upheld.run.pytest_plugin",
        "import upheld.targets",
        "from upheld.cli import main; main(['--help'], standalone_mode=False)",
        "from upheld.cli import main; main(['list'], standalone_mode=False)",
    ],
)
def test_what_has_to_be_quick_loads_nothing_heavy(code: str) -> None:
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = {
        line.rpartition("|")[2].strip().split(".")[0]
        for line in done.stderr.splitlines()
        if line.startswith("import time")
    }
    assert loaded & HEAVY == set()


# -- the tree --------------------------------------------------------------------------------------------------------


def tracked() -> list[Path]:
    """The text files of the repository, as git knows them; all that are there where git does not (an unpacked archive)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True)
    if listed.returncode == 0:
        files = [REPO / name for name in listed.stdout.split("\0") if name]
    else:
        folders = ("src", "tests", "docs", "scripts", "contracts", "load", ".ci")
        files = [file for folder in folders for file in (REPO / folder).rglob("*") if "__pycache__" not in file.parts]
    binary = {".png", ".svg", ".ico", ".woff2", ".gz", ".zip"}
    return [file for file in files if file.is_file() and file.suffix not in binary]


def found(pattern: str) -> list[str]:
    """Where the pattern stands in a tracked file."""
    compiled = re.compile(pattern)
    return [
        f"{file.relative_to(REPO)}:{number}: {line.strip()[:100]}"
        for file in tracked()
        if file != Path(__file__)
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1)
        if compiled.search(line)
    ]


def test_no_module_is_too_long_to_read() -> None:
    long = {str(file.relative_to(REPO)): len(file.read_text().splitlines()) for file in modules().values()}
    assert {name: lines for name, lines in long.items() if lines > LONGEST} == {}


def test_nothing_is_left_to_be_done_later() -> None:
    assert found(r"\b(TODO|FIXME|XXX)\b") == []


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    assert found(r"(?<![\w.{}/-])/(root|work|home/\w+|Users/\w+)/\w") == []


def test_what_is_run_can_be_run() -> None:
    for file in [*(REPO / "scripts").iterdir(), *(REPO / ".ci").iterdir()]:
        assert file.name.startswith("_") or file.stat().st_mode & 0o111, f"{file} is not executable"


# -- the documents ---------------------------------------------------------------------------------------------------

SAID = re.compile(r"(?:^|[\s`$(])upheld ([a-z][a-z-]*)([^`|&;\n]*)")
SCRIPT = re.compile(r"(?:^|[\s`$(./])scripts/([a-z_]+)")


def documents() -> list[Path]:
    return [file for file in tracked() if file.suffix == ".md" and file.relative_to(REPO).parts[0] != "tests"]


def code(text: str) -> Iterator[str]:
    """The lines of fenced blocks and the spans between backticks."""
    for number, block in enumerate(re.split(r"^ *```.*$", text, flags=re.MULTILINE)):
        if number % 2:
            yield from block.splitlines()
        else:
            yield from re.findall(r"`([^`]+)`", block)


def test_documents_name_only_commands_and_options_that_exist() -> None:
    from upheld.cli import main
    from upheld.cli.group import WithCommands

    wrong = []
    for file in documents():
        for line in code(file.read_text()):
            for name, rest in SAID.findall(f"{line}"):
                command = main.commands.get(name)
                below = getattr(command, "commands", {}).get(next(iter(rest.split()), ""))
                command = below or command
                if command is None:
                    wrong.append(f"{file.name}: upheld {name}")
                    continue
                if isinstance(command, WithCommands):
                    command = command.commands.get(rest.split(maxsplit=1)[0] if rest.strip() else "", command)
                known = {
                    option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
                }
                said = re.findall(r"(?<=\s)--[a-z][a-z-]*", rest.split(" # ")[0])
                wrong += [f"{file.name}: upheld {name} {option}" for option in said if option not in known | {"--help"}]
            wrong += [
                f"{file.name}: scripts/{name}"
                for name in SCRIPT.findall(line)
                if not (REPO / "scripts" / name).exists()
            ]
    assert wrong == []
