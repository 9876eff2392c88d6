"""Reports as files: written whole or not at all, and never over something that is not ours."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from upheld.errors import UsageError
from upheld.verdict import Run

if TYPE_CHECKING:
    from upheld.check import Check

HOME = Path(".upheld/reports")
"""Where reports go when nobody says where: a folder a run, and ``latest``, which points to the newest."""
_OURS = {
    "report.html": b'<meta name="generator" content="Upheld',
    "report.json": b'"schema": "upheld.report/',
    "junit.xml": b'<testsuites name="upheld"',
}
_HEAD = 4096


def write(run: Run, folder: Path | str | None = None, checks: Mapping[str, Check] | None = None) -> dict[str, Path]:
    """Write the reports into ``folder`` and give their paths by kind: ``html``, ``json``, ``junit``.

    ``checks`` are those by id whose pages the HTML report shows.
    Without a folder it is a new one under ``.upheld/reports``, and the entry ``latest`` is the pointer that was moved to
    it. Raises `UsageError`, before anything is written, where a file of that name is not a report.
    """
    from upheld.report import html, json_report, junit

    own = folder is None
    home = _new_folder(run) if folder is None else Path(folder)
    check_place(home)
    texts = {
        "html": ("report.html", html.render(run, checks)),
        "json": ("report.json", json_report.dumps(run)),
        "junit": ("junit.xml", junit.render(run)),
    }
    written = {}
    for kind, (name, text) in texts.items():
        replace_text(home / name, text)
        written[kind] = home / name
    if own and (pointer := _point(home)):
        written["latest"] = pointer
    return written


def _new_folder(run: Run) -> Path:
    try:
        name = datetime.fromisoformat(run.started).strftime("%Y%m%d-%H%M%S")
    except ValueError:
        name = re.sub(r"\W+", "-", run.started, flags=re.ASCII).strip("-")[:40] or "run"
    for number in range(1, 1000):
        folder = HOME / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"{folder}: the reports cannot be written there: {error.strerror}") from error
        return folder
    raise UsageError(f"{HOME / name} and 998 others exist; remove some")


def check_place(folder: Path) -> None:
    """Make the folder. Raises `UsageError` for everything that could go wrong with it, before the first byte is written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{folder} is a file; reports need a folder") from error
    except OSError as error:
        raise UsageError(f"{folder}: the reports cannot be written there: {error.strerror}") from error
    for name, mark in _OURS.items():
        path = folder / name
        if not os.path.lexists(path):
            continue
        try:
            with path.open("rb") as file:
                ours = path.is_file() and mark in file.read(_HEAD)
        except OSError:
            ours = False
        if not ours:
            raise UsageError(f"{path} exists and is not a report of Upheld; name another folder, or move it away")


def replace_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` so that nobody ever reads half of it; folders on the way are made.

    Raises `UsageError` where that cannot be.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # /dev/stdout and the like cannot be replaced, only written to
            path.write_text(text, encoding="utf-8")
            return
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _point(folder: Path) -> Path | None:
    """Move ``latest`` to this folder. A real file or folder of that name is somebody's and stays."""
    pointer = folder.parent / "latest"
    if os.path.lexists(pointer) and not pointer.is_symlink():
        return None
    temporary = folder.parent / f".latest.{folder.name}"
    try:
        temporary.symlink_to(folder.name, target_is_directory=True)
        temporary.replace(pointer)
    except OSError:
        temporary.unlink(missing_ok=True)
        return None  # a file system without links: a pointer is a comfort, not a promise
    return pointer
