"""``upheld plan``: what a check would do."""

from __future__ import annotations

import json
from pathlib import Path

import click

from upheld.cli import options
from upheld.cli.reports import console


@click.command()
@options.target
@options.selection
@click.option("--quick", is_flag=True, help="As for check --quick.")
@options.since
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    contracts: tuple[Path, ...],
    target: str | None,
    allow_host: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    quick: bool,
    since: str | None,
    as_json: bool,
) -> None:
    """Show what would be checked, what can't be proven and why, what was inferred and what it costs. Sends nothing.

    (Where the OpenAPI document is served by the target, that one document is fetched.)
    """
    from upheld.report.planned import render, to_json
    from upheld.run.prepare import planned, read_contract
    from upheld.run.since import of_command

    shown = []
    for path in options.found(contracts):
        contract = read_contract(path, target, allow_hosts=allow_host)
        differs = of_command(path, since, target)
        made = planned(
            contract,
            options.chosen(contract.policy, only, skip),
            target,
            quick=quick,
            only=differs.includes if differs else None,
        )
        if as_json:
            shown.append(to_json(contract, made))
        else:
            render(contract, made, console())
    if as_json:
        click.echo(json.dumps(shown[0] if len(shown) == 1 else shown, indent=2))
