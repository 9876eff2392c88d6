"""``upheld load soak``: does it get slower, or hold more memory, the longer it runs?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upheld.cli import options
from upheld.cli.reports import Study, study
from upheld.errors import UsageError
from upheld.verdict import Exit, LoadRun, Progress

if TYPE_CHECKING:
    from upheld.load.soak import Stretch

SHORTEST = 2.0
"""Seconds of a stretch."""


@click.command()
@options.target
@click.option("--seconds", type=click.FloatRange(20), default=3600.0, show_default=True, help="Seconds of load in all.")
@click.option(
    "--stretches", type=click.IntRange(12, 200), default=30, show_default=True, help="Parts that it comes in."
)
@click.option("--rate", type=click.FloatRange(0.1), help="Requests per second [the contract's load.rate].")
@options.seed
@study
def soak(
    contracts: tuple[Path, ...],
    target: str | None,
    allow_host: tuple[str, ...],
    seconds: float,
    stretches: int,
    rate: float | None,
    seed: int,
    files: Study,
) -> None:
    """Say whether latency, the share over the limit, or the memory of a target that we started grows under a long load.

    Exit status 1 when one of them drifts, or a class misses its target.
    """
    from upheld.load.soak import shown
    from upheld.load.soak import soak as soaked
    from upheld.report.live import live
    from upheld.run.site import added, site

    each = seconds / stretches
    if each < SHORTEST:
        raise UsageError(f"{stretches} stretches of {seconds:g} s are {each:.2g} s each: {SHORTEST:g} s are the least")
    path, screen = options.found_one(contracts), files.console()
    with (
        live(screen) as listener,
        site(path, target, allow_hosts=allow_host, listener=added(listener), seed=seed) as place,
    ):
        held = place.running.memory is not None
        memory = "" if held else "; its memory is not looked at, since it was not started here"
        listener(Progress("note", f"{place.name}: {stretches} stretches of {each:g} s; seed {seed}{memory}"))

        def play(number: int) -> LoadRun:
            listener(Progress("phase", f"stretch {number + 1} of {stretches}"))
            return place.press(seconds=each, rate=rate, seed=seed + number)

        def tell(stretch: Stretch) -> None:
            p50 = ", ".join(f"{row.latency_class} {row.p50_ms or 0:.0f} ms" for row in stretch.run.classes)
            resident = f", memory {stretch.memory / 2**20:.0f} MiB" if stretch.memory else ""
            listener(Progress("note", stretch.problem or f"median {p50}{resident}"))

        found = soaked(play, lambda: place.running.memory, stretches=stretches, told=tell)
    files.write({"target": place.name, "seed": seed, "seconds": each, **found.to_json()})
    for series in found.series:
        screen.print(f"{series.name:<16} {shown(series):<56} {series.trend}", markup=False, soft_wrap=True)
    notes = [*found.notes, *(f"{name} missed its target in some stretch" for name in found.missed)]
    for note in (*notes, *([f"stopped: {found.stopped}"] if found.stopped else ())):
        screen.print(f"note: {note}", markup=False, soft_wrap=True)
    screen.print(f"{found.told} ({len(found.stretches)} stretches)", markup=False, soft_wrap=True)
    if found.stopped:
        sys.exit(Exit.INTERRUPTED if found.stopped == "interrupted" else Exit.TARGET)
    sys.exit(Exit.BREACHED if found.trend == "drifting" or found.missed else Exit.KEPT)
