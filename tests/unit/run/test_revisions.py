"""A contract as another revision of its repository has it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from upheld.errors import ContractError, UsageError
from upheld.run.revisions import contract_at

Commit = Callable[..., str]


def document(*paths: str) -> str:
    found = {path: {"get": {"responses": {"200": {"description": "ok"}}}} for path in paths}
    return json.dumps({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": found})


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    """``commit({"a/b.yaml": "text", "gone.yaml": None})`` → its name."""

    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")

    def commit(files: dict[str, str | None]) -> str:
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink() if text is None else file.write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "-m", "x")
        return git("rev-parse", "HEAD").strip()

    return commit


def labels(folder: Path, revision: str) -> list[str]:
    return [operation.label for operation in contract_at(folder, revision).operations]


def test_it_is_read_as_it_was_and_nothing_here_changes(commit: Commit, tmp_path: Path) -> None:
    shop = tmp_path / "contracts" / "shop"
    commit({"contracts/shop/upheld.yaml": "upheld: 1\n", "contracts/shop/openapi.json": document("/a")})
    first = commit({"contracts/shop/upheld.yaml": "upheld: 1\nprefix: ''\n", "notes.txt": "no contract"})
    commit({"contracts/shop/openapi.json": document("/a", "/b")})
    assert labels(shop, first) == labels(shop / "upheld.yaml", "HEAD~1") == ["GET /a"]
    assert labels(shop, "HEAD") == ["GET /a", "GET /b"]
    assert contract_at(shop, first).policy.prefix == ""
    assert "/b" in (shop / "openapi.json").read_text()


def test_references_lead_to_what_was_there(commit: Commit, tmp_path: Path) -> None:
    answer = {"$ref": "common/answers.yaml#/ok"}
    shared = json.loads(document())
    shared["paths"] = {"/a": {"get": {"responses": {"200": answer}}}}
    commit({
        "shop/upheld.yaml": "upheld: 1\n",
        "shop/openapi.json": json.dumps(shared),
        "shop/common/answers.yaml": "ok: {description: ok, content: {text/plain: {schema: {type: string}}}}\n",
    })  # fmt: skip
    commit({"shop/common/answers.yaml": "ok: {description: changed}\n"})
    (operation,) = contract_at(tmp_path / "shop", "HEAD~1").operations
    assert list(operation.responses["200"].content) == ["text/plain"]


def test_the_document_may_lie_elsewhere_in_the_repository(commit: Commit, tmp_path: Path) -> None:
    commit({"shop/upheld.yaml": "upheld: 1\nopenapi: ../api/openapi.json\n", "api/openapi.json": document("/a")})
    commit({"api/openapi.json": document("/b")})
    assert labels(tmp_path / "shop", "HEAD~1") == ["GET /a"]
    commit({"shop/upheld.yaml": "upheld: 1\nopenapi: ../../openapi.json\n"})
    with pytest.raises((ContractError, UsageError)):
        contract_at(tmp_path / "shop", "HEAD")


def test_before_there_was_an_upheld_yaml_its_document_is_enough(commit: Commit, tmp_path: Path) -> None:
    commit({"openapi.json": document("/a")})
    commit({"upheld.yaml": "upheld: 1\n"})
    assert labels(tmp_path, "HEAD~1") == ["GET /a"]


@pytest.mark.parametrize("revision", ["nothing", "--output=x", "", "HEAD:upheld.yaml"])
def test_a_revision_has_to_be_one(commit: Commit, tmp_path: Path, revision: str) -> None:
    commit({"upheld.yaml": "upheld: 1\n", "openapi.json": document("/a")})
    with pytest.raises(UsageError, match="git knows no revision"):
        contract_at(tmp_path, revision)


def test_what_is_wrong_there_is_told_as_of_there(commit: Commit, tmp_path: Path) -> None:
    commit({"readme.txt": "nothing yet"})
    commit({"upheld.yaml": "upheld: 1\nwrong: 1\n", "openapi.json": document("/a")})
    commit({"upheld.yaml": "upheld: 1\n"})
    with pytest.raises(ContractError, match=r"HEAD~1:upheld\.yaml:2: unknown key 'wrong'"):
        contract_at(tmp_path, "HEAD~1")
    with pytest.raises(ContractError, match="there was no contract"):
        contract_at(tmp_path, "HEAD~2")
    commit({"upheld.yaml": "upheld: 1\nopenapi: /openapi.json\n"})
    with pytest.raises(UsageError, match="served by the target"):
        contract_at(tmp_path, "HEAD")


def test_outside_of_a_repository_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "upheld.yaml").write_text("upheld: 1\n")
    with pytest.raises(UsageError, match=r"git rev-parse: .*not a git repository"):
        contract_at(tmp_path, "HEAD")
