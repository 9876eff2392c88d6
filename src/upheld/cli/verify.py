"""``upheld verify``: somebody's implementation report against the running backend."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upheld.cli import options
from upheld.cli.reports import STANDARD_OUTPUT, console

if TYPE_CHECKING:
    from rich.console import Console

    from upheld.run.handover.verify import Judged, Verified

_STYLES = {"upheld": "green", "breached": "bold red", "unproven": "yellow"}
_SHOWN = 4


@click.command()
@click.argument("report", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("contract", required=False, type=click.Path(path_type=Path))
@click.option("--target", metavar="URL", help="The running service; wins over the contract's.")
@options.hosts
@click.option("--allow-writes", is_flag=True, help="Also send commands and try endpoints that may change something.")
@click.option("--quick", is_flag=True, help="No waiting for rate windows, nothing that takes many hashes.")
@click.option(
    "--fuzz", is_flag=True, help="Also generate requests, for claims about models and the validation of input."
)
@click.option("--seed", type=int, help="Seed of everything generated; printed with every run.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the verdicts as JSON here (- for standard output)."
)  # fmt: skip
def verify(
    report: Path,
    contract: Path | None,
    target: str | None,
    allow_host: tuple[str, ...],
    allow_writes: bool,
    quick: bool,
    fuzz: bool,
    seed: int | None,
    json_file: Path | None,
) -> None:
    """Give each claim of an implementation REPORT a verdict against the running service: upheld, breached, unproven.

    REPORT is the JSON that `upheld report --implementation` writes, or somebody else's of that form. Nothing of it is run by a
    shell; its commands are read, and sent only to the target. Exit status 1 when a claim does not hold.
    """
    from upheld.contract.implementation import read_implementation
    from upheld.report.files import replace_text
    from upheld.report.live import live
    from upheld.run.examine import Options
    from upheld.run.handover.claims import claims
    from upheld.run.handover.verify import verify as verified
    from upheld.run.prepare import opened

    claimed = read_implementation(report)
    path = options.found_one((contract,) if contract else ())
    screen = console(stderr=json_file == STANDARD_OUTPUT)
    words = ["upheld verify", shlex.quote(str(report)), *([shlex.quote(str(contract))] if contract else [])]
    again = " ".join([*words, *([f"--target {target}"] if target else [])])
    with live(screen) as listener, opened(path, target, allow_hosts=allow_host, listener=listener) as ready:
        how = Options(
            quick=quick, fuzz=fuzz, seed=seed, again=again, target_name=f"{ready.name} at {ready.running['raised'].url}"
        )
        found = verified(claimed, ready, claims(claimed, ready.contract), how, listener, writes=allow_writes)
    text = json.dumps(found.document(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if json_file == STANDARD_OUTPUT:
        click.echo(text, nl=False)
    elif json_file is not None:
        replace_text(json_file, text)
    _show(found, screen)
    sys.exit(found.exit_status)


def _show(found: Verified, screen: Console) -> None:
    from rich.markup import escape

    from upheld.report.clean import one_line
    from upheld.verdict import Verdict

    def say(text: str, style: str = "") -> None:
        shown = escape(one_line(text))
        screen.print(f"[{style}]{shown}[/]" if style else shown, soft_wrap=True)

    say(f"{found.report.feature}: {found.run.target}", "bold")
    for judged in found.claims:
        screen.print(
            f"[{_STYLES[judged.verdict]}]{judged.verdict.upper():<9}[/] {escape(one_line(judged.claim))}",
            soft_wrap=True,
        )
        for name, line in _lines(judged):
            screen.print(f"  {name:<10} {escape(one_line(line))}", soft_wrap=True)
    if found.run.stopped:
        say(f"stopped: {found.run.stopped}", "bold red")
    told = (f"{found.count(verdict)} {verdict}" for verdict in (Verdict.UPHELD, Verdict.BREACHED, Verdict.UNPROVEN))
    say(f"{len(found.claims)} claims: {', '.join(told)}")


def _lines(judged: Judged) -> Iterator[tuple[str, str]]:
    """What stands below a claim."""
    if judged.by:
        more = f" and {len(judged.by) - _SHOWN} more" if len(judged.by) > _SHOWN else ""
        yield "by", f"{', '.join(judged.by[:_SHOWN])}{more}"
    if judged.findings:
        first = judged.findings[0]
        yield from ((name, text) for name in ("sent", "expected", "actual", "curl") if (text := getattr(first, name)))
    elif judged.reason:
        yield "seen" if judged.verdict == "upheld" else "why", judged.reason
    if judged.add:
        yield "add", judged.add
