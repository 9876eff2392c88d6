"""What a user installs: the wheel holds everything that it needs and nothing else, and works where this repository is not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPO = Path(__file__).parents[1]
SOURCE = REPO / "src" / "upheld"
PROJECT: dict[str, Any] = tomllib.loads((REPO / "pyproject.toml").read_text())

# Building takes seconds, so one process does it once for all of them.
pytestmark = pytest.mark.xdist_group("packaging")


# -- the lock --------------------------------------------------------------------------------------------------------


def pinned() -> dict[str, str]:
    """Name → version of each line of the lock."""
    lines = [line.partition(";")[0].strip() for line in (REPO / "requirements-dev.lock").read_text().splitlines()]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line) for line in lines), "only pins, no options"
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def wanted() -> Iterator[Requirement]:
    """Everything that pyproject.toml asks for, in whatever table."""
    project = PROJECT["project"]
    tables = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
        PROJECT["build-system"]["requires"],
    ]
    return (Requirement(line) for table in tables for line in table)


@pytest.mark.parametrize("requirement", list(wanted()), ids=lambda requirement: requirement.name)
def test_the_lock_pins_what_pyproject_asks_for(requirement: Requirement) -> None:
    version = pinned().get(canonicalize_name(requirement.name))
    assert version, f"{requirement.name} is not in requirements-dev.lock; scripts/lock"
    assert requirement.specifier.contains(version, prereleases=True), f"{version} is out of range; scripts/lock"


def test_the_lock_names_no_place_that_packages_come_from() -> None:
    text = (REPO / "requirements-dev.lock").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", text, re.MULTILINE)


# -- the wheel -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, so that both are proved to be complete."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(REPO)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_has_one_import_name(contents: set[str]) -> None:
    tops = {name.split("/")[0] for name in contents}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"upheld"}


def test_it_has_every_file_of_the_package(contents: set[str]) -> None:
    here = {
        f"upheld/{file.relative_to(SOURCE).as_posix()}"
        for file in SOURCE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    }
    assert here <= contents
    assert "upheld/py.typed" in here


def test_it_has_the_reference_s_contract(contents: set[str]) -> None:
    assert {f"upheld/_contracts/reference/{name}" for name in ("upheld.yaml", "openapi.yaml")} <= contents


def test_it_has_nothing_that_only_development_needs(contents: set[str]) -> None:
    stray = [
        name for name in contents if re.search(r"(^|/)(tests?|conftest\.py|docs|scripts|__pycache__|\.ci)(/|$)", name)
    ]
    assert stray == []


def test_its_metadata_asks_for_what_pyproject_does(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    project = PROJECT["project"]
    ours = [line for table in (project["dependencies"], *project["optional-dependencies"].values()) for line in table]
    its = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert {canonicalize_name(Requirement(line).name) for line in its} == {
        canonicalize_name(Requirement(line).name) for line in ours
    }
    assert "License-Expression: Apache-2.0" in metadata


# -- the installed command -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; the folder of its commands. Its dependencies are lent by this environment,
    so that no network is needed; that they are complete is what the lock's tests are for."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # The path alone: what .pth files in there do, such as leading to this repository, is not done for it.
    site = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return home / "bin"


def run(bin_folder: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One of the installed commands in an empty folder, with nothing of ours in the environment."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "UPHELD", "PYTEST", "VIRTUAL"))
    }
    env["PATH"] = f"{bin_folder}{os.pathsep}{os.defpath}"
    command = [str(bin_folder / words[0]), *words[1:]]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)


def test_the_wheel_is_what_is_imported(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "python", "-c", "import upheld; print(upheld.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(installed.parent), done.stderr


def test_it_says_its_version(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "upheld", "--version")
    assert done.returncode == 0, done.stderr
    assert PROJECT["project"]["version"] in done.stdout


def test_it_lists_its_catalogue(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "upheld", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) >= len(list(SOURCE.glob("checks/*/[!_]*.py"))) > 0


@pytest.mark.live
def test_it_holds_the_bundled_reference_to_its_contract(installed: Path, tmp_path: Path) -> None:
    done = run(
        installed, tmp_path, "upheld", "check", "--quick", "--no-fuzz", "--only", "http", "--json", "report.json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["schema"].startswith("upheld.report/")
    assert done.stdout.strip()


@pytest.mark.live
def test_pytest_finds_the_plugin(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "python", "-m", "pytest", "--help")
    assert done.returncode == 0, done.stderr
    assert "upheld" in done.stdout.lower()
