"""``upheld list``, ``explain`` and ``schema``: what can be known without a contract."""

from __future__ import annotations

import json

import click

from upheld.cli import complete, options


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.selection
def list_(as_json: bool, only: tuple[str, ...], skip: tuple[str, ...]) -> None:
    """List the catalogue: every requirement with its level, clause and title."""
    from upheld.checks import select
    from upheld.report.docs import listing

    checks = list(select(only, skip).values())
    if as_json:
        click.echo(json.dumps(listing(checks), indent=2, ensure_ascii=False))
        return
    width = max(len(check.id) for check in checks)
    group = ""
    for check in checks:
        if check.group != group:
            group = check.group
            click.echo(click.style(group, bold=True))
        click.echo(f"  {check.id:<{width}}  {check.level:<6}  {check.title} ({check.requirement.clause.text})")


@click.command()
@click.argument("requirement", shell_complete=complete.requirements)
def explain(requirement: str) -> None:
    """Show the page of a requirement: what it requires, why, what it sends, what a breach looks like."""
    from upheld.checks import select
    from upheld.report.docs import page

    for check in select((requirement,)).values():
        click.echo(page(check))


@click.command()
@click.option("--implementation", is_flag=True, help="That of implementation reports (upheld verify).")
def schema(implementation: bool) -> None:
    """Print the JSON Schema of upheld.yaml, for editors."""
    from upheld.contract import implementation as reports
    from upheld.contract.schema import json_schema

    click.echo(json.dumps(reports.schema() if implementation else json_schema(), indent=2))
