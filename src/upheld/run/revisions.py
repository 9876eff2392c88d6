"""A contract as it was at another revision of its git repository."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from upheld.contract.load import DOCUMENTS, find, from_parts, load, policy_only
from upheld.contract.source import read
from upheld.errors import ContractError, Place, UsageError

if TYPE_CHECKING:
    from upheld.contract import Contract

_KINDS = (".yaml", ".yml", ".json")


def contract_at(path: Path, revision: str, *, target_url: str | None = None) -> Contract:
    """The contract at ``path`` (a folder or its upheld.yaml) as the revision has it; its document alone where there was no upheld.yaml.

    Raises `UsageError` where git knows no such thing, `ContractError` where it cannot be read.
    """
    file = find([path])[0].resolve()
    top = Path(_git(file.parent, "rev-parse", "--show-toplevel").decode().strip()).resolve()
    commit = _commit(top, revision)
    inside = PurePosixPath(file.relative_to(top).as_posix())
    with TemporaryDirectory(prefix="upheld-") as folder:
        _unpack(top, commit, inside.parent, Path(folder))
        then = Path(folder) / inside
        try:
            if then.is_file() and (beside := policy_only(then).document_file) and not beside.is_file():
                place = os.path.relpath(os.path.normpath(beside), folder)
                _unpack(top, commit, PurePosixPath(place).parent, Path(folder))
            return _read(then, file, target_url)
        except ContractError as error:
            shown = [
                (_as_of(place, folder, revision), sentence.replace(f"{folder}/", ""))
                for place, sentence in error.problems
            ]
            raise ContractError(*shown) from error


def _unpack(top: Path, commit: str, folder: PurePosixPath, into: Path) -> None:
    """The documents of the folder and those below it, which are all that a $ref of a contract may lead to."""
    below = "" if folder == PurePosixPath() else f"{folder}/"
    listed = _git(top, "ls-tree", "-r", "-z", "--name-only", commit, *(["--", below] if below else []))
    names = listed.decode("utf-8", "surrogateescape").split("\0")
    kinds = [f"{below}*{kind}" for kind in _KINDS if any(name.endswith(kind) for name in names)]
    if kinds:
        octets = io.BytesIO(_git(top, "archive", "--format=tar", commit, "--", *kinds))
        with tarfile.open(fileobj=octets) as archive:
            archive.extractall(into, filter="data")


def _read(then: Path, now: Path, target_url: str | None) -> Contract:
    if then.is_file():
        if (served := policy_only(then).document_served) is not None:
            raise UsageError(
                f"at that revision the OpenAPI document was served by the target ({served}): git does not have it"
            )
        return load(then, target_url=target_url)
    part = policy_only(now)
    names = [part.document_file.name] if part.document_file else list(DOCUMENTS)
    document = next((then.parent / name for name in names if (then.parent / name).is_file()), None)
    if document is None:
        raise ContractError((Place(str(then)), "there was no contract"))
    url = target_url or part.policy.target.url
    return from_parts({"target": {"url": url}} if url else {}, read(document.read_bytes(), str(document)).value)


def _as_of(place: Place, folder: str, revision: str) -> Place:
    return Place(f"{revision}:{place.file.removeprefix(f'{folder}/')}", place.line, place.column)


def _commit(top: Path, revision: str) -> str:
    try:
        found = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except UsageError as error:
        hint = "; a shallow clone lacks it: fetch-depth: 0, or git fetch" if "/" in revision or "~" in revision else ""
        raise UsageError(f"git knows no revision {revision!r}{hint}") from error
    return found.decode().strip()


def _git(folder: Path, *words: str) -> bytes:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git cannot be run: {error}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip() or f"status {done.returncode}"
        raise UsageError(f"git {words[0]}: {said}")
    return done.stdout
