"""A baseline: waivers in a file of their own, which a command writes. What is known fails nothing until its date; what is new does."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from upheld.contract.problems import from_validation
from upheld.contract.sections.base import Section
from upheld.contract.sections.running import Waiver
from upheld.contract.source import read
from upheld.errors import ContractError, Place, UsageError

HEAD = """\
# Known breaches: told in every report, failing nothing until their day has passed.
# `upheld baseline` writes this file, `upheld check --baseline` reads it.
"""
Known = tuple[Waiver, Place]


class Baseline(Section):
    """What the file holds: lines as under ``waive:`` of upheld.yaml."""

    waive: tuple[Waiver, ...] = ()


def read_baseline(path: Path) -> tuple[Known, ...]:
    """The waivers of a baseline, each with its line. Raises `ContractError`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ContractError((Place(str(path)), f"cannot be read: {error.strerror}")) from error
    written = read(data, str(path))
    try:
        found = Baseline.model_validate(written.value if written.value is not None else {})
    except ValidationError as error:
        raise ContractError(*from_validation(error, Baseline, written)) from None
    return tuple((waiver, written.place(("waive", at))) for at, waiver in enumerate(found.waive))


@dataclass(frozen=True)
class Reported:
    """What a JSON report tells of one promise."""

    id: str
    requirement: str
    title: str
    verdict: str
    flaky: bool


@dataclass(frozen=True)
class Report:
    """What a JSON report tells of promises by id, and which waivers waive nothing any more."""

    promises: Mapping[str, Reported]
    idle: frozenset[str] = frozenset()


def reported(path: Path) -> Report:
    """Read a JSON report. Raises `UsageError`."""
    try:
        report = json.loads(path.read_bytes())
    except OSError as error:
        sentence = f"{path} cannot be read: {error.strerror}; `upheld check` writes it, or name another report"
        raise UsageError(sentence) from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(report, dict) or not str(report.get("schema", "")).startswith("upheld.report/1"):
        raise UsageError(f"{path} is not a JSON report of `upheld check`")
    names = ("id", "requirement", "title", "verdict", "flaky")
    rows = {row["id"]: Reported(**{name: row[name] for name in names}) for row in report["promises"]}
    return Report(rows, frozenset(report.get("idle_waivers", ())))


@dataclass(frozen=True)
class Update:
    """How a baseline has to change by a report."""

    new: tuple[Reported, ...]
    """Breaches that it does not hold, or not any more."""
    kept: tuple[Waiver, ...]
    gone: tuple[str, ...]
    """What it holds and does not occur any more."""


def update(known: tuple[Waiver, ...], report: Report, *, advisories: bool, today: datetime.date) -> Update:
    """Compare a baseline with a report. What the report does not judge stays."""
    failing = {"breached", "advisory"} if advisories else {"breached"}
    kept, gone = [], []
    for waiver in known:
        row = report.promises.get(waiver.id)
        if waiver.id in report.idle:
            gone.append(waiver.id)
        elif row is None or row.verdict not in failing or waiver.until >= today:
            kept.append(waiver)
    held = {waiver.id for waiver in kept}
    new = (row for row in report.promises.values() if row.verdict in failing and not row.flaky and row.id not in held)
    return Update(tuple(new), tuple(kept), tuple(gone))


class _Plain(yaml.SafeDumper):
    """Without anchors: a day that comes twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dumps(waivers: tuple[Waiver, ...]) -> str:
    """The file's text, in the order of ids."""
    lines: list[dict[str, Any]] = []
    for waiver in sorted(waivers, key=lambda waiver: (waiver.id, waiver.op)):
        op = {} if waiver.op == "**" else {"op": waiver.op}
        lines.append({"id": waiver.id, **op, "reason": waiver.reason, "until": waiver.until})
    return HEAD + yaml.dump({"waive": lines}, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1000)
