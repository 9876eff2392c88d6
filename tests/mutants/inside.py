"""The reference on a thread of this process: real sockets on loopback, but no interpreter to start for each application.

A process spends some two seconds on imports before it answers, and the matrix would start over two hundred of them.
"""

from __future__ import annotations

import logging
import shutil
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from upheld.errors import TargetDied, TargetUnreachable
from upheld.reference.app import create_app
from upheld.reference.core.settings import Settings
from upheld.reference.server import OPTIONS
from upheld.targets import Running, Target
from upheld.targets.embedded import PREFIX, Embedded

LOGGERS = ("upheld.reference", "uvicorn")
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
READY_WITHIN = 60.0


class Inside(Target):
    """What this `Embedded` would start as a process, with an event loop and a thread of its own; an application each time."""

    def __init__(self, embedded: Embedded) -> None:
        self.embedded = embedded
        self.can = embedded.can - {"restart"}
        self._serving: _Serving | None = None

    @property
    def name(self) -> str:
        return self.embedded.name

    def open(self) -> Running:
        self._serving = _Serving(self.embedded)
        self._serving.begin()
        return self._serving

    def close(self) -> None:
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.end()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()


class _Serving(Running):
    def __init__(self, embedded: Embedded) -> None:
        self.can = embedded.can - {"restart"}
        self.env = embedded.gives
        self._scratch = Path(tempfile.mkdtemp(prefix="upheld-inside-"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ready = threading.Event()
        self._ended_by: BaseException | None = None
        given: dict[str, Any] = {
            key.removeprefix(PREFIX).lower(): value.replace("{scratch}", str(self._scratch))
            for key, value in embedded.env.items()
        }
        config = uvicorn.Config(create_app(Settings(**given)), log_config=None, **OPTIONS)
        self._server = _Server(config, self._ready)
        self._thread = threading.Thread(target=self._serve, name=f"{embedded.name} at {self.url}", daemon=True)
        self._journal = _Journal(self._thread)

    @property
    def output(self) -> str:
        return self._journal.text()

    def alive(self) -> bool:
        return self._thread.is_alive()

    def begin(self) -> None:
        """Returns when it accepts connections. Raises `TargetError` with what it wrote."""
        self._journal.open()
        self._thread.start()
        if not self._ready.wait(READY_WITHIN):
            raise TargetUnreachable(f"{self._thread.name} was not ready within {READY_WITHIN:g} s\n{self.output}")
        if self._ended_by is not None:
            raise TargetDied(f"{self._thread.name} never answered: {self._ended_by!r}\n{self.output}")

    def end(self) -> None:
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        self._journal.close()
        self._listener.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _serve(self) -> None:
        try:
            self._server.run([self._listener])
        except BaseException as error:  # uvicorn ends a process whose application did not start with SystemExit
            self._ended_by = error
        finally:
            self._ready.set()


class _Journal(logging.Handler):
    """What one thread logs, as lines; the last thousand of them."""

    def __init__(self, thread: threading.Thread) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter(FORMAT))
        self._thread = thread
        self._records: deque[logging.LogRecord] = deque(maxlen=1000)

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread.ident:
            self._records.append(record)

    def text(self) -> str:
        return "".join(f"{self.format(record)}\n" for record in self._records)

    def open(self) -> None:
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self)

    def close(self) -> None:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self)
        super().close()


@contextmanager
def journals() -> Iterator[None]:
    """While applications run here, what they log goes into their output as it would from a process, and nowhere else."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.INFO)
            logger.propagate = False
        yield
    finally:
        for logger, level, propagate in before:
            logger.setLevel(level)
            logger.propagate = propagate
