"""``upheld load``: are the latency promises kept under load?"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from upheld.cli import options
from upheld.cli.group import INTERRUPTED, WithCommands
from upheld.cli.reports import Reports, reports
from upheld.errors import UsageError

if TYPE_CHECKING:
    from upheld.contract import Contract

BESIDE = 120.0
"""Seconds that set-up and late answers may take beside the measured part."""
MASTER_PORT = 5557


def _length(text: str) -> float | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        seconds = float(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is neither a number of seconds nor auto") from error
    if not 1 <= seconds < math.inf:
        raise click.BadParameter(f"{text} is no length: a second at the least")
    return seconds


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        host, port = text, str(MASTER_PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.BadParameter(f"{text!r} is no address; it looks like 10.0.0.5:{MASTER_PORT}")
    return host.strip("[]"), int(port)


@click.command(cls=WithCommands)
@options.target
@click.option(
    "--seconds",
    type=_length,
    metavar="SECONDS|auto",
    help="Length of the measured part [the contract's load.duration]; auto: until every target is decided.",
)
@click.option("--rate", type=click.FloatRange(0.1), help="Requests per second [the contract's load.rate].")
@click.option(
    "--profile",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file whose load: lines win over the contract's.",
)
@click.option(
    "--model", type=click.Choice(["open", "closed"]), help="Arrivals by the clock, or users who wait for answers."
)
@click.option("--users", type=click.IntRange(1), help="Users of the closed model [the contract's load.users].")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes here that share the load [the contract's load.workers]."
)
@click.option(
    "--master", type=_address, metavar="HOST[:PORT]", help="Listen here for workers of other machines, and lead them."
)
@click.option("--expect-workers", type=click.IntRange(1), help="How many --master waits for.")
@click.option("--share-secrets", is_flag=True, help="--master sends its workers the credentials too, unencrypted.")
@click.option(
    "--worker",
    type=_address,
    metavar="HOST[:PORT]",
    help="Be a worker of this master. Takes no contract: the master has it.",
)
@click.option(
    "--secrets", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The credentials for --worker."
)
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Tell the counts to Prometheus here while it runs.")
@click.option("--ui", is_flag=True, help="Show Locust's web interface while it runs, and stay until Ctrl-C.")
@click.option("--ui-port", type=click.IntRange(1, 65535), default=8089, show_default=True, help="Its port on loopback.")
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
    seconds: float | Literal["auto"] | None,
    rate: float | None,
    profile: Path | None,
    model: Literal["open", "closed"] | None,
    users: int | None,
    workers: int | None,
    master: tuple[str, int] | None,
    expect_workers: int | None,
    share_secrets: bool,
    worker: tuple[str, int] | None,
    secrets: Path | None,
    metrics_port: int | None,
    ui: bool,
    ui_port: int,
    seed: int | None,
    save_plan: Path | None,
    reports: Reports,
) -> None:
    """Press on the service as the contract says and decide whether its p95 targets are met.

    A CONTRACT that is called as one of the commands below is reached as ./NAME.
    """
    if worker is not None:
        given = (contracts, target, seconds, rate, profile, model, users, workers, master, save_plan)
        if any(given):
            raise UsageError("--worker takes its plan from its master: only --secrets goes with it")
        sys.exit(_work(*worker, secrets))
    if secrets is not None:
        raise UsageError(
            "--secrets are for --worker; the credentials of a contract come from its environment variables"
        )
    from upheld.contract.load import load_section

    changes = {} if profile is None else load_section(profile)
    how = How(seconds, rate, changes, model, users, workers, master, expect_workers, share_secrets, metrics_port)
    how.check(save_plan)
    paths = options.found(contracts)
    if master is not None and len(paths) > 1:
        raise UsageError(f"--master leads one load, and there are {len(paths)} contracts: name one of them")
    if ui:
        sys.exit(_show(paths, target, allow_host, how, seed or 0, ui_port))
    sys.exit(_press(paths, reports, target, allow_host, how, seed, save_plan, named=bool(contracts) or len(paths) > 1))


@dataclass(frozen=True, slots=True)
class How:
    """What the options change of the contract's ``load:``, and where the load is made."""

    seconds: float | Literal["auto"] | None
    rate: float | None
    profile: Mapping[str, Any]
    """Lines of ``load:`` that win over the contract's."""
    model: Literal["open", "closed"] | None
    users: int | None
    workers: int | None
    master: tuple[str, int] | None
    expect_workers: int | None
    share_secrets: bool
    metrics_port: int | None

    def check(self, save_plan: Path | None) -> None:
        """Raises `UsageError` for options that contradict each other."""
        if self.master and not self.expect_workers:
            raise UsageError("--master waits for all its workers: say how many, --expect-workers 4")
        if self.master and self.workers:
            raise UsageError("--workers start here, --master waits for those of other machines: one of the two")
        if not self.master and (self.expect_workers or self.share_secrets):
            raise UsageError("--expect-workers and --share-secrets go with --master")
        if self.users and self.model == "open":
            raise UsageError("--users are those of --model closed; the open model has a --rate")
        if save_plan and (self.workers or self.master or self.metrics_port):
            raise UsageError("--save-plan presses on nothing: give the workers to Locust instead")

    def of(self, contract: Contract) -> Contract:
        """The contract with the ``load:`` that is meant."""
        policy = contract.policy
        changes = dict(self.profile)
        if model := self.model or ("closed" if self.users else None):
            changes["model"] = model
        if self.users:
            changes["users"] = self.users
        return replace(contract, policy=policy.model_copy(update={"load": policy.load.model_copy(update=changes)}))

    def arguments(self, contract: Contract) -> dict[str, Any]:
        """Of `upheld.load.run.run_load`, beside seconds and rate."""
        from upheld.load.run import Elsewhere

        elsewhere = Elsewhere(*self.master, share_secrets=self.share_secrets) if self.master else None
        processes = self.expect_workers or self.workers or contract.policy.load.workers
        alone = processes == 1 and elsewhere is None
        return {"workers": 0 if alone else processes, "elsewhere": elsewhere, "metrics_port": self.metrics_port}


def _work(host: str, port: int, secrets: Path | None) -> int:
    """Until the master has no more to do."""
    from upheld.load.run import work

    click.echo(f"a worker of {host}:{port} (Ctrl-C ends it)", err=True)
    return work(host, port, secrets, threading.Event())


def _show(paths: list[Path], target: str | None, allow_host: tuple[str, ...], how: How, seed: int, port: int) -> int:
    """Locust's web interface, with the plan of this contract behind it."""
    from upheld.load.web import serve
    from upheld.run.site import site
    from upheld.targets import ports
    from upheld.verdict import silent

    if len(paths) > 1 or how.workers or how.master or how.metrics_port:
        raise UsageError("--ui shows one load of one contract that this machine makes: leave workers and ports out")
    if not ports.is_free(port):
        raise UsageError(f"port {port} is taken by another process; --ui-port names another one")
    with site(paths[0], target, allow_hosts=allow_host, listener=silent, seed=seed) as place:
        place.contract = how.of(place.contract)
        with place.prepared(seconds=how.seconds, rate=how.rate, seed=seed) as (plan, secrets, _):
            click.echo(f"{plan.told}; http://127.0.0.1:{port} shows it, Ctrl-C ends it", err=True)
            return serve(plan, secrets, port)


def _press(
    paths: list[Path],
    reports: Reports,
    target: str | None,
    allow_host: tuple[str, ...],
    how: How,
    seed: int | None,
    save_plan: Path | None,
    *,
    named: bool,
) -> int:
    """One contract after the other. Returns the exit status."""
    from upheld.report.live import live
    from upheld.report.terminal import render
    from upheld.run.examine import Options, press
    from upheld.run.prepare import opened

    folders = reports.folders(paths)
    console, status = reports.console(), 0
    for path, folder in zip(paths, folders, strict=True):
        with (
            live(console) as screen,
            opened(path, target, allow_hosts=allow_host, profiles=("raised",), listener=screen) as ready,
        ):
            contract = how.of(ready.contract)
            policy = contract.policy.load
            seconds = how.seconds or policy.duration
            run = press(
                contract,
                ready.running,
                Options(
                    fuzz=False,
                    load_seconds=seconds,
                    load_rate=how.rate,
                    load_how=how.arguments(contract),
                    save_plan=save_plan,
                    seed=seed,
                    seconds=(policy.longest if seconds == "auto" else seconds) + BESIDE,
                    again=options.again("upheld load", path, named=named),
                    target_name=f"{ready.name} at {ready.running['raised'].url}",
                ),
                screen,
            )
        if save_plan is not None and not run.stopped:
            click.echo("\n".join(run.notes))
            continue
        written = reports.write(run, folder)
        render(run, console, report=written)
        status = max(status, run.exit_status)
        if run.exit_status == INTERRUPTED:
            break
    return status
