"""``upheld diff``: what has changed in a contract, and whom that breaks."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upheld.cli import complete, options
from upheld.errors import UsageError
from upheld.verdict import Exit

if TYPE_CHECKING:
    from upheld.contract.changes import Change

SCHEMA = "upheld.diff/1"
_COLOURS = {"breaking": "red", "warning": "yellow", "harmless": "green"}


@click.command()
@click.argument("contract", required=False, type=click.Path(path_type=Path), shell_complete=complete.contracts)
@click.option("--target", metavar="URL", help="Compare with what this service serves [the contract's target].")
@click.option("--rev", metavar="REV", help="Compare with the contract at this git revision, such as origin/main.")
@options.hosts
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(
    contract: Path | None, target: str | None, rev: str | None, allow_host: tuple[str, ...], as_json: bool
) -> None:
    """Compare a contract with what its target serves, or with another revision, and say which changes break callers.

    Without --target and --rev: with target.base_ref where upheld.yaml names one, else with the target. Exit status 1 when a change
    is breaking.
    """
    from upheld.contract.changes import changes
    from upheld.contract.load import policy_only

    if target is not None and rev is not None:
        raise UsageError("--target and --rev are two comparisons: make them one after the other")
    path = options.found_one((contract,) if contract else ())
    if target is None:
        rev = rev or policy_only(path).policy.target.base_ref
    today = datetime.datetime.now(tz=datetime.UTC).date()
    if rev is not None:
        from upheld.run.prepare import read_contract
        from upheld.run.revisions import contract_at

        now = read_contract(path, None, allow_hosts=allow_host)
        found = changes(contract_at(path, rev), now, today)
        sides = (f"{path} at {rev}", str(path))
    else:
        from upheld.run.drift import served_beside

        now, served, where = served_beside(path, target, allow_hosts=allow_host)
        found = [_live(change) for change in changes(now, served, today, policies=False)]
        sides = (str(path), where)
    if as_json:
        click.echo(json.dumps(_document(found, *sides), indent=2, ensure_ascii=False))
    else:
        for line in _lines(found, *sides):
            click.echo(line)
    sys.exit(Exit.BREACHED if any(change.effect == "breaking" for change in found) else Exit.KEPT)


def _live(change: Change) -> Change:
    """What comes and goes, in the words for a service that runs."""
    from upheld.contract.changes import Effect

    if change.text == "is added":
        return replace(change, effect=Effect.WARNING, text="is undocumented: served, and not in the contract")
    if change.text == "is missing":
        return replace(change, text="is missing: in the contract, and not served")
    return change


def _document(found: list[Change], before: str, after: str) -> dict[str, object]:
    counts = {effect: sum(change.effect == effect for change in found) for effect in _COLOURS}
    return {
        "schema": SCHEMA,
        "before": before,
        "after": after,
        **counts,
        "changes": [asdict(change) for change in found],
    }


def _lines(found: list[Change], before: str, after: str) -> Iterator[str]:
    from upheld.report.clean import one_line
    from upheld.report.digest import plural

    yield f"{one_line(before)} → {one_line(after)}"
    for change in found:
        word = click.style(f"{change.effect.upper():<9}", fg=_COLOURS[change.effect])
        yield f"{word} {one_line(change.operation)}: {one_line(change.text)}"
    counts = [f"{sum(change.effect == effect for change in found)} {effect}" for effect in _COLOURS]
    yield f"{len(found)} {plural(len(found), 'change')}: {', '.join(counts)}" if found else "no changes"
