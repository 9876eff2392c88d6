"""What the commands cost on the bundled reference: `python benchmarks/commands.py [--full]`.

Prints wall seconds, the processor's seconds of all its processes (the reference hashes passwords, so on two cores that is the
figure to compare), and the peak memory of the largest of them: `upheld list` (aim: under 0.4 s), `upheld check --quick` (under 20 s)
and, with --full, `upheld check` with real windows (under 100 s), each under 300 MB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measured(*arguments: str) -> tuple[float, float, float, int]:
    """(wall seconds, processor seconds, peak MB, exit status) of one upheld command with everything that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "upheld", *arguments],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, process.returncode


def main() -> None:
    commands = [("list",), ("list", "--json"), ("check", "--quick")]
    if "--full" in sys.argv:
        commands.append(("check",))
    load = Path("/proc/loadavg")
    print(f"load average before: {load.read_text().split()[0] if load.exists() else 'unknown'}")
    for command in commands:
        seconds, busy, peak, status = min(measured(*command) for _ in range(3 if command[0] == "list" else 1))
        print(
            f"upheld {' '.join(command):<16} {seconds:7.2f} s  {busy:7.2f} s of processors  {peak:6.0f} MB  exit {status}"
        )


if __name__ == "__main__":
    main()
