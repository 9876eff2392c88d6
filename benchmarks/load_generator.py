"""What a request costs the load generator: ours against bare FastHttpUser, same server, same run, interleaved.

    python benchmarks/load_generator.py [--rounds 3] [--seconds 5] [--rate 1500]

Prints requests per CPU-second of the generator and the ratio. Wall-clock rates of a shared machine mean little; CPU time does. Both go at the
same rate, and bare's users begin at different moments: those who ask in step share what a wake-up costs. What ours does beside the requests,
looking whether it is late and asking a service that does nothing, weighs more at a low rate, where it matters less.
Ours does more: it looks at a schedule, splices unique values into a JSON body, and counts each request four ways.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from upheld.load.plan import Plan, Pressed, Template
from upheld.load.process import generate
from upheld.verdict import silent

BARE = """
import locust
import gevent, json, os, random, time
USERS = 32
began = []

class Bare(locust.FastHttpUser):
    host = os.environ["BENCH_HOST"]
    wait_time = locust.constant_throughput(float(os.environ["BENCH_RATE"]) / USERS)

    def on_start(self):
        gevent.sleep(random.random() * USERS / float(os.environ["BENCH_RATE"]))

    @locust.task
    def one(self):
        self.client.post("/", data=b'{"name": "abcdefghijkl"}', headers={"Content-Type": "application/json"})

def start(environment, **_):
    began.append(time.process_time())

def stop(environment, **_):
    told = {"requests": environment.stats.total.num_requests, "cpu": time.process_time() - began[0]}
    open(os.environ["BENCH_RESULT"], "w").write(json.dumps(told))

locust.events.test_start.add_listener(start)
locust.events.test_stop.add_listener(stop)
"""


class Fixed(asyncio.Protocol):
    """Answers every request with the same 200, as cheaply as asyncio can."""

    ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"id": "1"}'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(self.ANSWER * data.count(b"HTTP/1.1"))


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Fixed, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def ours(host: str, seconds: float, rate: float) -> float:
    body = ('{"name": "', "unique", '"}')
    template = Template(("/",), headers=(("Content-Type", ("application/json",)),), body=body)
    pressed = Pressed(
        name="POST /", method="POST", latency_class="crud", limit_ms=200, rate=rate, templates=(template,)
    )
    plan = Plan(
        contract="benchmark", base_url=host, seed=1, seconds=seconds, warmup=0.0, drain=5.0, arrivals="poisson",
        max_error_rate=0.0, operations=(pressed,), pools={},
    )  # fmt: skip
    result, trouble = generate(plan, {}, silent, threading.Event())
    if result is None or trouble:
        raise SystemExit(trouble)
    sent = sum(counts["sent"] for counts in result["operations"].values())
    return float(sent / result["cpu_seconds"])


def bare(host: str, seconds: float, rate: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        file, result = Path(folder) / "bare.py", Path(folder) / "result.json"
        file.write_text(BARE)
        options = ["--headless", "-u", "32", "-r", "32", "--only-summary", "-t", f"{seconds:.0f}", "--skip-log-setup"]
        subprocess.run(
            [sys.executable, "-m", "locust", "-f", str(file), *options],
            cwd=folder, check=True, env={**os.environ, "BENCH_HOST": host, "BENCH_RESULT": str(result), "BENCH_RATE": str(rate)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        told = json.loads(result.read_text())
        return float(told["requests"] / told["cpu"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=1500.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        host = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        pairs = []
        for number in range(arguments.rounds):
            theirs, mine = bare(host, arguments.seconds, arguments.rate), ours(host, arguments.seconds, arguments.rate)
            pairs.append((theirs, mine))
            print(
                f"round {number + 1}: bare FastHttpUser {theirs:,.0f}, ours {mine:,.0f} requests a CPU-second",
                flush=True,
            )
        server.stdin.close()
    ratios = [mine / theirs for theirs, mine in pairs]
    print(f"ours / bare: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
