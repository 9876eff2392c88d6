"""``upheld replay``: a conversation that showed a breach, once more."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upheld.cli import complete, options
from upheld.errors import UsageError
from upheld.verdict import Exit, Result, Verdict

if TYPE_CHECKING:
    from rich.console import Console

    from upheld.check import Check

REPORTS = Path(".upheld/report")


@click.command()
@click.argument("what", required=False, metavar="[FILE|ID]", shell_complete=complete.replays)
@click.option("--contract", type=click.Path(path_type=Path), help="Where the contract is now [where it was].")
@click.option("--target", metavar="URL", help="The running service [the one of the run].")
@options.hosts
@click.option(
    "--report", "folder", type=click.Path(path_type=Path, file_okay=False), default=REPORTS, show_default=True,
    help="Folder of the reports of that run.",
)  # fmt: skip
def replay(
    what: str | None, contract: Path | None, target: str | None, allow_host: tuple[str, ...], folder: Path
) -> None:
    """Have the conversation that showed a breach again, and say whether it still does.

    `upheld check` keeps one for each breach and advisory; without FILE or ID they are listed. Exit status 1 when the promise is
    still broken, 0 when it is kept now, 2 when that could not be found out.
    """
    from upheld.report import replays
    from upheld.report.clean import one_line

    if what is None:
        for file, one in replays.kept_in(folder).items():
            click.echo(f"{one_line(one.id)}  {file}")
        return
    kept = replays.read(replays.find(what, folder))
    path = contract or Path(kept.contract)
    if not path.exists():
        raise UsageError(f"the contract is not at {path} any more: name it with --contract")

    from upheld.report.live import live
    from upheld.run.examine import Options
    from upheld.run.prepare import opened
    from upheld.run.replay import replay as again

    click.echo(one_line(f"{kept.id}  {kept.verdict} {kept.started}, seed {kept.seed}: {kept.actual}"))
    command = f"{options.again('upheld check', path, named=True)}{f' --target {target}' if target else ''}"
    how = Options(fuzz=False, seed=kept.seed, again=command)
    url = target or kept.target or None
    with (
        live(_screen()) as listener,
        opened(path, url, allow_hosts=allow_host, played=lambda _: _needed(kept.id), listener=listener) as ready,
    ):
        found = again(ready.contract, kept.id, kept.recording, ready.running, how, listener)
    for line in replays.side_by_side(kept.recording.exchanges, found.exchanges):
        click.echo(line)
    click.echo(_told(found.result, command, kept.seed))
    sys.exit(_status(found.result))


def _needed(id: str) -> list[Check]:
    from upheld.checks import catalogue

    check = catalogue().get(id.partition("[")[0])
    return [check] if check else []


def _screen() -> Console:
    from upheld.cli.reports import console

    return console(stderr=True)


def _told(result: Result, command: str, seed: int) -> str:
    from upheld.report.clean import one_line

    if result.evidence is not None:
        expected = f"\n  expected   {one_line(result.evidence.expected)}"
        return f"STILL BROKEN  {one_line(result.id)}{expected}\n  actual     {one_line(result.evidence.actual)}"
    if result.verdict is Verdict.UPHELD:
        return f"KEPT NOW  {one_line(result.id)}" + (f"\n  {one_line(result.detail)}" if result.detail else "")
    whole = f"{command} --only {result.requirement} --seed {seed}"
    return f"NOT FOUND OUT  {one_line(result.id)}\n  {one_line(result.reason)}\n  whole      {whole}"


def _status(result: Result) -> Exit:
    if result.evidence is not None:
        return Exit.BREACHED
    return Exit.KEPT if result.verdict is Verdict.UPHELD else Exit.USAGE
