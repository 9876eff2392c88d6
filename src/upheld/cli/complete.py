"""What a shell offers when Tab is pressed: contracts, requirements, kept conversations. It reads names of files, no contract."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

CONTRACT_FILES = ("upheld.yaml", "upheld.yml")


def contracts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Folders that hold an upheld.yaml here or below contracts/, and the commands below this one; else any file."""
    below = [name for name in getattr(context.command, "commands", {}) if not context.params.get("contracts")]
    files = [
        file for name in CONTRACT_FILES for pattern in ("*", "contracts/*") for file in Path().glob(f"{pattern}/{name}")
    ]
    found = _starting(incomplete, [*below, *sorted({str(file.parent) for file in files})])
    return found or [CompletionItem(incomplete, type="file")]


def requirements(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of requirements."""
    from upheld.checks import names

    return _starting(incomplete, names())


def selections(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids and groups, the last of those that have commas between them."""
    from upheld.checks import names

    before, comma, last = incomplete.rpartition(",")
    groups = dict.fromkeys(id.partition("/")[0] for id in names())
    return [CompletionItem(before + comma + item.value) for item in _starting(last, [*groups, *names()])]


def replays(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files of conversations that are kept; else any file."""
    folder = Path(context.params.get("folder") or ".upheld/report", "replays")
    return _starting(incomplete, map(str, sorted(folder.glob("*.json")))) or [CompletionItem(incomplete, type="file")]


def _starting(incomplete: str, values: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(value) for value in values if value.startswith(incomplete)]
