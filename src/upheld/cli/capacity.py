"""``upheld load capacity``: the highest rate at which all classes keep their targets."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upheld.cli import options
from upheld.cli.reports import Study, study
from upheld.verdict import Exit, LoadRun, Progress

if TYPE_CHECKING:
    from upheld.load.capacity import Step

BESIDE = 5.0
"""Seconds that a step takes beside its measured part and warm-up, about: set-up, start, late answers."""


@click.command()
@options.target
@click.option(
    "--seconds",
    type=click.FloatRange(2),
    default=15.0,
    show_default=True,
    help="Length of a step; longer at low rates, and again where it decides nothing.",
)
@click.option(
    "--from", "first", type=click.FloatRange(0.5), help="Rate to begin with [the contract's load.rate, or 10]."
)
@click.option("--max-rate", type=click.FloatRange(0.5), default=1000.0, show_default=True, help="Highest rate to try.")
@click.option("--budget", type=click.FloatRange(5), default=300.0, show_default=True, help="Most seconds it may take.")
@click.option("--at-least", type=click.FloatRange(0.5), help="Exit with 1 when the capacity is surely below this rate.")
@options.seed
@study
def capacity(
    contracts: tuple[Path, ...],
    target: str | None,
    allow_host: tuple[str, ...],
    seconds: float,
    first: float | None,
    max_rate: float,
    budget: float,
    at_least: float | None,
    seed: int,
    files: Study,
) -> None:
    """Find the highest rate at which all classes keep their targets.

    The rate is doubled until a class misses its target, then the gap is halved until its ends are within a tenth of each other.
    Each step is a load run, judged as `upheld load` judges.
    """
    from upheld.load.capacity import search, step_length
    from upheld.report.live import live
    from upheld.run.site import added, site

    path, screen = options.found_one(contracts), files.console()
    began = time.monotonic()
    with (
        live(screen) as listener,
        site(path, target, allow_hosts=allow_host, listener=added(listener), seed=seed) as place,
    ):
        begin = first or place.contract.policy.load.rate or 10.0
        listener(
            Progress(
                "note",
                f"{place.name}: steps of {seconds:g} s from {begin:g}/s on, at most {max_rate:g}/s and {budget:g} s; seed {seed}",
            )
        )

        def play(rate: float, attempt: int) -> LoadRun:
            listener(Progress("phase", f"load, {rate:.4g}/s{', again and longer' if attempt else ''}"))
            return place.press(rate=rate, seconds=step_length(seconds, rate, attempt), seed=seed + attempt)

        def tell(step: Step) -> None:
            listener(Progress("note", f"{step.rate:.4g}/s: {step.found}" + (f"; {step.reason}" if step.reason else "")))

        found = search(
            play,
            first=begin,
            most=max_rate,
            left=lambda: began + budget - time.monotonic(),
            lasts=lambda rate, attempt: step_length(seconds, rate, attempt) * 7 / 6 + BESIDE,
            told=tell,
        )
    files.write({"target": place.name, "seed": seed, "seconds": seconds, **found.to_json()})
    for line in (found.told, *([f"what broke first: {found.broke}"] if found.broke else ())):
        screen.print(line, markup=False, soft_wrap=True)
    if found.unjudged:
        screen.print(f"not judged, too few requests: {', '.join(found.unjudged)}; longer --seconds", soft_wrap=True)
    if found.ended == "interrupted" or found.lost:
        sys.exit(Exit.TARGET if found.lost else Exit.INTERRUPTED)
    below = at_least is not None and found.high is not None and found.high <= at_least
    sys.exit(Exit.BREACHED if below else Exit.KEPT)
