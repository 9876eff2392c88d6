"""Fuzzing through Upheld against plain ``schemathesis run``: the same backend, phases, seed and number of examples, interleaved.

    python benchmarks/fuzzing.py [--rounds 3] [--max-examples 50] [--faults all|none] [--seed 1]

Prints the engine's requests a second of both over the whole run, start-up included (ours with the repetition and reduction of every
failure), the ratio, CPU time, and what only the plain engine found. The target: a ratio of at least 0.9, and nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import httpx

from upheld.contract.load import from_parts
from upheld.exchange import Exchange, Headers, Request, Response, Session
from upheld.run.fuzz import FuzzRun, fuzz
from upheld.targets.ports import free_port

APP = Path(__file__).resolve().parents[1] / "tests" / "live" / "apps" / "seeded.py"
PHASES = ("examples", "coverage", "fuzzing", "stateful")
CREDENTIAL = ("Authorization", "Bearer token-of-ann")


@dataclass
class Measured:
    """One run of one of the two."""

    requests: int
    seconds: float
    found: set[tuple[str, str]]
    """(engine code, operation)"""
    engine_cpu: float = 0.0
    """Seconds of the engine's process."""
    parent_cpu: float = 0.0
    """Seconds of this process, which reads, converts, repeats and reduces."""

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


@contextmanager
def backend(faults: str) -> Iterator[str]:
    """The seeded shop, fresh, on a free port."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, str(APP), str(port), faults])
    try:
        for _ in range(100):
            try:
                urlopen(f"{url}/openapi.json").close()
                break
            except URLError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def fetched(url: str) -> bytes:
    with urlopen(url) as answer:
        return bytes(answer.read())


def served(url: str) -> int:
    return int(fetched(f"{url}/_requests"))


def plain(url: str, *, seed: int, max_examples: int) -> Measured:
    """``schemathesis run --continue-on-failure``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = folder / "report.json"
        config = folder / "plain.toml"
        # Bodies are sent as they are and nothing is kept between runs: otherwise the two would not do the same work.
        config.write_text("[cache]\nenabled = false\n[auth]\nauto-signup = false\n")
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json"]
        command += ["--continue-on-failure", "--seed", str(seed), "--max-examples", str(max_examples)]
        command += [
            "--generation-database",
            "none",
            "--phases",
            ",".join(PHASES),
            "-H",
            f"{CREDENTIAL[0]}: {CREDENTIAL[1]}",
        ]
        command += ["--report-json-path", str(report), "--no-color"]
        before, began, cpu = served(url), time.monotonic(), children_cpu()
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, check=False
        )
        seconds = time.monotonic() - began
        found = found_by_plain(json.loads(report.read_text()))
        return Measured(served(url) - before, seconds, found, children_cpu() - cpu)


def found_by_plain(report: dict[str, Any]) -> set[tuple[str, str]]:
    """(code, operation) pairs of a JSON report."""
    found = set()
    for failure in report.get("failures", []):
        for operation in failure.get("operations", []):
            found.add((failure["code"], operation if isinstance(operation, str) else operation["label"]))
    return found


async def ours(url: str, *, seed: int, max_examples: int, seconds: float = 300.0) -> tuple[Measured, FuzzRun]:
    """`upheld.run.fuzz.fuzz` with an observer that looks at every exchange."""
    document = json.loads(await asyncio.to_thread(fetched, f"{url}/openapi.json"))
    contract = from_parts({"upheld": 1}, document)
    ann = Session("ann", "user", headers=(CREDENTIAL,))
    statuses: dict[int, int] = {}

    def observe(exchange: Exchange) -> None:
        statuses[exchange.response.status] = statuses.get(exchange.response.status, 0) + 1

    # A connection of its own for each: a server that failed may close the one that it failed on.
    async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0)) as client:

        async def resend(request: Request) -> Response:
            headers = [*(request.session.headers if request.session else ()), *request.headers.pairs]
            answer = await client.request(request.method, url + request.target, headers=headers, content=request.body)
            return Response(answer.status_code, Headers(answer.headers.multi_items()), answer.content)

        began, cpu, own = time.monotonic(), children_cpu(), time.process_time()
        run = await fuzz(
            contract,
            document,
            url,
            user=ann,
            admin=None,
            resend=resend,
            on_exchange=observe,
            seconds=seconds,
            max_examples=max_examples,
            phases=PHASES,
            seed=seed,
            token=f"b{seed}",
        )
        took = time.monotonic() - began
        found = {(finding.code, finding.operation) for finding in run.findings if not finding.flaky}
        # The engine's requests alone, in the time of everything: repetitions and reductions of ours are quick ones.
        sent = sum(statuses.values())
        return Measured(sent, took, found, children_cpu() - cpu, time.process_time() - own), run


def missing(theirs: set[tuple[str, str]], ours: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """What only the plain engine found. It tells failures of scenarios without an operation, and undocumented methods of a path."""
    codes = {code for code, _ in ours}
    paths = {(code, label.split(" ")[1]) for code, label in ours}

    def is_ours(code: str, label: str) -> bool:
        if label == "Stateful tests":
            return code in codes
        return (code, label) in ours or (code == "ST204" and (code, label.split(" ")[1]) in paths)

    return sorted(pair for pair in theirs if not is_ours(*pair))


def children_cpu() -> float:
    """Of children that have ended: the backend still runs when it is asked."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-examples", type=int, default=50)
    parser.add_argument("--faults", default="none")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    theirs, mine = [], []
    for number in range(options.rounds):
        seed = options.seed + number
        with backend(options.faults) as url:
            theirs.append(plain(url, seed=seed, max_examples=options.max_examples))
        with backend(options.faults) as url:
            measured, run = asyncio.run(ours(url, seed=seed, max_examples=options.max_examples))
            mine.append(measured)
        left, right = theirs[-1], mine[-1]
        print(
            f"seed {seed}: plain {left.requests} requests in {left.seconds:.1f} s = {left.rate:.0f}/s, {len(left.found)} found; "
            f"upheld {right.requests} in {right.seconds:.1f} s = {right.rate:.0f}/s, {len(right.found)} found; "
            f"ratio {right.rate / left.rate:.2f}; engine CPU ms/request {1000 * left.engine_cpu / left.requests:.1f} and "
            f"{1000 * right.engine_cpu / right.requests:.1f}, parent {1000 * right.parent_cpu / right.requests:.1f}; only plain: {missing(left.found, right.found)}; "
            f"phases {[(p.name, p.cases, p.seconds) for p in run.phases]}"
        )
    print(
        f"median: plain {statistics.median(m.rate for m in theirs):.0f}/s, upheld {statistics.median(m.rate for m in mine):.0f}/s, "
        f"ratio {statistics.median(m.rate for m in mine) / statistics.median(m.rate for m in theirs):.2f}; "
        f"largest child {memory():.0f} MiB"
    )


if __name__ == "__main__":
    main()
