"""``upheld baseline``: the breaches of a report as known ones."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upheld.errors import UsageError

if TYPE_CHECKING:
    from upheld.contract.baseline import Reported

BASELINE = Path("baseline.yaml")
REPORT = Path(".upheld/report/report.json")


@click.command()
@click.argument("report", type=click.Path(path_type=Path, dir_okay=False), default=REPORT)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=BASELINE, show_default=True, metavar="FILE",
    help="The baseline that is written, or brought up to date.",
)  # fmt: skip
@click.option("--reason", metavar="TEXT", help="Why they are accepted [asked on a terminal].")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="The last day of that [asked on a terminal]."
)
@click.option("--advisories", is_flag=True, help="Also what is advisory, for a contract with checks.fail_on.")
def baseline(report: Path, output: Path, reason: str | None, until: datetime.datetime | None, advisories: bool) -> None:
    """Write the breaches of a JSON REPORT into a baseline, so that only new ones fail `upheld check --baseline FILE`.

    REPORT is what the last check wrote unless another is named. A baseline that exists keeps its lines; those that do not occur
    any more are dropped, and those whose day has passed are asked for again.
    """
    from upheld.contract.baseline import dumps, read_baseline, reported, update
    from upheld.contract.sections.running import Waiver
    from upheld.report.files import replace_text

    today = datetime.datetime.now(tz=datetime.UTC).date()
    known = tuple(waiver for waiver, _ in read_baseline(output)) if output.exists() else ()
    found = update(known, reported(report), advisories=advisories, today=today)
    added: list[Waiver] = []
    if found.new:
        reasons = _reasons(found.new, reason)
        end = _end(until, today)
        added = [Waiver(id=row.id, reason=reasons[row.requirement], until=end) for row in found.new]
    replace_text(output, dumps((*found.kept, *added)))
    for gone in found.gone:
        click.echo(f"dropped, since it does not occur any more: {gone}")
    click.echo(f"{output}: {len(added)} added, {len(found.kept)} kept, {len(found.gone)} dropped")


def _asks() -> bool:
    return sys.stdin.isatty()


def _reasons(new: tuple[Reported, ...], given: str | None) -> dict[str, str]:
    """Why the breaches of each requirement are accepted."""
    if given is not None and not given.strip():
        raise UsageError("--reason is empty: say why they are accepted")
    if given is None and not _asks():
        raise UsageError(f"{len(new)} breaches are new: say why they are accepted with --reason TEXT")
    reasons: dict[str, str] = {}
    for row in new:
        if row.requirement in reasons:
            continue
        if given is None:
            count = sum(other.requirement == row.requirement for other in new)
            click.echo(f"{row.requirement}: {row.title} ({count} broken)")
        reasons[row.requirement] = given if given is not None else click.prompt("  why is that accepted?")
    return reasons


def _end(given: datetime.datetime | None, today: datetime.date) -> datetime.date:
    if given is None and not _asks():
        raise UsageError("say until when they are accepted: --until YYYY-MM-DD")
    end: datetime.datetime = given or click.prompt("until which day (YYYY-MM-DD)?", type=click.DateTime(["%Y-%m-%d"]))
    if end.date() < today:
        raise UsageError(f"--until {end.date()} has passed")
    return end.date()
