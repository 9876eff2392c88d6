"""``upheld load``: are the latency promises kept under load?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from upheld.cli import options
from upheld.cli.group import INTERRUPTED, WithCommands
from upheld.cli.reports import Reports, reports


@click.command(cls=WithCommands)
@options.target
@click.option("--seconds", type=click.FloatRange(1), help="Length of the measured part [the contract's load.duration].")
@click.option("--rate", type=click.FloatRange(0.1), help="Requests per second [the contract's load.rate].")
@click.option("--seed", type=int, help="Seed of the schedule.")
@click.option(
    "--save-plan",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the plan for plain Locust here (load/README.md), and press on nothing.",
)
@reports(".upheld/load")
def load(
    contracts: tuple[Path, ...],
    target: str | None,
    allow_host: tuple[str, ...],
    seconds: float | None,
    rate: float | None,
    seed: int | None,
    save_plan: Path | None,
    reports: Reports,
) -> None:
    """Press on the service as the contract says and decide whether its p95 targets are met."""
    from upheld.report.live import live
    from upheld.report.terminal import render
    from upheld.run.examine import Options, press
    from upheld.run.prepare import opened

    paths = options.found(contracts)
    folders = reports.folders(paths)
    console, status = reports.console(), 0
    for path, folder in zip(paths, folders, strict=True):
        with live(console) as screen, opened(path, target, allow_hosts=allow_host, profiles=("raised",)) as ready:
            stated = ready.contract.policy.load
            # auto: press() asks the contract again and ends as soon as everything is decided
            duration = seconds or (stated.longest if stated.duration == "auto" else stated.duration) or 30.0
            how = Options(
                fuzz=False,
                load_seconds=duration,
                load_rate=rate,
                save_plan=save_plan,
                seed=seed,
                seconds=duration + 120,
                again=options.again("upheld load", path, named=bool(contracts) or len(paths) > 1),
                target_name=f"{ready.name} at {ready.running['raised'].url}",
            )
            run = press(ready.contract, ready.running, how, screen)
        if save_plan is not None and not run.stopped:
            click.echo("\n".join(run.notes))
            continue
        written = reports.write(run, folder)
        render(run, console, report=written)
        status = max(status, run.exit_status)
        if run.exit_status == INTERRUPTED:
            break
    sys.exit(status)
