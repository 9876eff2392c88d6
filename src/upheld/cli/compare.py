"""``upheld load compare``: is the candidate slower than the base?"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upheld.cli import options
from upheld.cli.reports import Study, study
from upheld.errors import UsageError
from upheld.verdict import Exit, Progress

if TYPE_CHECKING:
    from upheld.load.compare import Comparison, Play, Round


@click.command()
@click.argument("base")
@click.argument("candidate")
@click.option(
    "--contract", type=click.Path(path_type=Path), help="What both promise, where they are URLs [as for check]."
)
@options.hosts
@click.option("--rounds", type=click.IntRange(2, 200), default=8, show_default=True, help="Rounds of each side.")
@click.option("--seconds", type=click.FloatRange(1), default=10.0, show_default=True, help="Length of each round.")
@click.option("--rate", type=click.FloatRange(0.1), help="Requests per second [the contract's load.rate].")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 100, min_open=True),
    default=5.0,
    show_default=True,
    metavar="PERCENT",
    help="What surely lies within this is no difference.",
)
@options.seed
@study
def compare(
    base: str,
    candidate: str,
    contract: Path | None,
    allow_host: tuple[str, ...],
    rounds: int,
    seconds: float,
    rate: float | None,
    tolerance: float,
    seed: int,
    files: Study,
) -> None:
    """Say whether CANDIDATE is slower than BASE, by rounds that take turns on this machine.

    Each is a URL, `embedded`, or a contract whose target is started. Exit status 1 when the candidate is slower.
    """
    from upheld.load.compare import Side
    from upheld.load.compare import compare as compared
    from upheld.report.live import live
    from upheld.run.site import added, site, stage

    sides = {Side.BASE: _side(base, contract, allow_host), Side.CANDIDATE: _side(candidate, contract, allow_host)}
    screen = files.console()
    with contextlib.ExitStack() as stack:
        listener = added(stack.enter_context(live(screen)))
        places = {
            side: stack.enter_context(site(path, url, allow_hosts=allow_host, listener=listener, seed=seed))
            for side, (path, url) in sides.items()
        }
        said = f"{rounds} rounds of {seconds:g} s each, by turns, about {_minutes(rounds, seconds)}; seed {seed}"
        listener(Progress("note", f"base {places[Side.BASE].name}, candidate {places[Side.CANDIDATE].name}: {said}"))
        told: dict[str, None] = {}

        def tell(line: str) -> None:
            if line not in told:
                told[line] = None
                listener(Progress("note", line))

        @contextlib.contextmanager
        def pair(own_seed: int) -> Iterator[Play]:
            listener(Progress("phase", f"pair {own_seed - seed + 1} of {rounds}"))
            how = {"seconds": seconds, "rate": rate}
            with stage(places[Side.BASE], places[Side.CANDIDATE], seed=own_seed, tell=tell, **how) as play:
                yield play

        def heard(played: Round) -> None:
            p95 = ", ".join(f"{row.latency_class} {row.p95_ms or 0:.0f} ms" for row in played.run.classes)
            listener(Progress("note", f"{played.side}: {played.problem or f'p95 {p95}'}"))

        found = compared(pair, pairs=rounds, seed=seed, tolerance=tolerance / 100, told=heard)
    names = {str(side): place.name for side, place in places.items()}
    asked = {"seed": seed, "seconds": seconds, "tolerance": tolerance / 100, "left_out": list(told)}
    files.write({**names, **asked, **found.to_json()})
    for line in _lines(found):
        screen.print(line, markup=False, soft_wrap=True)
    if found.stopped:
        sys.exit(Exit.INTERRUPTED)
    sys.exit(Exit.BREACHED if found.answer == "slower" else Exit.KEPT)


def _side(text: str, contract: Path | None, allow_host: tuple[str, ...]) -> tuple[Path, str | None]:
    """(contract, target) of a side. Raises `UsageError` before anything is started."""
    from upheld.contract.load import policy_only
    from upheld.run.prepare import EMBEDDED
    from upheld.targets.url import checked

    if text == EMBEDDED or text.startswith(("http://", "https://")):
        path = options.found_one((contract,) if contract else ())
        if text != EMBEDDED:
            checked(text, {*allow_host, *policy_only(path).policy.target.allow_host})
        return path, text
    if contract is not None:
        raise UsageError(
            f"{text} is a contract of its own, so --contract means nothing to it; a URL begins with http://"
        )
    return options.found_one((Path(text),)), None


def _minutes(rounds: int, seconds: float) -> str:
    whole = 2 * rounds * (seconds * 7 / 6 + 4)
    return f"{whole:.0f} s" if whole < 120 else f"{whole / 60:.0f} min"


def _lines(found: Comparison) -> Iterator[str]:
    from upheld.load.compare import shown

    for ratio in found.ratios:
        yield (
            f"{ratio.quantile} {ratio.latency_class:<8} {ratio.base_ms:8.1f} ms -> {ratio.candidate_ms:8.1f} ms  "
            f"{shown(ratio):<28} {ratio.answer}"
        )
    for note in (*found.notes, *([f"stopped: {found.stopped}"] if found.stopped else ())):
        yield f"note: {note}"
    pairs = min((ratio.pairs for ratio in found.ratios), default=0)
    yield f"{found.told} ({pairs} {'pair' if pairs == 1 else 'pairs'} of rounds)"
