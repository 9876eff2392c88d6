"""``upheld init``: the first files of a contract."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upheld.cli import options
from upheld.cli.reports import console
from upheld.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from upheld.run.init.begin import Beginning


@click.command()
@click.argument("source", metavar="URL|SPEC")
@click.option("--target", metavar="URL", help="The running service, where SOURCE is a file or another address.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where to [contracts/NAME, by the document's title].",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="FIELD",
    help="Sent to fetch the document only: 'Authorization: Bearer ${TOKEN}', with TOKEN from the environment.",
)
@click.option("-y", "--yes", is_flag=True, help="Ask nothing, as off a terminal: what is not known stays a comment.")
@options.hosts
def init(
    source: str,
    target: str | None,
    output: Path | None,
    headers: tuple[str, ...],
    yes: bool,
    allow_host: tuple[str, ...],
) -> None:
    """Begin a contract: write openapi.yaml and a commented upheld.yaml for the service at a URL, or for an OpenAPI document.

    URL is the document's or the service's; the usual places are tried. A few GETs are sent, one of them to be refused; nothing
    is overwritten.
    """
    from upheld.run.init.begin import begin, write

    asked = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    begun = begin(
        source,
        ask=_ask if asked else _nobody,
        target=target,
        folder=output,
        allow_hosts=allow_host,
        fields=_fields(headers),
        tell=lambda line: click.echo(line, err=True),
    )
    write(begun)
    _show(begun, console())


def _nobody(question: str, default: str) -> str:
    return ""


def _ask(question: str, default: str) -> str:
    from upheld.report.clean import one_line

    try:
        answer: str = click.prompt(one_line(question), default=default, show_default=bool(default), err=True)
    except click.Abort:
        # click makes status 1 of it, which would accuse the service.
        raise KeyboardInterrupt from None
    return answer.strip()


def _fields(headers: tuple[str, ...]) -> dict[str, str]:
    """Raises `UsageError`."""
    from upheld.contract.environment import supplied, variables

    fields = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"--header {name!r} is no field; it looks like 'Authorization: Bearer ${{TOKEN}}'")
        if missing := [variable for variable in variables(value) if variable not in os.environ]:
            raise UsageError(f"--header {name}: the environment variable {missing[0]} is not set")
        fields[name.strip()] = supplied(value.strip(), os.environ.__getitem__)
    return fields


def _show(begun: Beginning, screen: Console) -> None:
    from rich.markup import escape

    from upheld.report.clean import one_line
    from upheld.run.init.draft import grounds
    from upheld.run.init.written import flow

    def say(text: str, why: str = "") -> None:
        screen.print(
            f"  {escape(one_line(text))}" + (f"  [dim]{escape(one_line(why))}[/]" if why else ""), soft_wrap=True
        )

    contract = begun.contract
    screen.print(
        f"[bold]{escape(one_line(begun.document.title or begun.folder.name))}[/]: {len(contract.operations)} operations"
    )
    say(f"the document is that of {begun.document.where}; {begun.sent} GETs were sent")
    if begun.document.mended:
        say(
            f"it refers to {', '.join(begun.document.mended)} and does not have them: written as schemas that take anything"
        )
    if contract.inferences:
        screen.print("\n[bold]Read from the document[/]")
    families = [found for found in contract.inferences if found.key.startswith("resource ")]
    for found in contract.inferences:
        if not found.key.startswith(("resource ", "paging ")):
            say(f"{found.key}: {found.value}", grounds(found))
    if families:
        names = ", ".join(found.key.removeprefix("resource ") for found in families)
        say(f"{len(families)} {'family' if len(families) == 1 else 'families'} of resources: {names}")
    if begun.signs:
        screen.print("\n[bold]Seen in answers[/] (a promise as soon as you switch its line on)")
    for sign in begun.signs:
        say(
            sign.source if sign.value is None else f"{sign.key}: {flow(sign.value)}",
            "" if sign.value is None else sign.source,
        )
    screen.print("\n[bold]Written[/]")
    for path in begun.files:
        say(str(path))
    if begun.unknown:
        screen.print("\n[bold]Only you know[/]")
    for line in begun.unknown:
        say(line)
    screen.print("\n[bold]Next[/]")
    for variable in begun.people.variables:
        say(f"export {variable}=…")
    host = f" --allow-host {shlex.quote(begun.host)}" if begun.host else ""
    folder = shlex.quote(str(begun.folder))
    say(f"upheld plan {folder}")
    say(f"upheld check {folder} --quick{host}")
