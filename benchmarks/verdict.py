"""How often the verdict on a p95 is wrong, and how long it takes, on simulated runs whose truth is known.

    python benchmarks/verdict.py [--runs 400] [--seconds 120] [--processes 1]

First the p95 is exactly the limit: every verdict is then unearned, and at most 5 % each are promised, early ends included (at most 1 %
each of those). Then it is at a share of the limit: which part of the runs is decided rightly, and after how many seconds and requests
the middle one of them ends, if it is looked at every two seconds after the first ten. 400 runs leave each percentage uncertain by about one.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.unit.load.queues import LIMIT, Queue, Stalls, until

from upheld.load.counts import WINDOW, Counts
from upheld.load.sequential import Promise, Watch
from upheld.load.verdict import MET, MISSED, Circumstances, Target, judge

LEAST = 10.0
PLANS = {
    "alone at 50/s": (50.0, 1.0),
    "alone at 100/s": (100.0, 1.0),
    "10/s of 50/s": (10.0, 0.2),
    "2/s of 40/s": (2.0, 0.05),
}
LOADS = (0.3, 0.5, 0.7)


class Outcome(NamedTuple):
    """How one run ended."""

    verdict: str
    early: bool
    seconds: float
    samples: int


def judged(counts: Counts, seconds: float) -> str:
    return judge(counts, Target("one", "crud", LIMIT), Circumstances(seconds, 0.001)).verdict


def outcome(seed: int, *, queue: Queue | Stalls, seconds: float) -> Outcome:
    counts = queue.run(seconds, random.Random(f"{seed}/{queue}"))
    watch = Watch([Promise(("one",), 0.05)])
    moment = LEAST
    while moment < seconds:
        early = until(counts, round(moment / WINDOW))
        if watch.decided({"one": early}, moment):
            return Outcome(judged(early, moment), True, moment, early.samples)
        moment += 2.0
    return Outcome(judged(counts, seconds), False, seconds, counts.samples)


def cell(queue: Queue | Stalls, runs: int, seconds: float, pool: ProcessPoolExecutor) -> Sequence[Outcome]:
    return list(pool.map(partial(outcome, queue=queue, seconds=seconds), range(runs), chunksize=25))


def percent(part: float) -> str:
    return f"{part:6.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--processes", type=int, default=1)
    told = parser.parse_args()
    with ProcessPoolExecutor(told.processes) as pool:
        print(f"p95 exactly the limit, {told.seconds:g} s, {told.runs} runs: unearned verdicts")
        print(f"{'operation':16} {'load':>4}  {'pass':>6} {'fail':>6}   of these ended early {'pass':>6} {'fail':>6}")
        services: list[tuple[str, str, Queue | Stalls]] = [
            (name, f"{load}", Queue(load, *plan)) for name, plan in PLANS.items() for load in LOADS
        ]
        services += [("stalls", f"{every:g} s", Stalls(every)) for every in (5.0, 10.0, 20.0)]
        for name, busy, known in services:
            verdicts = [(each.verdict, each.early) for each in cell(known, told.runs, told.seconds, pool)]
            wrong = [sum(verdict == kind for verdict, _ in verdicts) / told.runs for kind in (MET, MISSED)]
            early = [verdicts.count((kind, True)) / told.runs for kind in (MET, MISSED)]
            print(
                f"{name:16} {busy:>4}  {' '.join(map(percent, wrong))} {'':23} {' '.join(map(percent, early))}",
                flush=True,
            )
        print(
            f"\np95 at a share of the limit, at most {told.seconds:g} s: decided, median seconds and requests until then"
        )
        for share, right in ((0.5, MET), (0.7, MET), (0.85, MET), (1.2, MISSED), (1.5, MISSED)):
            for name, (rate, part) in PLANS.items():
                for load in LOADS:
                    done = cell(Queue(load, rate, part, share), told.runs // 4, told.seconds, pool)
                    good = [each for each in done if each.verdict == right]
                    bad = sum(each.verdict not in (right, "not decided") for each in done)
                    took = statistics.median(each.seconds for each in good) if good else 0
                    samples = statistics.median(each.samples for each in good) if good else 0
                    print(
                        f"{share:4} {name:16} {load:4}  {right:6} {len(good) / len(done):4.0%}, {took:3.0f} s, {samples:6.0f} requests"
                        + (f"; decided wrongly {bad / len(done):.1%}" if bad else ""),
                        flush=True,
                    )


if __name__ == "__main__":
    main()
