"""The engine's process: started in a group of its own, read line by line, stopped however the run ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from typing import Any

from upheld.errors import HarnessError

MODULE = "schemathesis.cli"
HOOKS = "upheld.run.fuzz.hooks"
LINE_LIMIT = 16 << 20
"""Longest line that is read: two bodies of the largest recorded size and everything around them."""


class Engine:
    """One ``schemathesis run``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._transport: asyncio.ReadTransport | None = None

    async def start(self, document: Mapping[str, Any], config: str, secrets: Mapping[str, Any]) -> None:
        """Write what it reads and start it; it waits for its job. Raises `HarnessError` when it can't be started."""
        (self.folder / "openapi.json").write_text(json.dumps(document, default=str))
        (self.folder / "engine.toml").write_text(config)
        read, write = os.pipe()
        try:
            with (self.folder / "output.txt").open("wb") as output:
                self.process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",
                    "-m",
                    MODULE,
                    "--config-file",
                    str(self.folder / "engine.toml"),
                    "run",
                    str(self.folder / "openapi.json"),
                    "--no-color",
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.folder,
                    pass_fds=[write],
                    env=self._environment(write, secrets),
                    # A group of its own: Ctrl-C at the terminal reaches us alone, and we end it in order.
                    start_new_session=True,
                )
        except OSError as error:
            os.close(read)
            raise HarnessError(f"the fuzzing engine could not be started: {error}") from error
        finally:
            os.close(write)
        self._reader = asyncio.StreamReader(limit=LINE_LIMIT)
        protocol = asyncio.StreamReaderProtocol(self._reader)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(read, "rb", buffering=0))

    def give(self, job: Mapping[str, Any]) -> None:
        """Let it begin."""
        unfinished = self.folder / "job.part"
        unfinished.write_text(json.dumps(job))
        unfinished.rename(self.folder / "job.json")

    def _environment(self, write: int, secrets: Mapping[str, Any]) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("SCHEMATHESIS_", "PYTEST_"))
        }
        no_proxy = ",".join(filter(None, [inherited.get("NO_PROXY", ""), "localhost,127.0.0.0/8,::1"]))
        return {
            **inherited,
            **_compiled(inherited),
            "UPHELD_FUZZ_JOB": str(self.folder / "job.json"),
            "UPHELD_FUZZ_FD": str(write),
            "UPHELD_FUZZ_PARENT": str(os.getpid()),
            "UPHELD_FUZZ_SECRETS": json.dumps(secrets),
            # Its tables of characters cost 0.6 s and 180 MB to make anew in each run.
            "HYPOTHESIS_STORAGE_DIRECTORY": str(cache("hypothesis") or self.folder / "hypothesis"),
            # Sets of names are walked in one order, so that a seed gives one sequence.
            "PYTHONHASHSEED": "0",
            "NO_PROXY": no_proxy,
        }

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """What it tells, until it closes the pipe. A line that was cut off by its death is dropped."""
        assert self._reader is not None
        while True:
            try:
                raw = await self._reader.readline()
            except ValueError:
                # Longer than the limit; the reader has dropped it already.
                continue
            if not raw.endswith(b"\n"):
                return
            line = json.loads(raw)
            if isinstance(line, dict):
                yield line

    @property
    def output(self) -> str:
        """The end of what it printed, for a note when it failed."""
        with contextlib.suppress(OSError):
            text = (self.folder / "output.txt").read_text(errors="replace")
            return "\n".join(line for line in text.splitlines() if line.strip())[-1500:]
        return ""

    def ask_to_stop(self) -> None:
        """Let it end its work with the next request: what it has judged is still told."""
        self._signal(signal.SIGUSR1)

    def interrupt(self) -> None:
        """End its work now; what it was trying is lost."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    async def close(self) -> int | None:
        """End it if it still runs, and wait for it. Its exit status, negative when a signal ended it."""
        if self.process is None:
            return None
        if self.process.returncode is None:
            try:
                await asyncio.wait_for(asyncio.shield(self.process.wait()), 3.0)
            except TimeoutError:
                self.kill()
            except asyncio.CancelledError:
                self.kill()
                raise
        status = await self.process.wait()
        if self._transport is not None:
            self._transport.close()
        return status


def _compiled(environment: dict[str, str]) -> dict[str, str]:
    """Where Python keeps compiled modules. Forbidden to write any, it would compile the engine anew for each run: a second."""
    spec = find_spec("schemathesis")
    if not environment.get("PYTHONDONTWRITEBYTECODE") or spec is None or spec.origin is None:
        return {}
    folder = cache("python")
    if folder is None or Path(cache_from_source(spec.origin)).exists():
        return {}
    # Not beside the sources, where somebody does not want them.
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder)}


def cache(name: str) -> Path | None:
    """A folder of ours that outlives the run; None where there can be none."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "upheld" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
