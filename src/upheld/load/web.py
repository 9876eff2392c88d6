"""Locust's web interface on loopback, with our plan behind it: for whoever wants to watch, or to start and stop by hand."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from upheld.load.plan import Plan, Secrets
from upheld.load.process import LOCUSTFILE, PLAN, SECRETS, STOPS_WITHIN


def serve(plan: Plan, secrets: Secrets, port: int) -> int:
    """Show the interface at this port, press at once, and stay until Ctrl-C. The verdicts are logged. Returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="upheld-load-") as folder:
        file = Path(folder) / "plan.json"
        file.write_text(plan.dumps(), encoding="utf-8")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("LOCUST_", "UPHELD_LOAD_"))}
        told = {"HOME": folder, "UPHELD_LOAD_PARENT": str(os.getpid()), PLAN: str(file), SECRETS: "-"}
        options = (
            "--web-host",
            "127.0.0.1",
            "--web-port",
            str(port),
            "--users",
            "1",
            "--spawn-rate",
            "1",
            "--autostart",
        )
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "upheld.load.child", "-f", str(LOCUSTFILE), *options],
            cwd=folder,
            env={**kept, **told},
            stdin=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(json.dumps(secrets).encode())
            try:
                return process.wait()
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(STOPS_WITHIN)
                raise
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
