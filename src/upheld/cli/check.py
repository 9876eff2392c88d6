"""``upheld check``: a verdict for every promise."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upheld.cli import options
from upheld.cli.group import INTERRUPTED
from upheld.cli.reports import Reports, reports
from upheld.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from upheld.check import Check
    from upheld.contract.policy import Policy
    from upheld.run.examine import Options
    from upheld.verdict import Run


@click.command()
@options.target
@options.selection
@click.option("--quick", is_flag=True, help="No waiting for rate windows, short fuzzing: for the desk.")
@click.option("--fuzz/--no-fuzz", default=True, help="Whether requests are generated with Schemathesis.")
@click.option(
    "--load", "load_seconds", type=float, default=0.0, metavar="SECONDS", help="End with a load run this long."
)
@click.option("--seed", type=int, help="Seed of everything generated; printed with every run.")
@click.option("--requests", type=click.IntRange(1), help="Most requests that the run may send.")
@click.option("--seconds", type=click.FloatRange(1), help="Most seconds that the run may take.")
@options.baseline
@options.since
@reports(".upheld/report")
@click.option("-v", "--verbose", is_flag=True, help="Show every promise, also those that were upheld.")
def check(
    contracts: tuple[Path, ...],
    target: str | None,
    allow_host: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    quick: bool,
    fuzz: bool,
    load_seconds: float,
    seed: int | None,
    requests: int | None,
    seconds: float | None,
    baseline: Path | None,
    since: str | None,
    verbose: bool,
    reports: Reports,
) -> None:
    """Hold contracts against the running service and give every promise a verdict.

    Without a CONTRACT: ./upheld.yaml, ./contracts/*/upheld.yaml, else the bundled reference backend.
    """
    from upheld.checks import select
    from upheld.run.examine import Options
    from upheld.run.since import of_command

    select(only, skip)  # a misspelt name is told before anything is started
    paths = options.found(contracts)
    if baseline is not None and len(paths) > 1:
        raise UsageError(f"--baseline is for one contract, and there are {len(paths)}: name one of them")
    folders = reports.folders(paths)
    console = reports.console()
    status = 0
    for path, folder in zip(paths, folders, strict=True):
        differs = of_command(path, since, target)
        if differs is not None and not differs.touched:
            console.print(
                f"{path}: nothing differs from {since}, and nothing was checked", markup=False, soft_wrap=True
            )
            continue
        how = Options(
            quick=quick,
            fuzz=fuzz,
            load_seconds=load_seconds,
            seed=seed,
            requests=requests,
            seconds=seconds,
            since=differs,
            again=options.again(
                "upheld check", path, f"--target {target}" if target else "", named=bool(contracts) or len(paths) > 1
            ),
        )
        run = _run(path, target, allow_host, only, skip, baseline, how, console)
        written = reports.write(run, folder)
        from upheld.report import replays
        from upheld.report.terminal import render

        replays.write(run, folder, target)
        render(run, console, verbose=verbose, report=written)
        status = max(status, run.exit_status)
        if run.exit_status == INTERRUPTED:
            break
    sys.exit(status)


def _run(
    path: Path,
    target: str | None,
    allow_host: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    baseline: Path | None,
    how: Options,
    console: Console,
) -> Run:
    from dataclasses import replace

    from upheld.report.live import live
    from upheld.run.examine import examine
    from upheld.run.prepare import opened

    def played(policy: Policy) -> list[Check]:
        return [] if how.quick else options.chosen(policy, only, skip)

    with (
        live(console) as screen,
        opened(path, target, allow_hosts=allow_host, played=played, baseline=baseline, listener=screen) as ready,
    ):
        contract = ready.contract
        fuzz = how.fuzz and (how.since is None or how.since.can_be_fuzzed(contract))
        named = replace(how, fuzz=fuzz, target_name=f"{ready.name} at {ready.running['raised'].url}")
        return examine(contract, options.chosen(contract.policy, only, skip), ready.running, named, screen)
