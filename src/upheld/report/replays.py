"""Conversations that showed a breach, a file each: what `upheld replay` has again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any

from upheld.errors import UsageError
from upheld.report.clean import one_line
from upheld.report.files import replace_text
from upheld.verdict import Recording, Run, Said, Verdict

SCHEMA = "upheld.replay/1"
FOLDER = "replays"
"""Inside the folder of the reports."""
_SHOWN = 160
"""Characters of a body that are shown."""


@dataclass(frozen=True, slots=True)
class Replay:
    """One file. ``target`` is the URL that the command line named; empty where the contract says it."""

    id: str
    verdict: str
    actual: str
    contract: str
    target: str
    seed: int
    started: str
    recording: Recording


def write(run: Run, folder: Path, target: str | None = None) -> list[Path]:
    """A file for each breach and advisory of the run that a conversation showed; those of an earlier run go.

    ``folder`` is that of the reports. Raises `UsageError`.
    """
    home = folder / FOLDER
    wanted = {_name(replay.id): replay for replay in _replays(run, target or "")}
    for old in home.glob("*.json"):
        if old.name not in wanted and _is_ours(old):
            old.unlink(missing_ok=True)
    for name, replay in wanted.items():
        replace_text(home / name, json.dumps({"schema": SCHEMA, **asdict(replay)}, indent=1) + "\n")
    return [home / name for name in wanted]


def _replays(run: Run, target: str) -> Iterator[Replay]:
    for result in run.results:
        if result.recording is not None and result.verdict in (Verdict.BREACHED, Verdict.ADVISORY):
            actual = result.evidence.actual if result.evidence else ""
            yield Replay(
                result.id, str(result.verdict), actual, run.contract, target, run.seed, run.started, result.recording
            )


def _name(id: str) -> str:
    """Of the file. Two ids that read alike have different ones."""
    plain = re.sub(r"[^a-z0-9]+", "-", id.lower()).strip("-")[:80]
    return f"{plain}-{hashlib.sha256(id.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}.json"


def _is_ours(file: Path) -> bool:
    try:
        return f'"schema": "{SCHEMA}"'.encode() in file.read_bytes()[:200]
    except OSError:
        return False


def find(what: str, folder: Path) -> Path:
    """The file that ``what`` names: a file, the id of a promise, or a requirement that was broken once. Raises `UsageError`."""
    if Path(what).is_file():
        return Path(what)
    kept = kept_in(folder)
    named = [file for file, replay in kept.items() if what in (replay.id, replay.id.partition("[")[0])]
    if len(named) == 1:
        return named[0]
    if named:
        ids = ", ".join(kept[file].id for file in named)
        raise UsageError(f"{what} was broken {len(named)} times, name one of them: {ids}")
    there = f"{folder / FOLDER} has {len(kept)} others" if kept else f"{folder / FOLDER} has none"
    raise UsageError(f"no conversation is kept of {what!r}: {there}; `upheld replay` lists them")


def kept_in(folder: Path) -> dict[Path, Replay]:
    """What is kept in a folder of reports, by file."""
    return {file: read(file) for file in sorted((folder / FOLDER).glob("*.json")) if _is_ours(file)}


def read(file: Path) -> Replay:
    """Read one. Raises `UsageError` where it is something else."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise UsageError(f"{file} is no conversation that upheld check has kept ({SCHEMA})")
        recording = document["recording"]
        exchanges = tuple(_said(each) for each in recording["exchanges"])
        if not exchanges:
            raise ValueError("it holds no exchange")
        kept = Recording(exchanges, str(recording["dialogue"]), bool(recording["engine"]))
        texts = {name: str(document[name]) for name in ("id", "verdict", "actual", "contract", "target", "started")}
        return Replay(**texts, seed=int(document["seed"]), recording=kept)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise UsageError(f"{file}: {error} is missing") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def _said(document: Mapping[str, Any]) -> Said:
    known = {field.name for field in fields(Said)}
    values = {name: value for name, value in document.items() if name in known}
    for name in ("headers", "answer_headers"):
        values[name] = tuple((str(key), str(value)) for key, value in values.get(name, ()))
    return Said(**values)


def side_by_side(recorded: tuple[Said, ...], now: tuple[Said, ...]) -> Iterator[str]:
    """Lines: each request with the answer that was recorded and the one of now, and the fields that only one of them has."""
    for number, (before, after) in enumerate(zip_longest(recorded, now), 1):
        asked = before or after
        assert asked is not None
        who = f" as {asked.role}" if asked.role else ""
        yield f"{number:>3}  " + one_line(f"{asked.method} {asked.target[:_SHOWN]}{who}")
        if before and after and (before.method, before.operation) != (after.method, after.operation):
            yield "     now it is " + one_line(f"{after.method} {after.target[:_SHOWN]}")
        for name, side, other in (("recorded", before, after), ("now", after, before)):
            yield f"     {name:<9} {one_line(_answer(side, other))}"


def _answer(said: Said | None, other: Said | None) -> str:
    if said is None:
        return "-"
    body = said.answer[:_SHOWN] + ("…" if len(said.answer) > _SHOWN else "")
    theirs = {name.lower() for name, _ in other.answer_headers} if other else set()
    only = [f"{name}: {value}" for name, value in said.answer_headers if other and name.lower() not in theirs]
    return f"{said.status} {body}".strip() + (f" (only here: {'; '.join(only)})" if only else "")
