"""A small backend with bad habits, for the tests of targets: ``python service.py HABIT…`` on $PORT."""

import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BORN = time.monotonic()
HABITS = sys.argv[1:]
SLEEPER = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        warming = "warms-up" in HABITS and time.monotonic() - BORN < 0.5
        status = (
            503 if warming or "sick" in HABITS else 200 if self.path == os.environ.get("HEALTH", "/health") else 404
        )
        body = os.environ.get("GREETING", "").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def leave(pids: list[int]) -> None:
    """Tell the test who is there."""
    if where := os.environ.get("PIDS"):
        Path(f"{where}.new").write_text(" ".join(map(str, pids)))
        Path(f"{where}.new").rename(where)


if __name__ == "__main__":
    family = [os.getpid()]
    if "forks" in HABITS:
        family.append(subprocess.Popen(SLEEPER).pid)
    if "setsid" in HABITS:
        family.append(subprocess.Popen(SLEEPER, start_new_session=True).pid)
    if "daemon" in HABITS and os.fork():
        # The first half ends well; the second, which has nobody left, serves.
        os._exit(0)
    if "daemon" in HABITS:
        os.setsid()
        family = [os.getpid()]
    if "stubborn" in HABITS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "chatty" in HABITS:
        for number in range(40_000):
            print(f"line {number} " + "x" * 80)
    print("serving", flush=True)
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    leave(family)
    server.serve_forever()
