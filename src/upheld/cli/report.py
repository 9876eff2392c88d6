"""``upheld report``: what a run verified, in the forms that others ask for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upheld.cli import options
from upheld.cli.baseline import REPORT
from upheld.cli.reports import STANDARD_OUTPUT
from upheld.errors import UsageError

if TYPE_CHECKING:
    from upheld.contract import Contract

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("report", type=FILE, default=REPORT)
@click.option(
    "--implementation", is_flag=True, help="Write an implementation report: endpoints, models, measures, commands."
)
@click.option("-o", "--output", type=FILE, default=STANDARD_OUTPUT, metavar="FILE", help="Where to [standard output].")
@click.option("--feature", default="", metavar="TEXT", help="What was built [the document's title].")
@click.option("--postman", type=FILE, metavar="FILE", help="Write a Postman collection (v2.1) of the contract here.")
@click.option(
    "--contract", type=click.Path(path_type=Path), metavar="CONTRACT", help="[the contract that REPORT names]"
)
@click.option("--target", metavar="URL", help="Where commands and requests find the service [the contract's target].")
@options.hosts
def report(
    report: Path,
    implementation: bool,
    output: Path,
    feature: str,
    postman: Path | None,
    contract: Path | None,
    target: str | None,
    allow_host: tuple[str, ...],
) -> None:
    """Write what a run verified as an implementation report, and a contract as a Postman collection. Sends nothing.

    REPORT is the JSON report of `upheld check`: what the last one wrote unless another is named. A collection alone needs none.
    """
    from upheld.contract import postman as collections
    from upheld.report.files import replace_text
    from upheld.run.handover.addresses import stated
    from upheld.run.handover.written import implementation as written
    from upheld.run.handover.written import read_run

    if not implementation and postman is None:
        raise UsageError("say what is to be written: --implementation, --postman FILE, or both")
    run = read_run(report) if implementation or (contract is None and report.exists()) else None
    described = _contract(contract, run.contract if run else "", target, allow_host)
    base_url = (target or next(iter(stated(described)), "")).rstrip("/")
    if postman is not None:
        replace_text(postman, collections.dumps(described, base_url))
    if run is None or not implementation:
        return
    beside = _beside(postman, output) if postman is not None else ""
    document = written(run, described, base_url=base_url, feature=feature, collection=beside)
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if output == STANDARD_OUTPUT:
        click.echo(text, nl=False)
    else:
        replace_text(output, text)


def _contract(named: Path | None, of_run: str, target: str | None, allow_host: tuple[str, ...]) -> Contract:
    """The contract that was named, else that of the run, else the one that is found here. Raises `ContractError`, `UsageError`."""
    from upheld.run.prepare import read_contract

    path = named or (Path(of_run) if of_run and Path(of_run).exists() else None)
    return read_contract(options.found_one((path,) if path else ()), target, allow_hosts=allow_host)


def _beside(file: Path, report: Path) -> str:
    """The path of ``file`` as the report names it, relative to its own folder."""
    folder = Path() if report == STANDARD_OUTPUT else report.parent
    return Path(os.path.relpath(file, folder)).as_posix()
