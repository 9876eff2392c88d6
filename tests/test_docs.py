"""The documents keep step with the code: links lead somewhere, what is named exists, what is generated is up to date.

Commands, their options and the scripts that documents name are held by tests/test_architecture.py, in all of them.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts import _docs

from tests.test_architecture import PARTS, code, documents
from upheld.checks import catalogue, select
from upheld.cli import main
from upheld.reference.mutants import registry

REPO = Path(__file__).parents[1]
SOURCE = REPO / "src" / "upheld"
STALE = "run scripts/docs"


def prose() -> list[Path]:
    """The documents that somebody wrote; a page of a check is held by the test of generated files."""
    return [file for file in documents() if REPO / "docs" / "checks" not in file.parents]


def name(value: object) -> str:
    return value.relative_to(REPO).as_posix() if isinstance(value, Path) else str(value)


def fenced(text: str, language: str) -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# -- generated -----------------------------------------------------------------------------------------------------------


def test_generated_pages_are_up_to_date() -> None:
    made = _docs.pages()
    old = [path for path, text in made.items() if not (REPO / path).is_file() or (REPO / path).read_text() != text]
    assert old == [], STALE
    assert _docs.stale(made) == [], STALE


def test_making_them_again_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _docs.pages()
    for path, text in first.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for made_from in ("contracts/reference/upheld.yaml", *(REPO / "docs/decisions").glob("*.md")):
        (tmp_path / name(REPO / made_from)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / made_from, tmp_path / name(REPO / made_from))
    monkeypatch.setattr(_docs, "REPO", tmp_path)
    assert _docs.pages() == first


def test_pages_of_checks_that_are_gone_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / "docs" / "checks" / "http" / "gone.md"
    left.parent.mkdir(parents=True)
    left.write_text("# http/gone")
    monkeypatch.setattr(_docs, "REPO", tmp_path)
    assert _docs.stale({"docs/checks/http/allow.md": ""}) == [left]


def test_every_check_and_every_mutant_has_its_line() -> None:
    index, matrix = (REPO / "docs/checks/README.md").read_text(), (REPO / "docs/matrix.md").read_text()
    assert [id for id in catalogue() if f"[{id}](" not in index] == []
    assert [mutant for mutant in registry() if f"`{mutant}`" not in matrix] == []


def test_every_key_of_the_file_is_read_by_somebody_or_said_to_be_read_by_nobody_yet() -> None:
    table = (REPO / "contracts/README.md").read_text().partition(_docs.BEGIN)[2]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert [row.split(" | ")[0] for row in rows if row.endswith("|  |")] == [], "say in scripts/_docs.py who reads it"


def test_what_reads_keys_names_keys_that_exist() -> None:
    keys = _docs.Keys().paths()
    strange = [
        f"{check.id}: {path}" for check in catalogue().values() for path in check.requirement.reads if path not in keys
    ]
    assert strange == []
    assert sorted((set(_docs.ELSEWHERE) | _docs.NOT_YET) - keys) == []


def test_what_is_said_to_be_read_by_nobody_is_read_by_nobody() -> None:
    assert [
        path for check in catalogue().values() for path in check.requirement.reads if path in _docs.NOT_YET
    ] == [], "take them out of NOT_YET in scripts/_docs.py"
    last = {tuple(path.split(".")[-2:]): path for path in _docs.NOT_YET}
    # What the contract makes of a key is no use of it yet, nor is what init suggests.
    files = [file for part in ("checks", "load", "run", "steps", "targets") for file in (SOURCE / part).rglob("*.py")]
    found = {
        f"{file.name}:{node.lineno} reads {last[section, node.attr]}"
        for file in files
        if file.parent.name != "init"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and (section := getattr(node.value, "attr", getattr(node.value, "id", ""))) is not None
        and (section, node.attr) in last
    }
    assert found == set(), "say in ELSEWHERE of scripts/_docs.py what it does with them"


def test_every_section_shows_how_the_reference_writes_it() -> None:
    text = (REPO / "contracts/README.md").read_text().partition(_docs.BEGIN)[2]
    written = yaml.safe_load((REPO / "contracts/reference/upheld.yaml").read_text())
    for key, value in written.items():
        section = text.partition(f"\n## `{key}`\n")[2].partition("\n## ")[0]
        if section:
            assert [yaml.safe_load(block) for block in fenced(section, "yaml")] == [{key: value}], key


def test_many_requirements_of_a_group_are_counted() -> None:
    assert _docs._links(["http/allow", "http/head"]) == (
        "[http/allow](../docs/checks/http/allow.md), [http/head](../docs/checks/http/head.md)"
    )
    assert _docs._links([*(f"jwt/{n}" for n in range(_docs.FEW + 1)), "http/allow"]) == (
        "[4 of jwt](../docs/checks/README.md#jwt), [http/allow](../docs/checks/http/allow.md)"
    )


# -- written -------------------------------------------------------------------------------------------------------------


def anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", file.read_text(), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", documents(), ids=name)
def test_links_lead_somewhere(file: Path) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]*`(?!\])", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        # A folder is no page: it has nothing to show on the site.
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


SAID = (
    # (what names one, whether it exists)
    (re.compile(r"(?:--only|--skip|upheld explain) ([\w/*-]+)"), lambda said: bool(select([said]))),
    (re.compile(r"(?:UPHELD_REFERENCE_MUTANT=|--mutant )([a-z][\w-]*/[\w-]+)"), lambda said: said in registry()),
    (re.compile(r"\b(UPHELD_[A-Z_]*[A-Z])\b"), lambda said: said in sources()),
    (re.compile(r"(--upheld-[a-z-]+)"), lambda said: f'"{said}"' in sources()),
    (re.compile(r"\[(reference|containers)\]"), lambda said: f"\n{said} = [" in (REPO / "pyproject.toml").read_text()),
    (
        re.compile(r"(?:^|[\s(`])((?:src|tests|docs|contracts|load|scripts|benchmarks)/[\w./-]*\w)"),
        lambda said: there(said),
    ),
    (
        re.compile(r"^((?:run|contract|report|reference|targets|checks|cli)/[\w/]+\.py)$"),
        lambda said: there(f"src/upheld/{said}"),
    ),
)


def there(path: str) -> bool:
    return (REPO / path).exists() or path.startswith(("contracts/shop", "docs/checks/<"))


def sources() -> str:
    folders = ("src", "scripts", "tests")
    files = [
        file
        for folder in folders
        for file in (REPO / folder).rglob("*")
        if file.suffix in ("", ".py") and file.is_file()
    ]
    settings = (REPO / "src/upheld/reference/core/settings.py").read_text()
    fields = re.findall(r"^    (\w+):", settings, re.MULTILINE)
    texts = [file.read_text() for file in files if file != Path(__file__)]
    return "\n".join([*texts, *(f"UPHELD_REFERENCE_{field.upper()}" for field in fields)])


@pytest.mark.parametrize("file", prose(), ids=name)
def test_what_is_named_exists(file: Path) -> None:
    wrong = [
        said
        for line in code(file.read_text())
        for pattern, exists in SAID
        for said in pattern.findall(line)
        if not _exists(exists, said)
    ]
    assert wrong == []


def _exists(exists: Any, said: str) -> bool:
    try:
        return bool(exists(said))
    except Exception:
        return False


@pytest.mark.parametrize("file", prose(), ids=name)
def test_contracts_in_documents_can_be_read(file: Path) -> None:
    from upheld.contract.load import parse_policy
    from upheld.contract.source import Located

    for block in fenced(file.read_text(), "yaml"):
        read = yaml.safe_load(block)
        if isinstance(read, dict) and not any(isinstance(value, dict) and "script" in value for value in read.values()):
            parse_policy(Located({"upheld": 1, **read}, file.name))


@pytest.mark.parametrize("file", prose(), ids=name)
def test_code_that_is_quoted_stands_in_the_file_that_it_is_from(file: Path) -> None:
    for block in fenced(file.read_text(), "python"):
        first, _, quoted = block.partition("\n")
        assert first.startswith("# from "), f"say where it is from: {first}"
        assert quoted.rstrip() in (REPO / first.removeprefix("# from ")).read_text(), first


def test_the_readme_names_every_command() -> None:
    text = (REPO / "README.md").read_text()
    assert [command for command in main.commands if f"`upheld {command}" not in text] == []


def test_every_decision_has_its_three_parts_and_fits_a_page() -> None:
    for file in (REPO / "docs/decisions").glob("[!R]*.md"):
        text = file.read_text()
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], file.name
        assert len(text.splitlines()) <= 50, file.name


def test_the_architecture_is_one_page() -> None:
    assert len((REPO / "docs/architecture.md").read_text().splitlines()) <= 120


def test_the_architecture_page_has_the_table_that_is_held() -> None:
    text = (REPO / "docs/architecture.md").read_text().partition("## How a run goes")[0]
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
    said = {part: set(re.findall(r"`(\w+)`", ours)) for part, ours in rows}
    assert said == {part: ours for part, (ours, _) in PARTS.items()}
