"""``upheld wfc``: a contract's identities for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from upheld.cli import options


@click.command()
@options.target
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to [standard output].",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--with-secrets", is_flag=True, help="Write secrets, not the names of environment variables.")
def wfc(
    contracts: tuple[Path, ...],
    target: str | None,
    allow_host: tuple[str, ...],
    output: Path | None,
    force: bool,
    with_secrets: bool,
) -> None:
    """Write a contract's identities as a WFC authentication file, for EvoMaster, Schemathesis and other fuzzers."""
    from upheld.run.prepare import read_contract
    from upheld.run.wfc_file import wfc_text, write_new

    contract = read_contract(options.found_one(contracts), target, allow_hosts=allow_host)
    text, notes = wfc_text(contract, output, with_secrets=with_secrets)
    for note in notes:
        click.echo(note, err=True)
    if output is None or output == Path("-"):
        click.echo(text, nl=False)
    else:
        write_new(output, text, force=force, private=with_secrets)
